"""A Whisper of 40 updates said a one-word recording 400 times over: 2,912 characters, CER 267 %.

Dev CER in training said 33 %, for training ended every text at twice its reference.  The decoders
here are told what to write, so that they do on purpose what that one did.
"""

import pytest
import torch

from asr_dro_plugin.decoding.runaway import REPEATS, SPARE_CHARS, TOO_LONG, WritingLimits
from tests.espnet.model.test_attention_greedy import EOS, TOKENS, model_of

A, B, C = (TOKENS.index(token) for token in ("a", "b", "c"))


class Writer(torch.nn.Module):
    """Writes its rows of token ids, each of them again from its beginning when it is at its end."""

    def __init__(self, *rows):
        super().__init__()
        self.rows = rows

    def forward(self, encoder_out, lengths, ids, id_lengths):
        logits = torch.zeros(*ids.shape, len(TOKENS))
        for row, number in enumerate(encoder_out[:, 0, 0].tolist()):
            told, place = self.rows[int(number)], ids.shape[1] - 2  # behind start and tag
            if place >= 0:
                logits[row, -1, told[place % len(told)]] = 9.0
        return logits, id_lengths


def paths_of(*rows, seconds=1.0, frames=400, limits=None):
    from asr_dro_plugin.espnet.model.attention_greedy import greedy_paths

    encoder_out = torch.arange(float(len(rows)))[:, None, None].expand(-1, frames, 1)
    return greedy_paths(
        model_of(Writer(*rows)), encoder_out, torch.full((len(rows),), frames),
        durations=[seconds] * len(rows), limits=limits,
    )  # fmt: skip


def test_a_loop_is_ended_and_said_once():
    (path,) = paths_of([A, B], seconds=100.0)
    assert path.ids[1:] == (A, B) and path.ended_early == REPEATS
    assert path.score == pytest.approx(-2.3048, abs=1e-3)  # ln 10 for the tag, and two letters


def test_a_text_has_no_more_characters_than_can_be_said_in_its_time():
    numbers = [A if bit == "0" else B for n in range(64) for bit in f"{n:06b}"]  # no loop
    (path,) = paths_of(numbers, seconds=2.0)
    assert len(path.ids) - 1 == 2 * 30 + SPARE_CHARS and path.ended_early == TOO_LONG
    (path,) = paths_of(numbers, seconds=2.0, limits=WritingLimits(max_chars_per_second=10.0))
    assert len(path.ids) - 1 == 2 * 10 + SPARE_CHARS


def test_an_utterances_bound_is_its_own_whatever_its_company():
    words, loop, both = [A, C, EOS], [A, B, C], [B, EOS]
    together = paths_of(words, loop, both)
    assert [path.ids[1:] for path in together] == [(A, C), (A, B, C), (B,)]
    assert [path.ended_early for path in together] == ["", REPEATS, ""]
    alone = [paths_of(row)[0] for row in (words, loop, both)]
    assert [path.ids for path in alone] == [path.ids for path in together]


def test_both_rules_can_be_switched_off():
    (path,) = paths_of([A], frames=90, limits=WritingLimits(None, end_repetition=False))
    assert len(path.ids) == 1 + 90
