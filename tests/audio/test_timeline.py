"""Frames lie where their stamps say, to a tenth of a second; nothing is placed twice."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.audio.timeline import NEAR, Timeline

RATE, FRAME = 1000, 20


def placed(stamps, length=FRAME):
    """(start of each frame, samples left out of it), and the time line."""
    line, found = Timeline(RATE), []
    for at, following in zip(stamps, [*stamps[1:], None], strict=True):
        _, left_out = line.place(at, length, following)
        found.append((line.end - length + left_out, left_out))
    return found, line


gaps = st.lists(st.integers(0, 500), min_size=1, max_size=40)


@given(gaps)
def test_every_frame_is_within_a_tenth_of_a_second_of_its_stamp(pauses):
    """Two frames after each pause, for a stamp that stands alone is not believed."""
    stamps, at = [], 0
    for pause in pauses:
        at += pause
        stamps += [at, at + FRAME]
        at += 2 * FRAME
    found, _ = placed(stamps)
    for (start, _), stamp in zip(found, stamps, strict=True):
        assert abs(start - stamp) <= NEAR * RATE


@given(st.lists(st.one_of(st.none(), st.integers(-(10**6), 10**6)), max_size=60))
def test_frames_follow_each_other_whatever_the_stamps_say(stamps):
    found, line = placed(stamps) if stamps else ([], Timeline(RATE))
    end = 0
    for start, left_out in found:
        assert start >= end and 0 <= left_out <= FRAME
        end = start + FRAME - left_out
    assert line.end == end


@given(st.lists(st.floats(-0.09, 0.09), min_size=5, max_size=200))
def test_jitter_about_the_true_time_moves_no_frame_for_long(offs):
    stamps = [round(n * FRAME + off * RATE) for n, off in enumerate(offs)]
    stamps[0] = 0
    stamps = list(itertools.accumulate(stamps, lambda a, b: max(a + 1, b)))  # as writers do
    found, _ = placed(stamps)
    for n, (start, _) in enumerate(found):
        assert abs(start - n * FRAME) <= NEAR * RATE


def test_frames_without_stamps_follow_on():
    assert [start for start, _ in placed([None] * 3)[0]] == [0, FRAME, 2 * FRAME]


def test_a_stamp_that_stands_alone_is_not_believed():
    stamps = [n * FRAME for n in range(10)]
    stamps[4] = 9000
    assert [start for start, _ in placed(stamps)[0]] == [n * FRAME for n in range(10)]


def test_stamps_that_begin_anew_follow_on_the_last():
    stamps = [*range(0, 2000, FRAME), *range(0, 400, FRAME)]
    found, line = placed(stamps)
    assert [start for start, _ in found] == list(range(0, 2400, FRAME)) and line.steps_back == 1
    chain = Timeline(RATE, is_chain=True)
    for at in (0, 20, 40, 0, 20):
        assert chain.place(at, FRAME, at + FRAME) == (0, 0)


@pytest.mark.parametrize(("first", "last"), [(100, 200), (180, 200), (0, 200)])
def test_a_stretch_that_the_file_holds_twice_is_placed_once(first, last):
    stamps = [*range(0, last, FRAME), *range(first, 400, FRAME)]
    found, line = placed(stamps)
    kept = [start for start, left_out in found if not left_out]
    assert kept == list(range(0, 400, FRAME)) and line.num_repeated == last - first


def test_a_slow_clock_is_followed_in_small_steps():
    stamps = [round(n * FRAME * 1.01) for n in range(1000)]
    found, _ = placed(stamps)
    errors = [stamp - start for (start, _), stamp in zip(found, stamps, strict=True)]
    assert max(map(abs, errors)) <= 0.05 * RATE


def test_a_fast_clock_is_followed_by_leaving_out():
    stamps = [round(n * FRAME * 0.99) for n in range(1000)]
    found, line = placed(stamps)
    errors = [stamp - start for (start, _), stamp in zip(found, stamps, strict=True)]
    assert max(map(abs, errors)) <= 0.05 * RATE
    assert sum(left_out for _, left_out in found) > 0 and line.steps_back == 0
