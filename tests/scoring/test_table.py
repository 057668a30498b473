"""The terminal's table fits 100 columns, is aligned, and hides nothing that is amiss."""

import pytest

from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.scoring.report import build_report
from asr_dro_plugin.scoring.table import HEADER, percent, score_rows, text_table


def iso(number):
    """laa, lab, lac …"""
    return f"l{chr(97 + number // 26)}{chr(97 + number % 26)}"


def report(num_langs=3, lang_of=iso, num_missing=0, durations=True, words="ab cd"):
    langs = {f"utterance-{i:04d}": lang_of(i) for i in range(num_langs)}
    refs = {utt_id: f"[{lang}] {words}" for utt_id, lang in langs.items()}
    hyps = dict.fromkeys(list(refs)[num_missing:], "[laa] ab") | {"other": "a"}
    seconds = dict.fromkeys(refs, 90.0) if durations else None
    return build_report(score(refs, hyps, langs, durations=seconds), "test_x")


def test_rows_are_the_languages_by_name_then_macro_worst_total():
    names = [row[0] for row in score_rows(report())]
    assert names == ["laa", "lab", "lac", "macro", "worst: laa", "total"]


def test_a_language_row_holds_its_figures():
    row = dict(zip(HEADER, score_rows(report())[0], strict=True))
    assert row == {
        "lang": "laa", "spk": "-", "utts": "1", "chars": "5", "minutes": "1.5", "CER %": "60.0",
        "95 %": "too few", "sub": "0.0",
        "del": "60.0", "ins": "0.0", "WER %": "50.0", "LID %": "100.0",
    }  # fmt: skip


@pytest.mark.parametrize("num_missing", [0, 3, 40])
def test_no_line_passes_100_columns(num_missing):
    names = "a_very_long_language_and_corpus_name_{:03d}".format
    wide = report(150, names, num_missing, words="ab " * 4000)
    assert max(map(len, text_table(wide).splitlines())) <= 100


def test_the_summary_names_both_conventions_and_how_many_are_averaged():
    lines = text_table(report(20)).splitlines()
    head = next(line for line in lines if line.startswith("%"))
    assert head.split() == ["%", "micro", "95", "%", "macro", "95", "%", "worst", "worst", "15",
                            "best", "15", "std", "utt", "mean"]  # fmt: skip
    assert any("(corpus rate)" in line and "utt mean" in line for line in lines)
    assert any("ML-SUPERB's convention" in line for line in lines)


def test_the_mean_of_all_languages_is_told_once():
    head = next(line for line in text_table(report(5)).splitlines() if line.startswith("%"))
    assert "worst" in head and "worst 5" not in head and "best" not in head


def test_columns_are_aligned_to_the_right():
    lines = text_table(report()).splitlines()
    body = [line for line in lines if line.startswith(("lang", "la", "macro", "worst:", "total "))]
    assert len({len(line) for line in body[:7]}) == 1


def test_it_names_the_set_and_the_normaliser():
    assert text_table(report()).startswith("Set test_x, text normalised by 'lower_no_punct':")


def test_missing_and_extra_ids_are_named():
    text = text_table(report(8, num_missing=7))
    assert "missing: 7 references without hypothesis" in text
    assert "utterance-0000" in text
    assert "…" in text
    assert "extra: 1 hypotheses without reference, not counted: other" in text


def test_the_three_kinds_sum_to_the_cer_even_for_an_empty_reference():
    found = build_report(score({"e": ""}, {"e": "abc"}, {"e": "eng"}), "test_x")
    row = dict(zip(HEADER, score_rows(found)[0], strict=True))
    assert [row[name] for name in ("CER %", "sub", "del", "ins")] == [
        "100.0",
        "0.0",
        "0.0",
        "100.0",
    ]


def test_what_was_not_measured_is_a_dash():
    assert percent(None) == "-"
    row = dict(zip(HEADER, score_rows(report(durations=False))[0], strict=True))
    assert row["minutes"] == "-"
