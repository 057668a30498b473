"""Auxiliary targets of a YAML: depths that are not there, settings that would be ignored."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.auxiliary import aux_layers
from asr_dro_plugin.stack.check import check_config

MODEL = {"ctc_weight": 1.0, "interctc_weight": 0.3, "aux_ctc": {"3": "text_aux"}}
FIT = {
    "model": "dro", "encoder": "conv_ctc", "encoder_conf": {"interctc_layer_idx": [3]},
    "decoder": "none", "model_conf": MODEL,
}  # fmt: skip
CONFORMER = {**FIT, "encoder": "conformer"}


def with_model(**changes):
    return {**FIT, "model_conf": {**MODEL, **changes}}


@pytest.mark.parametrize(
    "config",
    [
        FIT,
        CONFORMER,
        with_model(aux_ctc={}),  # letters at every depth: ESPnet's intermediate CTC
        {**FIT, "encoder_conf": {"interctc_layer_idx": [3, 5]}},
        # Another input by ESPnet's own rules, spelled by the letters' list.
        {**CONFORMER, "model_conf": {**MODEL, "aux_ctc": {"3": "langs"}},
         "encoder_conf": {"interctc_layer_idx": [3], "interctc_use_conditioning": True}},
    ],
)  # fmt: skip
def test_what_fits_passes(config):
    check_config(config, "x.yaml")


@pytest.mark.parametrize(
    "config, words",
    [
        ({**FIT, "encoder_conf": {"interctc_layer_idx": [6]}},
         "interctc_layer_idx has 6, but encoder conv_ctc has 6 blocks. Legal: 1 to 5"),
        ({**CONFORMER, "encoder_conf": {"interctc_layer_idx": [0], "num_blocks": 4}},
         "has 0, but encoder conformer has 4 blocks. Legal: 1 to 3"),
        ({**FIT, "encoder_conf": {"interctc_layer_idx": [2]}},
         r"aux_ctc names layer 3, but encoder_conf.interctc_layer_idx is \[2\]. Add it there."),
        ({**FIT, "encoder": "quartznet", "encoder_conf": {}},
         r"idx is \[\]. Add it there, and take an encoder that has it: .*conformer, conv_ctc"),
        (with_model(aux_ctc={3: "text_aux"}), "layer 3 as a number. Write it as text: '3'"),
        (with_model(interctc_weight=0.0), "aux_ctc is ignored while model_conf.interctc_weight is"),
        ({**with_model(ctc_weight=0.0), "decoder": "transformer"},
         "ignored while model_conf.ctc_weight is 0"),
        ({**FIT, "objective": "none"}, "text_aux needs an objective. Set objective: ctc"),
        ({**FIT, "model": "espnet"}, "text_aux needs model: dro"),
        ({**CONFORMER, "encoder_conf": {"interctc_layer_idx": [3], "interctc_use_conditioning":
                                        True}}, "layer 3 learns text_aux. Set it to false"),
        (with_model(aux_token_list=["a"]), "aux_token_list is set by the task"),
    ],
)  # fmt: skip
def test_what_does_not_is_refused_with_what_would(config, words):
    with pytest.raises(UserError, match=words):
        check_config(config, "x.yaml")


def test_the_layers_are_those_that_learn_the_recipes_units():
    several = {"1": "text_aux", "2": "langs", "4": "text_aux"}
    assert aux_layers({"model_conf": {"aux_ctc": several}}) == ["1", "4"]
    assert aux_layers({"model_conf": {}}) == aux_layers({}) == []
