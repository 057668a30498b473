"""Hypotheses under way: cut off anywhere they go on, and those of two models never meet."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.transcripts.partial import (
    GrowingHypotheses,
    JoinedParts,
    read_so_far,
    remove_parts,
)
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, to_json

TEXTS = {"u1": "[eng] где zażółć", "u2": "", "u3": "[deu] ab"}
ONE = {"model": "1", "data": "a"}


def transcripts(texts):
    """Transcripts with these texts."""
    return [Transcript(utt_id, (Hypothesis(text, -1.5),)) for utt_id, text in texts.items()]


def texts_of(path):
    """Texts of a whole part."""
    part = JoinedParts([path])
    return {each.utt_id: each.text for each in part.read(id_ for id_ in TEXTS if id_ in part)}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "parts" / "hyp.1of1.jsonl"


def begin(path, texts=None, source=ONE) -> None:
    """What a process has written that was killed: nothing is moved into place."""
    growing = GrowingHypotheses(path, source, TEXTS)
    growing.__enter__().add(transcripts(texts or {}))
    growing._stream.close()


def whole(path, source=ONE) -> GrowingHypotheses:
    """The same, run to its end."""
    with GrowingHypotheses(path, source, TEXTS) as growing:
        growing.add(transcripts(TEXTS))
    return growing


def test_a_start_that_fails_before_its_first_transcript_removes_nothing(path):
    begin(path, {"u1": "a"})
    GrowingHypotheses(path, ONE | {"lang": "typo"}, TEXTS)  # its model then knows no such language
    assert GrowingHypotheses(path, ONE, TEXTS).done == {"u1"}
    whole(path)
    GrowingHypotheses(path, ONE | {"lang": "typo"}, TEXTS)
    assert GrowingHypotheses(path, ONE, TEXTS).is_whole


@given(cut=st.integers(0, 500), zeros=st.integers(0, 3))
def test_a_file_cut_off_at_any_byte_loses_no_whole_line(tmp_path_factory, cut, zeros):
    path = tmp_path_factory.mktemp("cut") / "hyp.1of1.jsonl"
    begin(path, TEXTS)
    growing = path.with_name("hyp.1of1.jsonl.partial")
    raw = growing.read_bytes()[:cut]
    growing.write_bytes(raw + bytes(zeros))
    again = GrowingHypotheses(path, ONE, TEXTS)
    assert again.done == set(list(TEXTS)[: raw.count(b"\n")])
    assert read_so_far(path.parent) == {utt_id: TEXTS[utt_id] for utt_id in again.done}
    with again:
        again.add(transcripts(TEXTS))
    assert texts_of(path) == TEXTS and not growing.exists()


def test_what_was_added_is_on_the_disk_before_anything_is_closed(path):
    growing = GrowingHypotheses(path, ONE, TEXTS).__enter__()
    growing.add(transcripts({"u1": TEXTS["u1"]}))
    assert read_so_far(path.parent) == {"u1": TEXTS["u1"]}
    assert not path.exists()


def test_a_decoding_that_fails_is_not_moved_into_place(path):
    with pytest.raises(ZeroDivisionError), GrowingHypotheses(path, ONE, TEXTS) as growing:
        growing.add(transcripts(TEXTS))
        raise ZeroDivisionError
    assert not path.exists() and read_so_far(path.parent) == TEXTS


def test_what_is_whole_stays_as_it_is(path):
    whole(path)
    before = path.stat().st_mtime_ns
    again = GrowingHypotheses(path, ONE, TEXTS)
    assert again.is_whole and path.stat().st_mtime_ns == before


def test_a_whole_file_that_lost_a_line_is_completed(path):
    whole(path)
    path.write_text("".join(to_json(x) + "\n" for x in transcripts({"u1": "x"})))
    again = GrowingHypotheses(path, ONE, TEXTS)
    assert not again.is_whole and again.done == {"u1"}
    with again:
        again.add(transcripts(TEXTS))
    assert texts_of(path) == TEXTS | {"u1": "x"}


def test_a_part_without_utterances_is_an_empty_file(path):
    empty = GrowingHypotheses(path, ONE, [])
    assert not empty.is_whole
    with empty:
        empty.add([])
    assert path.read_bytes() == b""
    assert GrowingHypotheses(path, ONE, []).is_whole


@pytest.mark.parametrize("finish", [True, False])
def test_another_model_begins_anew_and_says_why(path, caplog, finish):
    whole(path) if finish else begin(path, TEXTS)
    again = GrowingHypotheses(path, ONE | {"model": "2"}, TEXTS)
    assert (again.done, again.is_whole) == (set(), False)
    begin(path, {"u1": "new"}, source=ONE | {"model": "2"})
    assert not path.exists()
    assert "begun anew, for another model." in caplog.text
    assert read_so_far(path.parent) == {"u1": "new"}


def test_hypotheses_of_unknown_source_are_not_gone_on_with(path, caplog):
    path.parent.mkdir()
    path.write_text("u1 old\nu2 old\nu3 old\n")
    assert GrowingHypotheses(path, ONE, TEXTS).done == set()
    begin(path)
    assert "another data, model" in caplog.text
    assert not path.exists()


def test_of_two_models_the_one_written_to_last_counts(path):
    begin(path, {"u1": "old", "u2": "old"})
    for file in path.parent.iterdir():
        os.utime(file, (1, 1))
    other = path.with_name("hyp.1of2.jsonl")  # decoded again in more parts
    begin(other, source=ONE | {"model": "2"})
    assert read_so_far(path.parent) == {}
    begin(other, {"u1": "new"}, source=ONE | {"model": "2"})
    assert read_so_far(path.parent) == {"u1": "new"}


def test_parts_of_one_source_are_put_together(path):
    whole(path)
    second = path.with_name("hyp.2of2.jsonl")
    with GrowingHypotheses(second, ONE, ["u4", "u5"]) as growing:
        growing.add(transcripts({"u4": "x"}))
        assert read_so_far(path.parent) == TEXTS | {"u4": "x"}


def test_no_folder_holds_no_hypotheses(tmp_path):
    assert read_so_far(tmp_path / "nowhere") == {}


def test_parts_of_two_models_are_not_joined(path):
    other = path.with_name("hyp.2of2.jsonl")
    whole(path), whole(other)
    JoinedParts([path, other])
    whole(other, ONE | {"model": "2"})
    with pytest.raises(UserError, match="hyp.2of2.jsonl was made by another model"):
        JoinedParts([path, other])


def test_after_joining_nothing_of_the_parts_is_left(path):
    whole(path), begin(path.with_name("hyp.1of2.jsonl"), TEXTS)
    remove_parts(path.parent)
    assert list(path.parent.iterdir()) == []


@given(order=st.permutations(list(TEXTS)), split=st.integers(0, 3))
def test_joined_parts_give_any_order_whatever_part_it_lies_in(tmp_path_factory, order, split):
    folder = tmp_path_factory.mktemp("joined")
    paths = [folder / "hyp.1of2.jsonl", folder / "hyp.2of2.jsonl"]
    for path, utt_ids in zip(paths, (order[:split], order[split:]), strict=True):
        with GrowingHypotheses(path, ONE, utt_ids) as growing:
            growing.add(transcripts({utt_id: TEXTS[utt_id] for utt_id in utt_ids}))
    assert list(JoinedParts(paths).read(TEXTS)) == transcripts(TEXTS)


def test_a_damaged_part_is_not_joined(path):
    whole(path)
    raw = path.read_bytes()
    path.write_bytes(raw[:-30])
    place = raw[:-30].rfind(b"\n") + 1
    with pytest.raises(UserError, match=f"hyp.1of1.jsonl is damaged after byte {place}. Run stage"):
        JoinedParts([path])
