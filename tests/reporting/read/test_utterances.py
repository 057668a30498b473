"""The utterances' table is read strictly; the worst are chosen fairly; texts lie side by side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.page.part_utterances import aligned, direction
from asr_dro_plugin.reporting.read.utterances import (
    COLUMNS,
    ScoredUtterance,
    aligned_pieces,
    read_utterances,
    worst_utterances,
)


def utterance(utt_id, group, errors, ref_chars):
    return ScoredUtterance(utt_id, group, utt_id, errors, ref_chars, group, "r" * ref_chars, "h")


def write(path, *rows):
    path.write_text("\n".join(["\t".join(COLUMNS), *rows]) + "\n", "utf-8")
    return path


def test_rows_are_read_with_empty_texts(tmp_path):
    row = "u1\teng\ts1\t2\t1\t1\t0\t9\t1\t1\t0\t0\t2\trus\tab cd\t"
    found = read_utterances(write(tmp_path / "utts.tsv", row))
    assert found == [ScoredUtterance("u1", "eng", "s1", 2, 9, "rus", "ab cd", "")]
    assert read_utterances(tmp_path / "absent.tsv") is None


@pytest.mark.parametrize("row", ["u1\teng", "u1\teng\ts1\tx" + 12 * "\t1"])
def test_a_damaged_row_is_named(tmp_path, row):
    with pytest.raises(UserError, match="utts.tsv:2 is no row"):
        read_utterances(write(tmp_path / "utts.tsv", row))


def test_another_table_is_refused(tmp_path):
    (tmp_path / "utts.tsv").write_text("a\tb\n")
    with pytest.raises(UserError, match="does not begin with the columns"):
        read_utterances(tmp_path / "utts.tsv")


def test_no_language_fills_the_list_and_short_ones_come_last():
    rows = [utterance(f"a{n}", "aaa", 9, 10) for n in range(5)]
    rows += [utterance("b1", "bbb", 1, 10), utterance("b2", "bbb", 3, 3)]
    rows += [utterance("c1", "ccc", 0, 10)]
    assert [u.utt_id for u in worst_utterances(rows, 6)] == ["a0", "a1", "a2", "b1", "b2"]
    assert [u.utt_id for u in worst_utterances(rows, 1)] == ["a0"]
    assert len(worst_utterances(rows[:5], 5)) == 5  # the only language may fill it


@given(st.text("ab "), st.text("ab "))
def test_the_pieces_make_up_both_texts_and_the_fewest_errors(ref, hyp):
    from rapidfuzz.distance import Levenshtein

    pieces = aligned_pieces(ref, hyp)
    assert "".join(piece for _, piece, _ in pieces) == ref
    assert "".join(piece for _, _, piece in pieces) == hyp
    assert all(kind != "equal" or one == other for kind, one, other in pieces)
    errors = sum(max(len(a), len(b)) for kind, a, b in pieces if kind != "equal")
    assert errors == Levenshtein.distance(ref, hyp)


def test_errors_are_marked_and_spaces_are_seen():
    drawn = aligned(aligned_pieces("ab cd", "abcx"), "ab cd")
    assert '<span class="del"><b>\u2423</b><b>\u2205</b></span>' in drawn
    assert '<span class="sub"><b>d</b><b>x</b></span>' in drawn


def test_text_runs_in_its_own_direction():
    assert direction("مرحبا") == "rtl"
    assert direction("12 שלום") == "rtl"
    assert direction("hello") == direction("") == "ltr"
