"""Confusions, alignments and phonemes of hand-made pairs; intervals and tests of whole scores."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring import score
from asr_dro_plugin.scoring.alignments import alignment_lines
from asr_dro_plugin.scoring.confidence import Units, intervals_of
from asr_dro_plugin.scoring.confusions import confusions, lid_confusion
from asr_dro_plugin.scoring.paired import compare_scores
from asr_dro_plugin.scoring.phonemes import PhonemeMap
from asr_dro_plugin.scoring.report import build_report, summary
from asr_dro_plugin.scoring.table import comparison_table, details_table, text_table


def test_confusions_are_counted_most_frequent_first():
    refs = {"u1": "ab cd", "u2": "ab ab", "u3": "x"}
    hyps = {"u1": "ob cd", "u2": "ob ob", "u3": ""}
    found = confusions(score(refs, hyps).utterances)
    assert found["chars"] == [["a", "o", 3], ["x", "", 1]]
    assert found["words"] == [["ab", "ob", 3], ["x", "", 1]]


def test_nothing_and_a_space_can_be_read():
    table = details_table(build_report(score({"u": "a b", "v": "c"}, {"u": "ab", "v": "cd"}), "x"))
    assert "(space)" in table and "(nothing)" in table


def test_words_of_a_script_without_spaces_are_its_characters():
    scored = score({"u": "你 好"}, {"u": "你 号"}, {"u": "cmn"}, no_space={"cmn"})
    assert confusions(scored.utterances)["words"] == [["好", "号", 1]]


def test_languages_taken_for_others_are_a_matrix():
    refs = {"u1": "[eng] a", "u2": "[eng] a", "u3": "[deu] a"}
    scored = score(refs, {"u1": "[eng] a", "u2": "[deu] a", "u3": "a"})
    assert lid_confusion(scored.utterances) == {"deu": {"none": 1}, "eng": {"deu": 1, "eng": 1}}
    assert scored.total.lid == 1 / 3
    assert "Language recognised" in details_table(build_report(scored, "x"))


def test_of_many_languages_the_mistakes_are_listed():
    refs = {f"u{number}": f"[{chr(97 + number)}aa] a" for number in range(14)}
    hyps = dict.fromkeys(refs, "[aaa] a")
    lines = details_table(build_report(score(refs, hyps), "x")).splitlines()
    assert lines[2].split() == ["true", "recognised", "times"]
    assert lines[4].split() == ["baa", "aaa", "1"]


def test_an_alignment_is_the_one_of_sclite():
    ref, hyp = ["the", "cat", "sat", "down"], ["the", "hat", "and", "sat"]
    assert alignment_lines(ref, hyp) == [
        "Scores: (#C #S #D #I) 2 1 1 1",
        "REF:  the *** CAT sat DOWN",
        "HYP:  the HAT AND sat ****",
        "Eval:     I   S       D",
    ]


def test_wide_and_combining_characters_stay_in_their_columns():
    lines = alignment_lines(["你好", "a"], ["你", "a"])
    assert lines[1:] == ["REF:  你好 a", "HYP:  你   a", "Eval: S"]
    assert alignment_lines([], [])[0].endswith("0 0 0 0")
    assert alignment_lines(["e\u0301x"], [])[2] == "HYP:  **"


def test_the_longest_symbol_matches_and_unknown_ones_are_counted(tmp_path):
    path = tmp_path / "map"
    path.write_text("# German\ns\ts\nsch\tʃ\nch\tx\nx\tk s\nh\t\na\ta\n", encoding="utf-8")
    phonemes = PhonemeMap.read(path)
    assert phonemes("scha s ch ha xö") == ["ʃ", "a", "s", "x", "a", "k", "s", "ö"]
    assert phonemes.unknown == {"ö": 1}


@pytest.mark.parametrize("content", ["a a\n", "a\tx\na\ty\n", "\tx\n", ""])
def test_a_damaged_phoneme_map_is_an_error(tmp_path, content):
    path = tmp_path / "map"
    path.write_text(content)
    with pytest.raises(UserError, match="map"):
        PhonemeMap.read(path)


def many(num=60, hyp="abcd"):
    langs = {f"u{number:02d}": ("eng", "rus")[number % 2] for number in range(num)}
    refs = {utt_id: f"[{lang}] abcde" for utt_id, lang in langs.items()}
    hyps = {utt_id: f"[{lang}] {hyp if number % 3 else 'abcde'}"
            for number, (utt_id, lang) in enumerate(langs.items())}  # fmt: skip
    return refs, hyps, langs


def test_intervals_hold_every_rate_and_name_groups_of_few_speakers():
    refs, hyps, langs = many()
    scored = score(refs, hyps, langs)
    speakers = {utt_id: "one" if lang == "rus" else utt_id[:2] + utt_id[-1:]
                for utt_id, lang in langs.items()}  # fmt: skip
    found = intervals_of(scored, Units("speaker", speakers))
    assert (found.kind, found.by_utterance) == ("speaker", ("rus",))
    for metric in scored.metrics:
        value = getattr(scored.total, metric)
        low, high = found.total[metric]
        assert low <= (value if metric == "lid" else value.rate) <= high
        if metric != "lid":  # all are right: no spread, and Wilson's interval is of one share
            assert found.macro[metric][0] <= scored.macro(metric) <= found.macro[metric][1]
    assert intervals_of(scored) == intervals_of(scored)


def test_all_right_is_not_told_as_certain():
    scored = score(*many())
    low, high = intervals_of(scored).groups["eng"]["lid"]
    assert scored.groups["eng"].lid == high == 1
    assert low == pytest.approx(0.886, abs=0.001)  # Wilson: 30 / (30 + 1.96^2)


def test_who_reads_is_told_what_the_intervals_are_drawn_by():
    refs, hyps, langs = many()
    scored = score(refs, hyps, langs)
    two = {utt_id: utt_id[-1:] if langs[utt_id] == "eng" else "one" for utt_id in refs}
    shown = " ".join(text_table(build_report(scored, "x", units=Units("speaker", two))).split())
    assert "bootstrap samples over speakers" in shown
    assert "over utterances in rus, of one speaker each" in shown
    found = build_report(scored, "x", units=Units("speaker", dict.fromkeys(refs, "one")))
    assert found["bootstrap"]["unit"] == "utterance"
    assert found["total"]["cer"]["ci"] == build_report(scored, "x")["total"]["cer"]["ci"]
    assert "of one speaker each in eng rus" in text_table(found)


def test_the_summary_is_that_of_hand_values():
    refs = {f"u{number}": "a" * 10 for number in range(4)}
    hyps = {f"u{number}": "a" * (10 - number) for number in range(4)}
    scored = score(refs, hyps, {utt_id: utt_id for utt_id in refs})
    cer = summary(scored, intervals_of(scored), best_k=2)["cer"]
    assert cer["micro"] == cer["macro"] == pytest.approx(0.15)
    assert cer["micro_ci"] is None
    assert (cer["worst"], cer["worst_group"]) == (0.3, "u3")
    assert (cer["best_k"], cer["k"]) == (0.05, 2)
    assert (cer["worst_15"], cer["num_worst"]) == (pytest.approx(0.15), 4)
    assert cer["std"] == pytest.approx(0.1291, abs=1e-4)


def test_the_worst_15_are_the_15_worst():
    refs = {f"u{number:02d}": "a" * 20 for number in range(20)}
    hyps = {utt_id: "a" * (20 - int(utt_id[1:])) for utt_id in refs}
    scored = score(refs, hyps, {utt_id: utt_id for utt_id in refs})
    found = summary(scored, intervals_of(scored))["cer"]
    assert found["worst_15"] == pytest.approx(sum(range(5, 20)) / 15 / 20)
    assert found["best_k"] == pytest.approx(sum(range(15)) / 15 / 20)


def test_of_many_groups_a_real_difference_survives_the_correction():
    refs = {f"g{group:02d}-{number}": "abcde" for group in range(60) for number in range(40)}
    langs = {utt_id: utt_id[:3] for utt_id in refs}
    first = score(refs, dict.fromkeys(refs, "abcd"), langs)
    better = {utt_id: "abcde" if utt_id < "g01" else "abcd" for utt_id in refs}
    found = compare_scores(first, score(refs, better, langs))["cer"]
    assert [name for name, each in found["groups"].items() if each["significant"]] == ["g00"]
    assert "g00" in comparison_table({"cer": found})
    with pytest.raises(UserError, match="different references"):
        compare_scores(first, score({"g00-0": "x"}, {"g00-0": "x"}))
