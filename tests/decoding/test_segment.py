"""Long recordings are cut in their pauses, into pieces of the wanted length where that can be."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.decoding.segment import Lengths, Stretch, cut, voiced, with_quiet_cuts
from asr_dro_plugin.errors import UserError

RATE = 16000


def stretches_of(edges):
    return [Stretch(start, end) for start, end in edges]


def minute_of_speech(seed=0, seconds=60.0):
    """Stretches of 0.5 to 3 s with pauses of 0.2 to 1.2 s between them."""
    rng, found, at = np.random.default_rng(seed), [], 0.4
    while at < seconds - 3.5:
        end = at + float(rng.uniform(0.5, 3))
        found.append(Stretch(at, end))
        at = end + float(rng.uniform(0.2, 1.2))
    return found


def assert_cuts_lie_in_pauses(pieces, stretches):
    assert [piece.first for piece in pieces] == [0, *(piece.last for piece in pieces[:-1])]
    assert pieces[-1].last == len(stretches)
    for piece in pieces:
        assert piece.start <= stretches[piece.first].start
        assert piece.end >= stretches[piece.last - 1].end
    for before, after in itertools.pairwise(pieces):
        assert stretches[before.last - 1].end <= before.end <= after.start
        assert after.start <= stretches[after.first].start


@pytest.mark.parametrize("seed", range(8))
def test_a_minute_of_speech_falls_into_pieces_of_the_range(seed):
    stretches = minute_of_speech(seed)
    pieces = cut(stretches, Lengths(5, 20), 60)
    assert all(5 <= piece.end - piece.start <= 20 and not piece.faults for piece in pieces)
    assert_cuts_lie_in_pauses(pieces, stretches)


def test_long_pauses_are_preferred_to_even_lengths():
    stretches, at = [], 0.0
    for number in range(1, 37):
        stretches.append(Stretch(at, at + 0.8))
        at += 0.8 + (1.0 if number in (9, 24) else 0.1)
    pieces = cut(stretches, Lengths(5, 15), at)
    assert [piece.last for piece in pieces] == [9, 24, 36]


def test_silence_is_left_out_but_for_a_margin():
    stretches = stretches_of([(3, 9), (30, 36.0)])
    pieces = cut(stretches, Lengths(5, 20, pad=0.2), 100)
    assert [(piece.start, piece.end) for piece in pieces] == [(2.8, 9.2), (29.8, 36.2)]
    pieces = cut(stretches_of([(0.1, 6), (6.2, 12.1)]), Lengths(5, 10, pad=0.2), 12.2)
    assert [(piece.start, piece.end) for piece in pieces] == [(0, 6.1), (6.1, 12.2)]


def test_what_cannot_be_in_range_is_named_and_the_rest_is_cut():
    stretches = stretches_of([(0, 6), (7, 37), (38, 44), (60, 61)])
    pieces = cut(stretches, Lengths(5, 20), 70)
    assert [(piece.first, piece.last, piece.faults) for piece in pieces] == [
        (0, 1, ()),
        (1, 2, ("too long",)),
        (2, 3, ()),
        (3, 4, ("too short",)),
    ]
    assert cut([], Lengths(5, 20), 3) == []


def test_a_short_rest_is_taken_along_where_there_is_room():
    pieces = cut(stretches_of([(0, 9), (9.5, 18), (18.5, 19.5)]), Lengths(5, 20), 20)
    assert [piece.faults for piece in pieces] == [()]


def test_speech_without_a_pause_is_cut_only_where_that_is_allowed_and_said():
    rng = np.random.default_rng(0)
    samples = 0.3 * rng.standard_normal(40 * RATE).astype(np.float32)
    for quiet in (12.0, 26.0):
        samples[round(quiet * RATE) : round((quiet + 0.08) * RATE)] *= 0.01
    regions = [(0.0, 40.0)]
    whole = cut(stretches_of(regions), Lengths(5, 20), 40)
    assert [piece.faults for piece in whole] == [("too long",)]
    pieces = cut(with_quiet_cuts(regions, samples, 20), Lengths(5, 20), 40)
    assert [piece.faults for piece in pieces] == [(), ("begins in speech",), ("begins in speech",)]
    assert [piece.start for piece in pieces] == pytest.approx([0, 12.04, 26.04], abs=0.03)
    assert [piece.end for piece in pieces[:-1]] == [piece.start for piece in pieces[1:]]


def test_a_pause_is_taken_before_any_cut_in_speech():
    regions = [(0.0, 12.0), (12.3, 24.0), (24.3, 50.0)]
    samples = np.random.default_rng(0).standard_normal(50 * RATE).astype(np.float32)
    pieces = cut(with_quiet_cuts(regions, samples, 20), Lengths(5, 20), 50)
    assert sum("begins in speech" in piece.faults for piece in pieces) == 1
    assert {12.15, 24.15} <= {round(piece.start, 2) for piece in pieces}


def test_margins_make_no_piece_too_long():
    pieces = cut(stretches_of([(1, 10.9), (12, 21.9)]), Lengths(5, 10), 30)
    assert [round(piece.end - piece.start, 6) for piece in pieces] == [10, 10]
    assert pieces[0].start == pytest.approx(0.95) and not pieces[0].faults


@settings(deadline=None)
@given(
    edges=st.lists(st.floats(0.05, 9), min_size=2, max_size=14),
    shortest=st.floats(0.1, 5),
    width=st.floats(0.5, 10),
)
def test_no_other_way_to_cut_has_lesser_faults(edges, shortest, width):
    times = list(itertools.accumulate(edges[: len(edges) // 2 * 2]))
    stretches = stretches_of(itertools.batched(times, 2))
    lengths = Lengths(shortest, shortest + width, pad=0)
    pieces = cut(stretches, lengths, times[-1] + 1)
    assert_cuts_lie_in_pauses(pieces, stretches)
    long_ones = [piece for piece in pieces if "too long" in piece.faults]
    assert all(piece.last - piece.first == 1 for piece in long_ones)
    found = shortfall([(piece.first, piece.last) for piece in pieces], stretches, lengths)
    assert found <= least_shortfall(stretches, lengths) + 0.1


def shortfall(bounds, stretches, lengths):
    """One for each piece that is too short, and by how much; infinite for needlessly long ones."""
    total = 0.0
    for first, last in bounds:
        seconds = stretches[last - 1].end - stretches[first].start
        if seconds > lengths.longest + 1e-6 and last - first > 1:
            return np.inf
        under = lengths.shortest - seconds
        total += 1 + under / lengths.shortest if under > 1e-6 else 0
    return total


def least_shortfall(stretches, lengths):
    """Of all ways to cut."""
    found = []
    for way in itertools.product([False, True], repeat=len(stretches) - 1):
        ends = [*(n for n, cut_here in enumerate(way, 1) if cut_here), len(stretches)]
        found.append(shortfall(list(zip([0, *ends], ends)), stretches, lengths))
    return min(found)


def test_pauses_of_an_emission_are_its_long_runs_of_what_is_no_sound():
    blank, space, tag, a = 0, 1, 2, 3
    best = [blank] * 10 + [tag] + [blank] * 9 + [a, blank, blank, a] + [blank, space] * 10 + [a]
    regions = voiced(np.array(best), [blank, space, tag], 0.1, 0.5)
    assert np.round(regions, 6).tolist() == [[2.0, 2.4], [4.4, 4.5]]


def test_a_range_that_is_none_is_refused():
    with pytest.raises(UserError, match="20 to 5 s cannot be made"):
        Lengths(20, 5)
