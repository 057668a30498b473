"""Hidden states as features: transformers' on the same weights, pooled, normalised, summed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.nets.hidden_layers import WhisperHiddenLayers, chosen_states, pooled

pytest_plugins = ["tests.fixtures_whisper"]

SECONDS, LAYERS, H = 2, 3, 16


@pytest.fixture(scope="module")
def folder(make_tiny_whisper):
    return make_tiny_whisper(hidden=H, seconds=SECONDS, layers=LAYERS)


@pytest.fixture(scope="module")
def theirs(folder):
    from transformers import WhisperModel

    return WhisperModel.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def ours(theirs):
    """Function of options that gives the network with the same weights."""

    def build(**options):
        net = WhisperHiddenLayers(theirs.config.to_dict(), **options).eval()
        weights = theirs.encoder.state_dict()
        net.model.load_state_dict({name: weights[name] for name in net.model.state_dict()})
        return net

    return build


@pytest.fixture(scope="module")
def batch():
    """Noise (B, N) with zeros behind each utterance, and the lengths."""
    torch.manual_seed(0)
    lengths = torch.tensor([SECONDS * 16000, 20000, 9000])
    speech = 0.1 * torch.randn(3, SECONDS * 16000)
    return speech * (torch.arange(speech.shape[1]) < lengths[:, None]), lengths


def alone(batch, row):
    speech, lengths = batch
    return speech[row : row + 1, : lengths[row]], lengths[row : row + 1]


@torch.no_grad()
def test_in_30_s_the_states_are_transformers_alone_and_in_company(theirs, ours, batch):
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(chunk_length=SECONDS)
    rows = [alone(batch, row)[0][0].numpy() for row in range(3)]
    mel = extractor(rows, sampling_rate=16000, return_tensors="pt").input_features
    expected = torch.stack(theirs.encoder(mel, output_hidden_states=True).hidden_states, dim=2)
    net = ours(do_pad_trim=True, normalize=False)
    together, frames = net.hidden_layers(*batch)
    assert together.shape == (3, 50 * SECONDS, LAYERS + 1, H)
    for row, num_frames in enumerate(frames.tolist()):
        single, _ = net.hidden_layers(*alone(batch, row))
        for found in (together[row], single[0]):
            there = found[:num_frames] - expected[row, :num_frames]
            assert there.abs().max() < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("do_pad_trim", [True, False])
def test_frames_are_those_of_the_utterance(ours, batch, do_pad_trim):
    net = ours(do_pad_trim=do_pad_trim, pool=3)
    hidden, frames = net.hidden_layers(*batch)
    assert frames.tolist() == [34, 21, 10]  # 100, 63 and 28 before pooling
    assert hidden.shape[1] == 34
    for row, num_frames in enumerate(frames.tolist()):
        single, length = net.hidden_layers(*alone(batch, row))
        assert length.tolist() == [num_frames] and single.shape[1] == num_frames
        assert (single[0] - hidden[row, :num_frames]).abs().max() < 1e-4


@torch.no_grad()
def test_a_network_that_ends_sooner_gives_the_same_states(ours, batch):
    hidden, _ = ours(normalize=False).hidden_layers(*batch)
    short = ours(layers=[2, 0], normalize=False)
    assert len(short.model.layers) == 2 and len(short.layer_weights) == 2
    assert torch.equal(short.hidden_layers(*batch)[0], hidden[:, :, [0, 2]])
    first = ours(layers=[0], normalize=False)
    assert not first.model.layers and torch.equal(first.hidden_layers(*batch)[0], hidden[:, :, :1])


def test_only_the_sum_learns_where_the_model_stands_still(ours, batch):
    net = ours()
    net.model.requires_grad_(False)
    hidden, _ = net.hidden_layers(*batch)
    assert not hidden.requires_grad
    net.weighted_sum(hidden)[:, :10].square().mean().backward()
    assert net.layer_weights.grad.abs().min() > 0
    assert all(parameter.grad is None for parameter in net.model.parameters())


@torch.no_grad()
def test_normalised_states_weigh_alike_and_fit_into_float16(ours, batch):
    net = ours()
    net.model.layers[0].fc2.weight.mul_(1e6)  # as large as some features of Whisper large
    hidden, _ = net.hidden_layers(*batch)
    assert torch.allclose(hidden.square().mean(-1), torch.ones(()), atol=1e-3)
    assert hidden.abs().max() <= H**0.5
    net.layer_weights.copy_(torch.tensor([0.0, 1.0, 2.0, 3.0]))
    weights = net.layer_weights.softmax(0)
    expected = sum(weight * hidden[:, :, n] for n, weight in enumerate(weights))
    assert torch.allclose(net.weighted_sum(hidden), expected, atol=1e-6)


@given(
    num_frames=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    pool=st.integers(1, 5),
    seed=st.integers(0, 9),
)
def test_pooled_frames_are_means_of_an_utterances_own(num_frames, pool, seed):
    lengths = torch.tensor(num_frames)
    x = torch.randn(len(lengths), int(lengths.max()), 2, generator=torch.manual_seed(seed))
    found = pooled(x, lengths, pool)
    for row, length in enumerate(num_frames):
        groups = x[row, :length].split(pool)
        expected = torch.stack([group.mean(0) for group in groups])
        assert torch.allclose(found[row, : len(groups)], expected, atol=1e-6)


@pytest.mark.parametrize(
    "layers, found",
    [(None, (0, 1, 2, 3)), ([3], (3,)), ([-1, 1], (1, 3)), ([-4, 2], (0, 2))],
)
def test_states_are_counted_from_either_end(layers, found):
    assert chosen_states(layers, 4) == found


@pytest.mark.parametrize("layers", [[4], [-5], [], [3, -1], [1.5], ["a"]])
def test_a_state_that_is_not_there_is_refused(layers):
    with pytest.raises(UserError, match="0 .what enters the first block. to 3, or -4 to -1"):
        chosen_states(layers, 4)


def test_what_is_longer_than_the_window_is_refused_and_not_cut(ours):
    speech, lengths = torch.zeros(1, 32001), torch.tensor([32001])
    for do_pad_trim in (True, False):
        with pytest.raises(UserError, match="which takes 2 s. Cut it .asr-dro segment."):
            ours(do_pad_trim=do_pad_trim)(speech, lengths)


def test_pooling_below_one_is_refused(ours):
    with pytest.raises(UserError, match="frontend_conf.pool is 0"):
        ours(pool=0)
