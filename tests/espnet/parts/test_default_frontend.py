"""Log-mel features of an utterance are its own: ESPnet's alone, and the same in any batch."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

CONF = {"n_fft": 64, "hop_length": 20, "n_mels": 8}


@pytest.fixture(scope="module")
def both(task):
    """(ESPnet's, the one that is registered under its name)."""
    from espnet2.asr.frontend.default import DefaultFrontend
    from espnet2.tasks.asr import frontend_choices

    registered = frontend_choices.get_class("default")
    assert registered is not DefaultFrontend and issubclass(registered, DefaultFrontend)
    return DefaultFrontend(**CONF), registered(**CONF)


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(length=st.integers(33, 400))
@example(length=33)
def test_alone_the_features_are_espnets(both, length):
    espnets, ours = both
    speech, lengths = noise(1, length, seed=length), torch.tensor([length])
    for found, expected in zip(ours(speech, lengths), espnets(speech, lengths), strict=True):
        assert torch.equal(found, expected)


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(33, 400), min_size=2, max_size=4), behind=st.integers(0, 50))
def test_in_a_batch_they_are_what_they_are_alone(both, lengths, behind):
    _, ours = both
    batch = torch.zeros(len(lengths), max(lengths) + behind)
    for row, length in zip(batch, lengths, strict=True):
        row[:length] = noise(length, seed=length)
    together, frames = ours(batch, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, number = ours(batch[row : row + 1, :length], torch.tensor([length]))
        assert int(frames[row]) == int(number) == alone.shape[1]
        torch.testing.assert_close(together[row, : int(number)], alone[0], atol=1e-5, rtol=0)


def test_espnets_own_depend_on_the_batch(both):
    """Else none of this would be needed."""
    espnets, _ = both
    batch = noise(2, 400)
    batch[0, 333:] = 0
    together = espnets(batch, torch.tensor([333, 400]))[0][0, :17]
    alone = espnets(batch[:1, :333], torch.tensor([333]))[0][0]
    assert (together - alone).abs().max() > 0.1


def test_an_utterance_too_short_to_be_mirrored_is_refused_alone_and_heard_in_a_batch(both):
    for frontend in both:
        with pytest.raises(RuntimeError, match="[Pp]adding size"):
            frontend(noise(1, 32), torch.tensor([32]))
    batch = noise(2, 400)
    batch[0, 32:] = 0
    found, frames = both[1](batch, torch.tensor([32, 400]))
    shorter, _ = both[1](batch[:, :200], torch.tensor([32, 200]))
    assert found.isfinite().all() and int(frames[0]) == 1 + 32 // 20
    torch.testing.assert_close(found[0, :2], shorter[0, :2], atol=1e-5, rtol=0)


def test_gradients_reach_the_speech(both):
    speech = noise(1, 100).requires_grad_()
    both[1](speech, torch.tensor([100]))[0].sum().backward()
    assert speech.grad.abs().min() > 0
