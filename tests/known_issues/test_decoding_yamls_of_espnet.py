"""All decoding configurations of ESPnet's recipes were refused: none says ``mode: espnet``."""

import logging
import re
from argparse import Namespace

import pytest

from asr_dro_plugin.decoding.command_line import settings_of
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import UserError

# Kinds of files in egs2/*/asr1/conf, each with what is left of it.
HYBRID = {"beam_size": 10, "ctc_weight": 0.3, "penalty": 0.0, "maxlenratio": 0.0,
          "minlenratio": 0.0}  # fmt: skip
TRANSDUCER = {"beam_size": 10, "transducer_conf": {"search_type": "default", "score_norm": True}}


@pytest.mark.parametrize("given", [HYBRID, TRANSDUCER, {"ctc_weight": 0.5}, {"penalty": 0.1}])
def test_a_key_that_only_espnets_search_has_chooses_it(given, caplog):
    assert read_decode_config(given) == {"mode": "espnet", "batch_duration": 60.0, **given}
    assert not caplog.records


def test_keys_that_both_have_choose_nothing():
    with pytest.raises(UserError, match="does not use beam_size.* set mode beam or lm or espnet"):
        read_decode_config({"beam_size": 5})
    assert read_decode_config({"nbest": 2, "mode": "beam"})["mode"] == "beam"


def test_a_mode_that_is_named_is_kept():
    with pytest.raises(UserError, match="'ctc_weight' is no option.*Mode beam has"):
        read_decode_config({"mode": "beam", "ctc_weight": 0.3})


@pytest.mark.parametrize("size", [0, 1])
def test_batch_size_0_is_one_utterance_at_a_time_as_in_espnet(size, caplog):
    assert "batch_size" not in read_decode_config({**HYBRID, "batch_size": size})
    assert not caplog.records


@pytest.mark.parametrize(
    ("key", "value", "fact"),
    [
        ("lm_weight", 0.6, "lm_weight is ignored: no language model is named .lm_train_config"),
        ("ngram_weight", 0.1, "ngram_weight is ignored: no language model is named .ngram_file"),
        ("batch_size", 8, "batch_size is ignored: it decodes one utterance at a time"),
        ("ngpu", 1, "ngpu is ignored: it is an option of ESPnet's command"),
        ("log_level", "DEBUG", "log_level is ignored"),
    ],
)
def test_what_has_no_effect_here_is_said_and_left_out(key, value, fact, caplog):
    with caplog.at_level(logging.WARNING):
        config = read_decode_config({**HYBRID, key: value}, "d.yaml")
    assert key not in config
    (record,) = caplog.records
    assert record.getMessage().startswith("d.yaml: ") and caplog.text.count("\n") == 1
    assert re.search(fact, record.getMessage())


def test_a_weight_of_a_language_model_that_is_there_stays(tmp_path, caplog):
    given = {**HYBRID, "lm_weight": 0.6, "lm_train_config": "lm.yaml", "lm_file": "lm.pth"}
    assert read_decode_config(given)["lm_weight"] == 0.6
    assert read_decode_config({**HYBRID, "lm_weight": 0.0})["lm_weight"] == 0.0
    assert not caplog.records


def test_the_command_line_sees_the_same_mode(tmp_path):
    (tmp_path / "d.yaml").write_text("ctc_weight: 0.3\nbeam_size: 10\n")
    args = Namespace(config=str(tmp_path / "d.yaml"), lm_dir=None, nbest=None, lang=None,
                     chunk_length=None, stride=None)  # fmt: skip
    assert settings_of(args, ["ctm"], ["ctm"])["times"] is True


@pytest.mark.parametrize("given", [{"transducer_conf": "greedy"}, {**HYBRID, "batch_size": -1},
                                   {**HYBRID, "lexicon": True}])  # fmt: skip
def test_what_espnet_would_refuse_is_refused(given):
    with pytest.raises(UserError, match="transducer_conf|batch_size|lexicon"):
        read_decode_config(given)
