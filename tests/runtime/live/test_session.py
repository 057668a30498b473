"""What is said live is what is said: nothing twice, nothing lost, nothing that changes later."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.runtime.live.model import LiveModel
from asr_dro_plugin.runtime.live.session import (
    Final,
    Interim,
    LiveSession,
    Started,
    Stopped,
    TurnEnds,
)
from asr_dro_plugin.runtime.live.words import spans_of
from tests.runtime.live.convs import conv_stack
from tests.runtime.live.tones import pcm, pieces_of, says, tone_model

CONV = LiveModel(conv_stack(), tone_model(True).reader)
NOISE = np.random.default_rng(2).standard_normal(16000 * 9).astype(np.float32)
NOISE *= 0.1 * np.abs(np.sin(np.arange(len(NOISE)) / 3000))
BOTH = pytest.mark.parametrize("is_exact", [True, False], ids=["exact", "windows"])
LENGTHS = st.lists(st.integers(1, 40_000), min_size=1, max_size=5).filter(lambda x: sum(x) > 900)
MANUAL = TurnEnds(silence=None, longest=3)


def heard(session: LiveSession, data: bytes, lengths: list[int]) -> list:
    """All events until a commit behind the last piece."""
    events = [event for piece in pieces_of(data, lengths) for event in session.feed(piece)]
    return events + list(session.commit())


def finals(events: list) -> list[str]:
    return [event.text for event in events if isinstance(event, Final)]


def told(events: list) -> str:
    """The words of all partials."""
    return " ".join(w.text for e in events if isinstance(e, Interim) for w in e.words)


@given(lengths=LENGTHS, hop=st.sampled_from([0.2, 0.32]))
@settings(max_examples=20, deadline=None)
def test_an_exact_stack_says_what_it_says_of_the_whole_recording(lengths, hop):
    data = pcm(NOISE)
    whole = CONV.stack(np.frombuffer(data, "<i2") / np.float32(32768))
    words = CONV.reader.words(spans_of(whole, 0), 0.0, 9.0)
    events = heard(LiveSession(CONV, turns=MANUAL, hop=hop), data, lengths)
    assert finals(events) == [" ".join(word.text for word in words)] == [told(events)]
    for ours, theirs in zip(events[-1].words, words, strict=True):
        assert ours.start == round(theirs.start, 4) and ours.end == round(theirs.end, 4)
        assert ours.confidence == pytest.approx(theirs.confidence, abs=2e-4)


@given(lengths=LENGTHS, is_exact=st.booleans(), rate=st.sampled_from([16000, 24000]))
@settings(max_examples=25, deadline=None)
def test_events_do_not_depend_on_the_pieces(lengths, is_exact, rate):
    data = pcm(says("Eabc de_fa bc__hg"))
    of = lambda lengths: heard(LiveSession(tone_model(is_exact), rate), data, lengths)  # noqa: E731
    assert of(lengths) == of([len(data)])


@BOTH
def test_pauses_part_items_and_each_says_when_it_was(is_exact):
    session = LiveSession(tone_model(is_exact))
    events = heard(session, pcm(says("__Eabc de__fa bc__")), [3201])
    assert finals(events) == ["abc de", "fa bc", ""]  # the commit's own is empty
    first, second, _ = (event for event in events if isinstance(event, Final))
    assert [e.seconds for e in events if isinstance(e, Started)] == [2.08, 4.56]
    assert [e.seconds for e in events if isinstance(e, Stopped)] == [2.52, 4.92]
    assert (first.lang, second.lang) == ("eng", "eng")  # the last one that was said
    assert [(w.text, w.start, w.end) for w in first.words] == [
        ("abc", 2.08, 2.28),
        ("de", 2.4, 2.52),
    ]
    assert first.start < 2.08 and 2.52 < first.end <= second.start < 4.56


@BOTH
def test_partials_are_the_beginning_of_the_final_text(is_exact):
    events = heard(LiveSession(tone_model(is_exact)), pcm(says("abc de fa bc hg abc a b")), [999])
    assert told(events) == finals(events)[0] == "abc de fa bc hg abc a b"
    partials = [event for event in events if isinstance(event, Interim)]
    assert len(partials) > 3 and any(event.guess for event in partials)


@BOTH
@pytest.mark.parametrize("turns", [MANUAL, TurnEnds(longest=3)], ids=["manual", "pauses"])
def test_what_is_said_again_and_again_is_neither_merged_nor_doubled_where_windows_meet(
    is_exact, turns
):
    text = " ".join(["abc de fg"] * 12 + ["aa aa"] * 10)
    session = LiveSession(tone_model(is_exact), turns=turns)
    events = heard(session, pcm(says(text)), [6400])
    assert " ".join(finals(events)) == told(events) == text
    items = [event for event in events if isinstance(event, Final)]
    assert all(a.end <= b.start for a, b in pairwise(word for item in items for word in item.words))


@BOTH
def test_words_that_were_told_are_not_told_again_by_the_item_behind_a_cut(is_exact):
    """The widest gap of an item that is too long lies before words that were told already."""
    first, rest = "abc de fg hg ab", "cd ef gh ba dc fe hg ab cd ef gh ba"
    gap = np.zeros(9 * 640, np.float32)
    sound = np.concatenate([says(f"{first} "), gap, says(rest)])
    session = LiveSession(tone_model(is_exact), turns=TurnEnds(longest=2), hop=0.16)
    events = heard(session, pcm(sound), [1280])
    assert len(finals(events)) > 2
    assert (
        told(events)
        == " ".join(finals(events))
        == "abc de fg hg ab cd ef gh ba dc fe hg ab cd ef gh ba"
    )


@BOTH
def test_a_word_that_fills_a_window_is_cut_and_no_letter_is_lost(is_exact):
    events = heard(
        LiveSession(tone_model(is_exact), turns=MANUAL), pcm(says("abcdefgh" * 20)), [6400]
    )
    assert finals(events) == ["abcdefgh" * 20]


@BOTH
def test_silence_at_the_end_does_not_empty_the_final(is_exact):
    session = LiveSession(tone_model(is_exact), turns=TurnEnds(silence=None))
    events = heard(session, pcm(says("abc de____")), [6400])
    assert finals(events) == ["abc de"] and {type(e) for e in events} == {Interim, Final}


@BOTH
def test_a_commit_amid_speech_loses_nothing_and_a_clear_forgets(is_exact):
    session = LiveSession(tone_model(is_exact))
    assert finals(list(session.feed(pcm(says("abc")))) + list(session.commit())) == ["abc"]
    list(session.feed(pcm(says("de de de"))))
    session.clear()
    assert session.pending == 0
    (last,) = [e for e in heard(session, pcm(says("fg")), [999]) if isinstance(e, Final)]
    assert last.text == "fg" and last.words[0].start == round((6 + 16) * 0.04, 4)


def test_a_commit_of_nothing_is_an_empty_text():
    (final,) = LiveSession(tone_model(True)).commit()
    assert (final.text, final.start, final.end) == ("", 0, 0)


@pytest.mark.parametrize("language, lang", [("fra", "fra"), ("eng fra", "eng"), ("free", "eng")])
def test_the_language_is_forced_chosen_or_free(language, lang):
    events = heard(LiveSession(tone_model(False, language)), pcm(says("Eabc de")), [999])
    assert finals(events) == ["abc de"] and events[-1].lang == lang


def test_hours_of_silence_take_no_memory_and_give_no_events():
    session = LiveSession(tone_model(True))
    quiet = bytes(32000 * 10)
    assert not [event for _ in range(60) for event in session.feed(quiet)]
    assert session.heard == 600 and session.pending < 1
    assert len(session._frames.log_probs) < 30


@pytest.mark.parametrize("bad", [{"silence": 0}, {"threshold": 1.5}, {"longest": 1000}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(UserError):
        TurnEnds(**bad)
