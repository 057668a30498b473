"""The card of a packed model: figures of its run in words, and front matter that the hub reads."""

import pytest
import yaml
from huggingface_hub import ModelCard

from asr_dro_plugin.data.corpora import CorpusLicence
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.metrics import Record
from asr_dro_plugin.reporting.card.facts import (
    Cell,
    languages_of,
    training_data,
    training_facts,
)
from asr_dro_plugin.reporting.card.front_matter import front_matter
from asr_dro_plugin.reporting.card.limits import limits
from asr_dro_plugin.reporting.card.model_card import Run, write_card
from asr_dro_plugin.reporting.read.facts import read_seen
from asr_dro_plugin.reporting.read.score_files import read_score
from tests.packs import CONFIG, SEEN, TOKENS, write_experiment, write_score

CELLS = (
    Cell("deu", "mls", 2, 7200.0, 12.0, 1),
    Cell("eng", "librispeech", 3, 72000.0, 19.6, 40),
)
CORPORA = (
    CorpusLicence("mls", "", "CC BY 4.0", "https://www.openslr.org/94"),
    CorpusLicence("librispeech", "", "CC BY 4.0", "https://www.openslr.org/12"),
)
TRAINING = {
    "seen": SEEN, "items_seen": 60, "seconds_seen": 180.75, "epochs": 4, "updates": 12,
}  # fmt: skip


@pytest.fixture
def report(tmp_path):
    return read_score(
        write_score(tmp_path / "tag" / "test_toy" / "score.json", {"deu": 5, "eng": 30})
    )


def run(report=None, **changes):
    values = {
        "name": "asr_toy", "config": CONFIG, "model_file": "m.pth", "num_parameters": 1_400_000,
        "langs": ["deu", "eng"], "training": TRAINING, "cells": CELLS,
        "reports": [report] if report else [], "versions": [{"torch": "2.13.0"}],
        "corpora": CORPORA,
    }  # fmt: skip
    return Run(**{**values, **changes})


def lines_of(text, title):
    """The lines of one section."""
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0].splitlines()


def test_the_worst_language_is_said_before_anything_else(report):
    head = write_card(run(report)).split("\n## ")[0]
    assert "**The worst language is eng: CER 30.0 %** on test_toy" in head
    assert "the mean over its 2 languages is 17.5 %" in head


def test_intervals_are_shown_where_the_score_has_them(report):
    assert "| eng | 10 | 1.0 | 30.0 | - | 60.0 | - | 90.0 |" in write_card(run(report))
    report["groups"]["eng"]["cer"]["ci"] = [0.25, 0.36]
    report["summary"] = {"cer": {"macro_ci": [0.1, 0.2]}}
    text = write_card(run(report))
    assert "| eng | 10 | 1.0 | 30.0 | 25.0 to 36.0 | 60.0 | - | 90.0 |" in text
    assert "CER 30.0 % (95 %: 25.0 to 36.0)**" in text and "(95 %: 10.0 to 20.0)" in text


def test_data_and_what_was_seen_stand_by_language_and_corpus(report):
    lines = lines_of(write_card(run(report)), "Training data")
    assert "| deu | mls | CC BY 4.0 | 2 | 2.00 | 1 |" in lines
    assert "| eng | librispeech | 20 | 0.02 |" in lines
    assert "| total |  | 60 | 0.05 |" in lines


def test_an_older_run_says_unknown():
    seen = [{**SEEN[0], "corpus": "-"}]
    text = write_card(run(cells=(), training={**TRAINING, "seen": seen}))
    assert "| deu | unknown | 40 | 0.03 |" in text
    assert "- unknown (deu): unknown" in lines_of(text, "Licence")
    assert "No set was scored with this model." in text


def test_licences_of_model_data_and_pretrained_network_are_listed(report):
    lines = lines_of(
        write_card(run(report, licence="CC BY 4.0", pretrained=("mms_300m", "CC BY-NC 4.0"))),
        "Licence",
    )
    assert "The model: CC BY 4.0." in lines
    assert "Training began from mms_300m (CC BY-NC 4.0)." in lines
    assert "- mls (deu): CC BY 4.0, https://www.openslr.org/94" in lines


def test_the_same_run_gives_the_same_card_without_dates_or_machines(report):
    text = write_card(run(report))
    assert text == write_card(run(report))
    assert "/home/" not in text


def test_the_front_matter_is_read_by_the_hubs_own_package(report):
    card = ModelCard(write_card(run(report, licence="CC BY-SA 3.0")))
    assert (card.data.license, card.data.language) == ("cc-by-sa-3.0", ["deu", "eng"])
    assert card.data.pipeline_tag == "automatic-speech-recognition"
    figures = {r.metric_name: r.metric_value for r in card.data.eval_results}
    assert figures["CER, worst language"] == 30.0
    assert figures["WER, mean over languages"] == 35.0
    assert {r.dataset_name for r in card.data.eval_results} == {"test_toy"}


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("unknown", {"license": "unknown"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("My own: 1", {"license": "other", "license_name": "my-own-1"}),
    ],
)
def test_a_licence_that_the_hub_does_not_know_gets_a_name(licence, expected):
    data = yaml.safe_load(front_matter("x", ["eng"], licence, [], []).split("---\n")[1])
    assert {key: data[key] for key in data if key.startswith("license")} == expected


def test_limits_follow_from_the_figures(report):
    report["lid_confusion"] = {"deu": {"deu": 6, "eng": 3, "none": 1}, "eng": {"eng": 10}}
    found = "\n".join(limits(["deu", "eng", "fra"], CELLS, report, CONFIG))
    assert "2.00 hours for each of deu." in found and "eng." not in found.split("\n")[0]
    assert "of deu comes from a single speaker" in found
    assert "from 5.0 % (deu) to 30.0 % (eng)" in found
    assert "Not measured**: fra" in found
    assert "deu as eng (3 of 10), deu as no language (1 of 10)" in found
    assert "no** capital letters, punctuation, digits" in found
    assert "at most 19.6 s" in found


def test_nothing_is_claimed_that_was_not_measured():
    config = {**CONFIG, "token_list": [*TOKENS, "A", ".", "1"]}
    found = "\n".join(limits(["eng"], (), None, config))
    assert "Nothing was measured" in found
    assert "hours" not in found and "speaker" not in found and "no**" not in found


def test_many_languages_are_counted_rather_than_listed():
    cells = [Cell(f"l{n:02d}", "x", 1, 600.0, 1.0, None) for n in range(30)]
    assert "and 22 more languages" in limits([], cells, None, CONFIG)[0]


def test_training_data_are_counted_as_they_were_recorded(tmp_path):
    write_experiment(tmp_path)
    train = tmp_path / "dump" / "train"
    cells = training_data(CONFIG, tmp_path, train)
    assert cells == [
        Cell("deu", "mls", 2, 3.0, 2.0, 1), Cell("eng", "librispeech", 3, 4.0, 3.0, 2),
    ]  # fmt: skip
    for name in ("speech_shape", "utt2lang", "utt2spk", "utt2corpus"):  # a copy at another speed
        path = train / name
        value = {"speech_shape": "9", "utt2lang": "deu", "utt2corpus": "mls"}.get(name, "sp0.9-x")
        path.write_text(path.read_text() + f"sp0.9-deu_a-1 {value}\n")
    (train / "utt2speed").write_text(
        "".join(f"{line.split()[0]} 1.0\n" for line in (train / "wav.scp").read_text().splitlines())
        + "sp0.9-deu_a-1 0.9\n"
    )
    assert training_data(CONFIG, tmp_path, train) == cells
    assert training_data(CONFIG, tmp_path, None) == []


def test_languages_are_those_of_the_tags_else_of_the_groups():
    assert languages_of(CONFIG, None) == ["deu", "eng"]
    assert languages_of({"token_list": ["a"]}, ["fra", "pol_M-AILABS"]) == ["fra"]


def test_seen_json_that_is_damaged_is_named(tmp_path):
    assert read_seen(tmp_path) == []
    (tmp_path / "seen.json").write_text('[{"group": "deu"}]')
    with pytest.raises(UserError, match="seen.json is no count of what was seen"):
        read_seen(tmp_path)


@pytest.mark.parametrize(("recorded", "updates"), [(True, 11), (False, 12)])
def test_updates_are_steps_of_the_optimizer_not_batches(tmp_path, recorded, updates):
    (tmp_path / "checkpoint.00000048.pth").touch()
    (tmp_path / "checkpoint.pth").symlink_to("checkpoint.00000048.pth")
    if recorded:  # what an epoch's last batches leave over is no step
        record = Record("train", 2, 11, 48, True, 1.0, {"loss": 1.0})
        (tmp_path / "metrics.jsonl").write_text(record.to_json() + "\n")
    assert training_facts(tmp_path, {"accum_grad": 4})["updates"] == updates


def test_of_several_decodings_each_table_says_which_it_is(report):
    decodings = ["decode_asr_greedy_valid.cer.ave", "decode_asr_lm_char_valid.cer.ave"]
    text = write_card(run(report, reports=[report, report], decodings=decodings))
    assert lines_of(text, "Results").count("### test_toy, decoded by greedy") == 1
    assert lines_of(text, "Results").count("### test_toy, decoded by lm_char") == 1
    assert "on test_toy, decoded by greedy" in text.split("## Results")[0]
    names = {result.dataset_name for result in ModelCard(text).data.eval_results}
    assert names == {"test_toy, decoded by greedy", "test_toy, decoded by lm_char"}
    alone = write_card(run(report, reports=[report], decodings=decodings[:1]))
    assert "### test_toy\n" in alone
