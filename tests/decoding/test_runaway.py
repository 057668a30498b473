"""What counts as a loop, and what does not: a sentence said again on purpose stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.decoding.build import decoder_for
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.decoding.runaway import (
    COPIES,
    NO_ROOM,
    REPEATED_TOKENS,
    REPEATS,
    TOO_LONG,
    GrowingText,
    Repetition,
    WritingLimits,
    chars_of_tokens,
)
from asr_dro_plugin.errors import UserError
from tests import toy

IDS = st.lists(st.integers(0, 3), max_size=60)


def repeated_by_definition(ids, copies, least):
    """The longest end of which each token equals the one a period before, for any period."""
    best = 0
    for period in range(1, len(ids)):
        run = 0
        while run + period < len(ids) and ids[-1 - run] == ids[-1 - run - period]:
            run += 1
        if run >= max(least, (copies - 1) * period):
            best = max(best, run)
    return best


@given(IDS, st.integers(2, 5), st.integers(1, 20))
def test_counting_on_the_way_is_the_definition(ids, copies, least):
    repetition = Repetition()
    for token in ids:
        repetition.add(token)
    assert repetition.repeated(copies, least) == repeated_by_definition(ids, copies, least)


def written(ids, most_chars=float("inf"), most_tokens=1000, end_repetition=True):
    """What is kept of tokens of one character each."""
    text = GrowingText(np.ones(1000, np.int32), most_chars, most_tokens, end_repetition)
    for number, token in enumerate(ids):
        if not text.is_going:
            break
        text.add(token, -float(number))
    return text


@given(IDS, st.lists(st.integers(4, 9), min_size=1, max_size=30, unique=True))
def test_a_loop_is_kept_once_whatever_stands_before_it(before, unit):
    text = written([*before, *(unit * 40)])
    if text.why and len(text.ids) <= len(before):  # what stands before it was one already
        return
    assert text.why == REPEATS and text.ids == [*before, *unit]
    assert len(text.scores) == len(text.ids)


@pytest.mark.parametrize("pieces", [1, 2, 3, 7, 20])
def test_what_people_say_again_is_no_loop(pieces):
    """Reports of cut choruses and of "again and again and again": three copies of any length, or
    fewer than 17 tokens' worth."""
    unit = list(range(pieces))
    few = max(COPIES - 1, REPEATED_TOKENS // pieces)
    ids = [*unit * few, 99]
    assert written(ids).ids == ids and not written(ids).why


def test_a_long_text_that_ends_in_copies_is_kept_with_one():
    assert written([1, 2, 3, 4, 4, 4, 4, 4], most_chars=6).ids == [1, 2, 3, 4]
    text = written([1, 2, 3, 4, 5, 6, 7, 8], most_chars=6)
    assert text.ids == [1, 2, 3, 4, 5, 6] and text.why == TOO_LONG
    assert written([4] * 9, most_chars=6, end_repetition=False).ids == [4] * 6


def test_the_decoders_own_room_ends_a_text_as_it_is():
    text = written([5] * 9, most_tokens=4)
    assert text.ids == [5] * 4 and text.why == NO_ROOM
    assert not written([], most_tokens=0).is_going


def test_characters_of_tokens_are_those_of_their_text():
    assert chars_of_tokens(["Ġthe", "Ã¤", "Ã", "¤", "<|en|>"], "hugging_face").tolist() == [
        4, 1, 1, 0, 0,
    ]  # fmt: skip
    names = toy.tokens()
    counts = dict(zip(names, chars_of_tokens(names, "char").tolist(), strict=True))
    assert counts["a"] == counts["<space>"] == 1
    assert chars_of_tokens(["▁haus", "tür"], "bpe").tolist() == [4, 3]


def test_a_bound_grows_with_the_sound():
    limits = WritingLimits()
    assert limits.most_chars(2.0) - limits.most_chars(1.0) == limits.max_chars_per_second
    assert limits.most_chars(None) == WritingLimits(None).most_chars(1.0) == float("inf")


def test_limits_of_writing_are_refused_where_frames_bound_a_text():
    model = {"token_list": toy.tokens(), "model_conf": {"ctc_weight": 1.0}}
    config = read_decode_config({"max_chars_per_second": 12.5})
    with pytest.raises(UserError, match="max_chars_per_second is for models whose attention"):
        decoder_for(model, config)
    assert decoder_for({**model, "model_conf": {"ctc_weight": 0.0}}, config) is not None
