"""ESPnet's search ended in a traceback for two kinds of model that ours decodes.

With fewer tokens than its beam of 20: "selected index k out of range".  Without CTC, whose scores
it counts half if nothing is said: "'NoneType' object has no attribute 'log_softmax'".
"""

import logging

import pytest
import torch
import yaml

from asr_dro_plugin.audio.read_ahead import SpeechItem
from asr_dro_plugin.decoding.build import decoder_for
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.pack import PackOptions, pack
from tests.espnet.conftest import arguments, write_config
from tests.known_issues.test_espnets_plain_call import speech as speech
from tests.known_issues.test_espnets_plain_call import sure, theirs, toy_tokens

FEW = ["<blank>", "<unk>", "<space>", "a", "b", "c", "<sos/eos>"]


def searched(exp, speech, **config):
    """Texts by ``mode: espnet``."""
    from asr_dro_plugin.espnet.decode.transcribers import load_transcriber

    config = read_decode_config({"mode": "espnet", **config})
    (model_file,) = (path.name for path in exp.glob("*.pth"))
    transcriber = load_transcriber(exp, model_file, "cpu", config)
    return [t.text for t in transcriber([SpeechItem(f"u{n}", s) for n, s in enumerate(speech)])]


@pytest.mark.parametrize("config", [{}, {"beam_size": 7}, {"beam_size": 8, "ctc_weight": 1.0}])
def test_a_beam_holds_no_more_than_the_vocabulary(task, dump, speech, tmp_path, caplog, config):
    exp = sure(task, dump, tmp_path, FEW)
    with caplog.at_level(logging.WARNING):
        found = searched(exp, speech, **config)
    assert all(found) and found == searched(exp, speech, beam_size=7)
    clipped = "beam_size is 7, as many as there are tokens." in caplog.text
    assert clipped == (config.get("beam_size", 20) > 7)


@pytest.fixture(scope="module")
def attention(task, dump, tmp_path_factory):
    """A model with an attention decoder and without CTC, untrained."""
    root = tmp_path_factory.mktemp("attention")
    (root / "tokens.txt").write_text("".join(f"{token}\n" for token in toy_tokens()))
    config = write_config(
        root / "train.yaml", model="dro", decoder="transformer",
        decoder_conf={"attention_heads": 2, "linear_units": 16, "num_blocks": 1},
        model_conf={"ctc_weight": 0.0}, best_model_criterion=[["valid", "acc", "max"]],
    )  # fmt: skip
    words = arguments(dump, root / "exp", config)
    words[words.index("--token_list") + 1] = str(root / "tokens.txt")
    task.main(cmd=[*words, "--dry_run", "true"])
    torch.manual_seed(1)
    model, _ = task.build_model_from_file(root / "exp" / "config.yaml")
    torch.save(model.state_dict(), root / "exp" / "valid.acc.ave.pth")
    pack(root / "exp", root / "model.zip", PackOptions())
    return root


def test_mode_espnet_gives_ctc_no_weight_where_there_is_none(attention, speech):
    short = {"maxlenratio": -5.0, "beam_size": 2}
    plain = searched(attention / "exp", speech[:1], **short)
    assert plain == searched(attention / "exp", speech[:1], ctc_weight=0.0, **short)
    experiment = yaml.safe_load((attention / "exp/config.yaml").read_text())
    with pytest.raises(UserError, match="ctc_weight is 0.3, and this model was trained without"):
        decoder_for(experiment, read_decode_config({"mode": "espnet", "ctc_weight": 0.3}))


def test_espnets_plain_call_is_told_what_to_give(attention, speech, monkeypatch):
    options = {"maxlenratio": -5.0, "beam_size": 2}
    with pytest.raises(UserError, match="without CTC.*Give Speech2Text ctc_weight=0.0"):
        theirs(attention / "model.zip", speech[:1], monkeypatch, **options)
    found = theirs(attention / "model.zip", speech[:1], monkeypatch, ctc_weight=0.0, **options)
    assert found == searched(attention / "exp", speech[:1], **options)
