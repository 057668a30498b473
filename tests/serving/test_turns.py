from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.serving.turns import LONG_TURN, SHORT, Turns


@dataclass(eq=False)
class Recording:
    seconds_left: float
    is_live: bool = False
    is_ready: bool = True


def turns_of(*recordings):
    turns = Turns()
    for recording in recordings:
        turns.add(recording)
    return turns


@given(st.integers(1, 5), st.integers(1, 5))
def test_short_ones_go_first_one_after_the_other_and_long_ones_by_rounds(num_short, num_long):
    short = [Recording(SHORT) for _ in range(num_short)]
    long = [Recording(SHORT + 1) for _ in range(num_long)]
    turns = turns_of(*long, *short)
    chosen = [turns.next() for _ in range(LONG_TURN * num_long)]
    counts = Counter(map(id, chosen))
    assert [counts[id(each)] for each in long] == [1] * num_long
    assert counts[id(short[0])] == len(chosen) - num_long
    turns.remove(short[0])
    following = {id(turns.next()) for _ in range(LONG_TURN)}
    assert not short[1:] or id(short[1]) in following


def test_one_that_becomes_short_is_finished_first():
    first, second = Recording(3600.0), Recording(3600.0)
    turns = turns_of(first, second)
    second.seconds_left = 5.0
    assert [turns.next() for _ in range(LONG_TURN - 1)] == [second] * (LONG_TURN - 1)


def test_who_speaks_has_every_other_turn_and_none_while_silent():
    speaker, recording = Recording(0.0, is_live=True), Recording(5.0)
    turns = turns_of(recording, speaker)
    assert Counter(turns.next() is speaker for _ in range(10)) == {True: 5, False: 5}
    speaker.is_ready = False
    assert {turns.next() for _ in range(4)} == {recording}
    turns.remove(recording)
    assert turns.is_waiting and turns.next() is None
