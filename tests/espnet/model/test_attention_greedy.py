"""Greedy decoding with any attention decoder: the likeliest token by token, whatever the batch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests import toy

pytestmark = pytest.mark.usefixtures("one_thread")
TOKENS = toy.tokens()
EOS, DEU, ENG = len(TOKENS) - 1, TOKENS.index("[deu]"), TOKENS.index("[eng]")


@pytest.fixture(scope="module", params=["transformer", "rnn"])
def decoder(request, task):
    from espnet2.tasks.asr import decoder_choices

    torch.manual_seed(0)
    conf = {"transformer": {"linear_units": 16, "num_blocks": 1, "attention_heads": 2}, "rnn": {}}
    kind = decoder_choices.get_class(request.param)
    return kind(vocab_size=len(TOKENS), encoder_output_size=8, **conf[request.param]).eval()


def model_of(decoder, **more):
    return SimpleNamespace(token_list=TOKENS, sos=EOS, eos=EOS, decoder=decoder, **more)


@pytest.fixture(scope="module")
def encoded():
    torch.manual_seed(1)
    return 3 * torch.randn(4, 9, 8), torch.tensor([9, 9, 8, 6])


def by_hand(decoder, encoder_out, length, most, prompt=()):
    """One utterance: its tag, then text without special tokens, up to the end."""
    ids, found, words = [EOS], [], [n for n in range(1, len(TOKENS)) if n not in (DEU, ENG)]
    while len(found) < most + 1:
        read = torch.tensor([ids]), torch.tensor([len(ids)])
        logits = decoder(encoder_out[None, :length], length[None], *read)[0][0, -1]
        only = words if found else [DEU, ENG]
        best = max(only, key=logits.__getitem__)
        if best == EOS:
            break
        ids += [best, *prompt] if not found else [best]
        found.append(best)
    return tuple(found)


@torch.no_grad()
def test_every_utterance_gets_what_it_gets_alone_by_hand(decoder, encoded):
    from asr_dro_plugin.espnet.model.attention_greedy import greedy_paths

    found = greedy_paths(model_of(decoder), *encoded, max_tokens=5)
    expected = [by_hand(decoder, *row, 5) for row in zip(*encoded, strict=True)]
    assert [path.ids for path in found] == expected
    assert all(path.score < 0 for path in found)


@torch.no_grad()
def test_the_prompt_stands_behind_the_tag_and_is_not_written(decoder, encoded):
    from asr_dro_plugin.espnet.model.attention_greedy import greedy_paths

    found = greedy_paths(model_of(decoder, text_prompt=[5, 6]), *encoded, max_tokens=4)
    expected = [by_hand(decoder, *row, 4, (5, 6)) for row in zip(*encoded, strict=True)]
    assert [path.ids for path in found] == expected


@torch.no_grad()
def test_a_language_that_is_not_allowed_is_not_written(decoder, encoded):
    from asr_dro_plugin.espnet.model.attention_greedy import greedy_paths

    allowed = np.array([[True, False], [False, True], [True, False], [False, True]])
    found = greedy_paths(model_of(decoder), *encoded, allowed, max_tokens=2)
    assert [path.ids[0] for path in found] == [DEU, ENG, DEU, ENG]


class Scripted(torch.nn.Module):
    """Says what it is told to; row r ends after r tokens, and an utterance of NaN is NaN."""

    def forward(self, encoder_out, lengths, ids, id_lengths):
        logits = torch.zeros(*ids.shape, len(TOKENS))
        logits[..., 5] = 1.0
        for row, number in enumerate(encoder_out[:, 0, 0].tolist()):
            logits[row, int(number) :, EOS] = 9.0 if number == number and number >= 0 else 0.0
            logits[row] += encoder_out[row, 0, 1]
        return logits, id_lengths


def test_rows_end_one_by_one_and_nan_is_no_hypothesis():
    from asr_dro_plugin.espnet.model.attention_greedy import greedy_paths

    told = torch.zeros(5, 1, 2)
    told[:, 0, 0] = torch.tensor([3.0, 1.0, 2.0, 7.0, 1.0])
    told[4, 0, 1] = float("nan")
    found = greedy_paths(model_of(Scripted()), told, torch.ones(5, dtype=torch.long), max_tokens=4)
    assert [path and len(path.ids) - 1 for path in found] == [2, 0, 1, 4, None]


def test_a_text_has_no_more_tokens_than_frames_where_the_decoder_sets_no_limit():
    from asr_dro_plugin.espnet.model.attention_greedy import greedy_paths

    told = torch.full((1, 3, 2), -1.0)
    (path,) = greedy_paths(model_of(Scripted()), told, torch.tensor([3]))
    assert len(path.ids) == 1 + 3
