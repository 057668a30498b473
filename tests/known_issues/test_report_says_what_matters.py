"""Advice that was tried or that the curves contradict is not given; what decides is said.

Of a model of one voice a language in all sets the report spoke of languages mistaken, advised what
had been tried, and more epochs where the loss of the development set was flat.
"""

import json
import random
import re

import numpy as np
import pytest

from asr_dro_plugin.reporting.page import part_advice as advice
from asr_dro_plugin.reporting.page.build import collect, page
from asr_dro_plugin.reporting.read.data_sets import read_set
from asr_dro_plugin.reporting.read.experiment import Experiment
from asr_dro_plugin.reporting.read.voices import known_voices, speakers_of, voices_lines
from asr_dro_plugin.reporting.results_md import write_results
from tests.reporting.made import make_experiment, utterance_rows, write_command, write_decoding

LANGS = ["eng", "fra", "rus"]


@pytest.fixture
def exp(tmp_path):
    return make_experiment(tmp_path, "asr", LANGS, each=12, sets=("test_x", "dev_x"))


def speak(exp, set_name, speaker_of):
    """Write utt2spk of a set; ``speaker_of`` takes utterance id and number."""
    folder = exp.parents[1] / "dump/raw" / set_name
    utts = [line.split()[0] for line in (folder / "text").read_text("utf-8").splitlines()]
    lines = [f"{utt_id} {speaker_of(utt_id, number)}\n" for number, utt_id in enumerate(utts)]
    (folder / "utt2spk").write_text("".join(lines), "utf-8")
    read_set.cache_clear()


def system_of(exp, tag="decode_greedy", set_name="test_x"):
    experiment = Experiment(exp, "asr")
    found = experiment.decodings
    return next(each for each in found if (each.tag, each.set_name) == (tag, set_name))


def decode_again(exp, tag, share, command):
    rng = random.Random(5)
    rows = utterance_rows(rng, LANGS, 12, dict.fromkeys(LANGS, share), "test_x")
    write_decoding(exp / tag / "test_x", rows, "test_x")
    write_command(exp / tag / "test_x", command)


def confuse(exp):
    """Half of eng is taken for fra, and nobody has measured what that costs."""
    path = exp / "decode_greedy/test_x/score.json"
    report = json.loads(path.read_text("utf-8"))
    report["lid_confusion"]["eng"] = {"eng": 6, "fra": 6}
    report["causes"]["macro"]["lid"] = None
    path.write_text(json.dumps(report), "utf-8")
    return report["macro"]["cer"]


def test_naming_the_language_is_advised_until_it_was_tried_and_mended_nothing(exp):
    cer = confuse(exp)
    assert "--lang forced" in advice.confusion(system_of(exp)).attempt
    given = "python3 -m asr_dro_plugin.bin.decode --config conf/d.yaml --lang forced"
    decode_again(exp, "decode_given", cer, given)  # another draw of errors
    path = exp / "decode_given/test_x/score.json"
    report = json.loads(path.read_text("utf-8"))
    report["macro"]["cer"] = cer
    path.write_text(json.dumps(report), "utf-8")
    assert advice.confusion(system_of(exp)) is None
    report["macro"]["cer"] = cer / 2
    path.write_text(json.dumps(report), "utf-8")
    assert "Naming is what fails" in advice.confusion(system_of(exp)).attempt


def test_the_yaml_of_a_decoding_says_too_that_languages_were_given(exp):
    confuse(exp)
    (exp.parents[1] / "conf").mkdir()
    (exp.parents[1] / "conf/given.yaml").write_text("mode: greedy\nlang: forced\n", "utf-8")
    decode_again(exp, "decode_given", 0.9, "python3 -m x --config conf/given.yaml")
    assert advice.confusion(system_of(exp)) is None


def test_a_language_model_that_was_tried_is_not_advised(exp):
    path = exp / "decode_greedy/test_x/score.json"
    report = json.loads(path.read_text("utf-8"))
    report["macro"] |= {"cer": 0.2, "wer": 0.7}
    path.write_text(json.dumps(report), "utf-8")
    assert advice.language_model(system_of(exp)) is not None
    decode_again(exp, "decode_asr_lm_word", 0.3, "python3 -m x")
    assert advice.language_model(system_of(exp)) is None


class Course:
    def __init__(self, **series):
        self.all = series

    def series(self, phase, name):
        return type("Series", (), {"values": np.array(self.all.get(f"{phase}_{name}", []))})


@pytest.mark.parametrize(
    ("loss", "advised"),
    [(np.linspace(90, 60, 20), True), ([90, 70, 60, *[58] * 17], False), ([], True)],
)
def test_more_epochs_are_advised_only_where_the_loss_falls_too(exp, loss, advised):
    system = system_of(exp)
    system.experiment.history = Course(valid_macro_cer=np.linspace(1, 0.3, 20), valid_loss=loss)
    assert (advice.still_falling(system) is not None) == advised


def test_a_last_epoch_that_is_luckier_than_its_neighbours_is_no_fall(exp):
    system = system_of(exp)
    system.experiment.history = Course(valid_macro_cer=[0.9, 0.5, 0.3, 0.31, 0.32, 0.33, 0.3])
    assert advice.still_falling(system) is None


def test_test_and_development_set_are_told_side_by_side(exp):
    for set_name, cer in (("dev_x", 0.247), ("test_x", 0.351)):
        path = exp / f"decode_greedy/{set_name}/score.json"
        report = json.loads(path.read_text("utf-8"))
        report["macro"]["cer"] = cer
        path.write_text(json.dumps(report), "utf-8")
    assert "- macro CER 24.7 % on dev_x, 35.1 % on test_x" in write_results(exp).read_text("utf-8")
    assert "35.1 % on test_x, 24.7 % on dev_x" in advice.dev_and_test(system_of(exp)).found
    assert advice.dev_and_test(system_of(exp, set_name="dev_x")) is None
    shown = page(collect([Experiment(exp, "asr")]))
    assert "On the development set (dev_x) the mean CER is 24.7 %, here 35.1 %." in shown


def test_one_voice_a_language_in_all_sets_is_told_with_what_it_means(exp):
    assert "speakers of test_x: not known" in write_results(exp).read_text("utf-8")
    for set_name in ("train_x", "dev_x", "test_x"):
        speak(exp, set_name, lambda utt_id, number: utt_id[:3])
    text = write_results(exp).read_text("utf-8")
    assert "- speakers of train_x: one voice a language\n" in text
    assert "- speakers of test_x: one voice a language; all are in train_x too\n" in text
    assert "LID is partly speaker identification" in text
    found = advice.known_speakers(system_of(exp)).found
    assert "all 3 speakers of test_x are in train_x too. One voice a language" in found
    assert "partly speaker identification" in page(collect([Experiment(exp, "asr")]))


def test_speakers_are_counted_by_language_and_a_changed_speed_makes_no_new_voice(exp):
    speak(exp, "train_x", lambda utt_id, number: f"sp0.9-{utt_id[:3]}{number % 2}")
    speak(exp, "test_x", lambda utt_id, number: f"{utt_id[:3]}{number % 3}")
    train, test = (read_set(exp.parents[1] / "dump/raw" / name) for name in ("train_x", "test_x"))
    assert speakers_of(train)["eng"] == {"eng0", "eng1"}
    assert known_voices(test, train) == (6, 9)
    first, second, third = voices_lines([train, test], train)
    assert first == "speakers of train_x: eng 2, fra 2, rus 2"
    assert second == "speakers of test_x: eng 3, fra 3, rus 3; 6 of 9 are in train_x too"
    speak(exp, "test_x", lambda utt_id, number: f"other-{utt_id[:3]}{number % 3}")
    test = read_set(exp.parents[1] / "dump/raw/test_x")
    assert voices_lines([test], train)[-1].endswith("; none is in train_x too")
    assert advice.known_speakers(system_of(exp)) is None


def test_minutes_of_each_language_are_told_where_there_is_little(exp):
    text = write_results(exp).read_text("utf-8")
    line = next(line for line in text.splitlines() if "training data" in line)
    assert re.search(r"\(eng [\d.]+ (s|min|h), fra [\d.]+ (s|min|h)", line)
    found = advice.little_speech(system_of(exp)).found
    assert found.startswith("Little speech to learn from: eng ")
    system = system_of(exp)
    system.experiment.config["ssl_checkpoint"] = "xlsr"
    assert advice.little_speech(system) is None
