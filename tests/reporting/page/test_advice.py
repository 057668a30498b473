"""Each rule speaks when its figures say so, names them, and is silent otherwise."""

import random

import numpy as np
import pytest

from asr_dro_plugin.reporting.page import part_advice as advice
from asr_dro_plugin.reporting.page.advice import hard_languages
from asr_dro_plugin.reporting.read.experiment import Decoding, Experiment
from asr_dro_plugin.reporting.read.utterances import ScoredUtterance
from tests.reporting.made import (
    add_invented_causes,
    make_experiment,
    score_of,
    utterance_rows,
)

LANGS = ["eng", "fra", "rus"]


@pytest.fixture
def system(tmp_path):
    """A decoding with equal languages, of which a test changes one figure."""
    folder = make_experiment(tmp_path, "asr", LANGS, each=10, epochs=20)
    rows = utterance_rows(random.Random(0), LANGS, 10, dict.fromkeys(LANGS, 0.2))
    for row in rows:
        row["lid"] = row["group"]
    return Decoding(Experiment(folder, "asr"), "greedy", "test_x", score_of(rows, "test_x"))


def set_errors(system, lang, **kinds):
    counts = system.report["groups"][lang]["cer"]
    counts.update({"substitutions": 0, "deletions": 0, "insertions": 0} | kinds)
    counts["errors"] = sum(kinds.values())
    counts["rate"] = counts["errors"] / counts["ref"]
    groups = system.report["groups"]
    system.report["macro"]["cer"] = np.mean([groups[each]["cer"]["rate"] for each in LANGS])


class Course:
    """A history of given series."""

    def __init__(self, **series):
        self.all = series

    def series(self, phase, name):
        values = np.array(self.all.get(f"{phase}_{name}", []), dtype=float)
        return type("Series", (), {"values": values, "epochs": np.arange(len(values))})


def test_a_language_that_is_left_out_is_named_with_its_share(system):
    assert advice.deletions(system) is None
    set_errors(system, "rus", deletions=120, substitutions=40)
    assert "rus 75 %" in advice.deletions(system).found
    set_errors(system, "eng", deletions=1)  # easy languages may be what they are
    assert "eng" not in advice.deletions(system).found


def test_a_language_with_invented_text_is_named(system):
    assert advice.insertions(system) is None
    set_errors(system, "fra", insertions=150, substitutions=50)
    assert "fra 75 %" in advice.insertions(system).found


def test_a_transcript_that_lacks_what_is_said_is_named(system):
    assert advice.doubtful(system) is None
    whole = ScoredUtterance("u1", "eng", "u1", 30, 30, "eng", "r" * 30, "h" * 60)
    system.utterances = [whole, ScoredUtterance("u2", "eng", "u2", 9, 9, "eng", "r" * 9, "h" * 18)]
    assert "in 1 utterance (u1 2.0 times)" in advice.doubtful(system).found
    system.utterances = [ScoredUtterance("u3", "eng", "u3", 30, 30, "eng", "r" * 30, "")]
    assert "u3 0.0 times" in advice.doubtful(system).found


def test_mistaken_languages_are_named_and_single_slips_are_not(system):
    system.report["causes"]["macro"]["lid"] = None  # nobody measured what it costs
    assert advice.confusion(system) is None
    system.report["lid_confusion"]["eng"] = {"eng": 9, "fra": 1}
    assert advice.confusion(system) is None
    system.report["lid_confusion"]["eng"] = {"eng": 8, "fra": 2}
    assert "eng for fra 20 %" in advice.confusion(system).found


def test_a_hard_language_with_little_data_is_named(system):
    set_errors(system, "rus", substitutions=200)
    assert advice.few_hours(system) is None
    data = system.experiment.training_set
    durations = [0.1 if lang == "rus" else 100.0 for lang in data.langs]
    system.experiment.training_set = type(data)(data.name, tuple(durations), data.langs, ())
    assert "rus 0 s" in advice.few_hours(system).found


@pytest.mark.parametrize(
    ("weight", "high", "low"), [(0.7, True, False), (0.33, False, False), (0.1, False, True)]
)
def test_weights_are_held_against_the_error(system, weight, high, low):
    set_errors(system, "rus", substitutions=200)
    rest = (1 - weight) / 2
    system.experiment.history = Course(train_q_rus=[weight], train_q_eng=[rest], train_q_fra=[rest])
    assert (advice.high_weight(system) is not None) == high
    assert (advice.low_weight(system) is not None) == low


def test_a_training_that_was_still_getting_better_is_told_from_one_that_was_not(system):
    system.experiment.history = Course(valid_macro_cer=np.linspace(1, 0.3, 20))
    assert "from 44.7 to 30.0 %" in advice.still_falling(system).found
    system.experiment.history = Course(valid_macro_cer=[0.9, *[0.3] * 19])
    assert advice.still_falling(system) is None


def test_a_loss_that_rose_is_told_with_its_epoch(system):
    system.experiment.history = Course(valid_loss=[50, 30, 20, 22, 25, 30])
    assert "from 20.0 to 30.0 after epoch 3" in advice.risen(system).found
    system.experiment.history = Course(valid_loss=[50, 30, 20, 20, 20.5])
    assert advice.risen(system) is None


def test_a_wide_interval_is_told(system):
    worst = system.report["worst_group"]["cer"]["group"]
    assert advice.unsure(system) is None
    system.report["groups"][worst]["cer"]["ci"] = [0.1, 0.4]
    assert "between 10.0 and 40.0 %, from 10 utterances" in advice.unsure(system).found


def test_a_language_model_is_advised_where_words_break(system):
    system.report["macro"] |= {"cer": 0.2, "wer": 0.7}
    assert "macro WER 70.0 %" in advice.language_model(system).found
    system.report["run"]["inference_config"] = "conf/decode_asr_lm_word.yaml"
    assert advice.language_model(system) is None
    system.report["run"] = {}
    system.report["macro"] |= {"wer": 0.3}
    assert advice.language_model(system) is None
    system.report["macro"] |= {"wer": None}
    assert advice.language_model(system) is None


def test_utterances_without_hypothesis_come_first(system):
    system.report["missing"] = {"count": 1, "utt_ids": ["u1"]}
    assert advice.advice_for(system)[0].found.startswith("1 utterance of the set was not decoded")


def test_without_a_course_of_training_the_rules_are_silent(system):
    system.experiment.history = None
    for rule in (advice.high_weight, advice.low_weight, advice.still_falling, advice.risen):
        assert rule(system) is None


def test_what_naming_costs_is_told_instead_of_what_is_taken_for_what(system):
    system.report["lid_confusion"]["eng"] = {"eng": 8, "fra": 2}
    add_invented_causes(system.report, lid=0.3)
    system.report["groups"]["eng"]["lid"]["correct"] = 9
    assert advice.naming(system) is None  # of a single slip
    system.report["groups"]["eng"]["lid"]["correct"] = 8
    cer = system.report["groups"]["eng"]["cer"]["rate"]
    assert f"eng {30 * cer:.1f} of {100 * cer:.1f}" in advice.naming(system).found
    assert advice.confusion(system) is None
    add_invented_causes(system.report, lid=0.01)
    assert advice.naming(system) is None


def test_unseen_characters_and_broken_references_are_named(system):
    assert "(é 3)" in advice.floor(system).found
    assert "(u1 41 characters/s)" in advice.broken(system).found
    add_invented_causes(system.report, unseen=0.0, text=-0.0)
    assert advice.floor(system) is None and advice.broken(system) is None


def test_hearing_is_what_is_left_once_the_others_were_measured(system):
    assert advice.hearing(system) is None
    add_invented_causes(system.report, lid=0.01, unseen=0.0, text=0.0)
    hard = hard_languages(system)
    assert hard and all(lang in advice.hearing(system).found for lang in hard)
    system.report["causes"]["macro"] |= {"lid": None, "unseen": None}
    assert advice.hearing(system) is None


def test_of_an_older_score_the_rules_of_causes_are_silent(system):
    del system.report["causes"]
    for rule in (advice.naming, advice.floor, advice.broken, advice.hearing):
        assert rule(system) is None
