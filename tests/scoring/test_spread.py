"""The spread over seeds is that of hand values, and only like is compared with like."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.scoring.report import build_report
from asr_dro_plugin.scoring.spread import spread_table

REFS = {"e1": "[eng] aaaaaaaaaa", "r1": "[rus] bbbbbbbbbb"}
LANGS = {"e1": "eng", "r1": "rus"}


def report(eng_errors, rus_errors, set_name="test_x", refs=REFS, tags=True, **options):
    hyps = {"e1": "[eng] " + "a" * (10 - eng_errors), "r1": "[rus] " + "b" * (10 - rus_errors)}
    if not tags:
        refs, hyps = ({k: v[6:] for k, v in each.items()} for each in (refs, hyps))
    return build_report(score(refs, hyps, LANGS, **options), set_name)


def row(table, name):
    return next(line.split()[1:] for line in table.splitlines() if line.split()[:1] == [name])


def test_hand_values_over_three_seeds():
    seeds = {"s1": report(1, 4), "s2": report(2, 3), "s3": report(3, 5)}
    table = spread_table(seeds)
    assert row(table, "eng")[:4] == ["20.0", "10.0", "10.0", "30.0"]
    assert row(table, "rus")[:4] == ["40.0", "10.0", "30.0", "50.0"]
    assert row(table, "macro")[:4] == ["30.0", "8.7", "25.0", "40.0"]  # 25, 25, 40
    assert row(table, "worst")[:4] == ["40.0", "10.0", "30.0", "50.0"]
    assert row(table, "total")[-2:] == ["100.0", "0.0"]
    assert "s3: macro CER 40.0 %, worst rus 50.0 %" in table
    assert "mean over 3 experiments" in table
    assert max(map(len, table.splitlines())) <= 100


def test_one_experiment_has_no_spread():
    assert row(spread_table({"s1": report(1, 1)}), "eng")[:4] == ["10.0", "0.0", "10.0", "10.0"]


def test_lid_that_was_not_measured_is_a_dash():
    assert row(spread_table({"s1": report(1, 1, tags=False)}), "eng")[-2:] == ["-", "-"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (report(1, 1, "dev_x"), "differ in set"),
        (report(1, 1, normalizer="none"), "differ in normaliser"),
        (report(1, 1, refs=REFS | {"r1": "[rus] bb"}), "differ in number of characters"),
    ],
)
def test_scores_of_different_text_are_not_compared(other, words):
    with pytest.raises(UserError, match=words):
        spread_table({"s1": report(1, 1), "s2": other})
