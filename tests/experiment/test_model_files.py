"""Which model files a configuration leads to, and what is said of the others."""

import pytest
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.model_files import (
    best_model_file,
    check_model_file,
    criteria_of,
    default_model_file,
    model_files,
)

CTC = {"decoder": "none", "model_conf": {"ctc_weight": 1.0}}
HYBRID = {"decoder": "transformer", "model_conf": {"ctc_weight": 0.3}}
CER = {**CTC, "best_model_criterion": [["valid", "cer_ctc", "min"]], "keep_nbest_models": [2, 5]}


def test_each_criterion_makes_the_best_and_the_averages():
    assert model_files(CER) == [
        "valid.cer_ctc.ave.pth",
        "valid.cer_ctc.best.pth",
        "valid.cer_ctc.ave_2best.pth",
        "valid.cer_ctc.ave_5best.pth",
    ]


def test_espnets_criteria_hold_where_the_configuration_has_none():
    assert [name for name in model_files(HYBRID) if ".ave_" in name] == [
        "train.loss.ave_10best.pth",
        "valid.loss.ave_10best.pth",
        "train.acc.ave_10best.pth",
        "valid.acc.ave_10best.pth",
    ]


def test_what_the_loss_does_not_report_makes_no_file():
    assert not [name for name in model_files(CTC) if "acc" in name]
    entropy = {"decoder": "transformer", "model_conf": {"ctc_weight": 0.0}}
    assert model_files({**CER, **entropy}) == []
    assert model_files({**CTC, "best_model_criterion": [["train", "cer_ctc", "min"]]}) == []


def test_more_models_than_epochs_are_not_averaged():
    assert "valid.cer_ctc.ave_5best.pth" not in model_files({**CER, "max_epoch": 3})
    only = model_files({**CER, "keep_nbest_models": 5, "max_epoch": 3})
    assert only[-1] == "valid.cer_ctc.ave_1best.pth"


@pytest.mark.parametrize(
    "name",
    [
        "valid.cer_ctc.ave.pth", "valid.cer_ctc.best.pth", "valid.cer_ctc.ave_5best.pth",
        "latest.pth", "12epoch.pth", "my_own.pth",
    ],
)  # fmt: skip
def test_legal_names_pass_in_silence(name):
    check_model_file(name, CER, "x.yaml")


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        ("valid.loss.ave.pth", CER, r"or add \[valid, loss, min\] to best_model_criterion\.$"),
        (
            "valid.acc.ave.pth",
            {**HYBRID, **CER, **HYBRID},
            r"or add \[valid, acc, max\] to best_mod",
        ),
        ("valid.acc.ave.pth", CER, r"ave_5best\.pth latest\.pth\.$"),  # CTC has no accuracy
        ("valid.cer_ctc.ave_3best.pth", CER, "or add 3 to keep_nbest_models"),
        ("valid.cer_ctc.ave.pth", CTC, "Give one of train.loss.ave.pth .*add .valid, cer_ctc, min"),
        ("vald.cer_ctc.ave.pth", CER, r"Did you mean 'valid.cer_ctc.ave.pth'.* latest\.pth\.$"),
        ("valid.cer_ctc.av.pth", CER, r"Did you mean 'valid.cer_ctc.ave.pth'.* latest\.pth\.$"),
    ],
)
def test_others_are_refused_with_the_legal_ones_and_a_remedy(name, config, words):
    with pytest.raises(UserError, match=words) as error:
        check_model_file(name, config, "x.yaml")
    assert str(error.value).startswith(f"--inference_asr_model {name} will not be made with x.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "words", ["valid,loss,min", "(valid, loss, min)", ["valid", "loss", "min"]]
)
def test_criteria_are_read_as_espnet_does(words):
    assert criteria_of({"best_model_criterion": [words]}) == [("valid", "loss", "min")]


@pytest.mark.parametrize("words", ["valid,loss", ["valid", "loss", "least"], 3, ["a", 1, "min"]])
def test_what_is_no_criterion_is_refused(words):
    with pytest.raises(UserError, match="best_model_criterion holds"):
        criteria_of({"best_model_criterion": [words]})


WORST = {**CTC, "model": "dro", "best_model_criterion": [["valid", "worst_group_cer", "min"]]}


def test_the_default_is_the_average_by_the_first_criterion_that_is_reported():
    assert default_model_file(CER) == "valid.cer_ctc.ave.pth"
    assert default_model_file(WORST) == "valid.worst_group_cer.ave.pth"
    assert default_model_file(CTC) == "train.loss.ave.pth"
    plain = {**WORST, "model": "espnet"}  # which knows no groups
    assert default_model_file(plain) == "latest.pth"
    both = {
        **plain,
        "best_model_criterion": [*WORST["best_model_criterion"], *CER["best_model_criterion"]],
    }
    assert default_model_file(both) == "valid.cer_ctc.ave.pth"


def test_the_best_of_an_experiment_is_the_first_that_is_there(tmp_path):
    criteria = [["valid", "worst_group_cer", "min"], ["valid", "cer_ctc", "min"]]
    config = {**WORST, "best_model_criterion": criteria}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    assert best_model_file(tmp_path) == "valid.worst_group_cer.ave.pth"  # named in what follows
    (tmp_path / "latest.pth").touch()
    assert best_model_file(tmp_path) == "latest.pth"
    (tmp_path / "valid.cer_ctc.best.pth").touch()
    assert best_model_file(tmp_path) == "valid.cer_ctc.best.pth"


def test_a_figure_of_groups_is_offered_where_there_are_groups():
    for config, words in ((WORST, "or add .valid, macro_cer, min"), (CER, r"latest\.pth\.$")):
        with pytest.raises(UserError, match=words):
            check_model_file("valid.macro_cer.ave.pth", config, "x.yaml")
