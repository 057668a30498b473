"""The page shows why each language fails: a bar of parts that add up, their meaning, what helps."""

import re

import pytest

from asr_dro_plugin.reporting.page.build import collect, page
from asr_dro_plugin.reporting.page.svg import BAR_WIDTH
from asr_dro_plugin.reporting.read.experiment import open_experiments
from asr_dro_plugin.scoring.causes import CAUSES
from tests.reporting.made import add_invented_causes, make_experiment

LANGS = ["eng", "fra", "rus"]


@pytest.fixture
def material(tmp_path):
    return collect(open_experiments([make_experiment(tmp_path, "asr", LANGS, each=6)], None))


def part(material):
    return re.search(r'<section id="causes".*?</section>', page(material), re.DOTALL)[0]


def widths(text):
    """Widths of the parts of each bar, in its order."""
    bars = re.findall(r"<svg.*?</svg>", text)
    return [[float(width) for width in re.findall(r' width="([\d.]+)" height="12"', bar)]
            for bar in bars]  # fmt: skip


def test_the_parts_of_a_bar_have_the_shares_of_its_language(material):
    first = widths(part(material))[0]
    assert len(first) == 4
    assert [width / sum(first) for width in first] == pytest.approx([0.3, 0.1, 0.1, 0.5], abs=0.01)
    assert sum(first) <= BAR_WIDTH + 0.3


def test_each_cause_has_its_meaning_its_advice_and_what_stands_behind_it(material):
    text = part(material).replace("&#x27;", "'")
    for cause in CAUSES.values():
        assert cause.advice in text
    assert "é 3" in text and "u1: 41 characters/s" in text


def test_where_giving_the_language_hurts_the_page_says_how_it_is_drawn(material):
    assert "is so much longer" not in part(material)
    add_invented_causes(material.systems[0].report, lid=-0.2)
    text = part(material)
    assert "is so much longer than the CER" in text
    assert all(len(bar) == 3 for bar in widths(text))


def unmeasured(report, cause):
    for group in (*report["groups"].values(), report["total"]):
        group["causes"][cause] = None
    report["causes"]["macro"][cause] = None


def test_what_was_not_measured_is_a_dash_with_how_to_measure_it(material):
    unmeasured(material.systems[0].report, "lid")
    text = part(material)
    assert "give that text as --forced" in text and ">-</td>" in text


def test_a_model_that_names_no_language_has_no_column_of_naming(material):
    report = material.systems[0].report
    report["causes"]["has_lid"] = False
    assert "naming" in part(material)  # what was measured is shown
    unmeasured(report, "lid")
    assert "naming" not in part(material)


def test_an_older_score_has_no_causes(material):
    del material.systems[0].report["causes"]
    assert "Not here: the causes of the errors" in part(material)
