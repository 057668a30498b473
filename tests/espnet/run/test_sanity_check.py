"""What is tried before the first step bears a model that recognises nothing yet."""

import logging

import pytest
import torch

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.decoding.greedy import tokens_to_text
from asr_dro_plugin.espnet.model import model as model_module
from asr_dro_plugin.espnet.run import validation as trial
from asr_dro_plugin.espnet.run.training_run import TrainingRun
from asr_dro_plugin.scoring.error_rates import score
from tests.espnet import runs

TRIED = 2  # batches


class Tried(Exception):
    """The trial is over, and training is not needed."""


@pytest.fixture
def only_blanks(task, monkeypatch):
    """Every model that the task builds finds the blank in every frame."""
    real = task.build_model

    def build_model(cls, args):
        model = real(args)
        with torch.no_grad():
            model.ctc.ctc_lo.bias[model.blank_id] = 1e4
        return model

    monkeypatch.setattr(task, "build_model", classmethod(build_model))


@pytest.fixture
def try_out(task, dump, tmp_path, monkeypatch, caplog):
    """``try_out(**changes)``: ESPnet's stats and the figures by group of the tried validation."""
    found = {}

    def stop(_run):
        raise Tried

    def validate(model, batches, sub, *rest):
        found["figures"] = real(model, batches, sub, *rest)
        found["cer_ctc"] = [entry.value for entry in sub.stats["cer_ctc"]]
        return found["figures"]

    real = trial.validate
    monkeypatch.setattr(trial, "validate", validate)
    monkeypatch.setattr(TrainingRun, "_run_epochs", stop)

    def run(**changes):
        plain = {"use_matplotlib": False, "sanity_batches": TRIED}
        with caplog.at_level(logging.INFO), pytest.raises(Tried):
            task.main(cmd=runs.command(dump, tmp_path / "exp", **plain, **changes))
        return found

    return run


@pytest.mark.parametrize("name", ["ctc", "group_dro", "ctc_dro"])
def test_only_blanks_are_an_error_rate_of_1_and_no_exception(
    only_blanks, try_out, dump, monkeypatch, caplog, name
):
    refs, hyps = [], []
    real = model_module.count_errors

    def count_errors(refs_B, hyps_B, *rest):
        refs.extend(refs_B)
        hyps.extend(hyps_B)
        return real(refs_B, hyps_B, *rest)

    monkeypatch.setattr(model_module, "count_errors", count_errors)
    found = try_out(objective=name, sampler_conf={"duration": 8.0})
    assert found["cer_ctc"] == [1.0] * TRIED
    assert found["figures"]["worst_group_cer"] == found["figures"]["macro_cer"] == 1.0
    assert len(refs) == len(hyps) > TRIED and hyps == [[]] * len(refs)
    assert word_error_rate(refs, hyps, dump) == 1.0
    assert f"Validation was tried on {TRIED} batches" in caplog.text
    assert "The longest planned batch" in caplog.text


def word_error_rate(refs, hyps, dump):
    """As stage 13 counts it, of token ids."""
    tokens = (dump / "tokens.txt").read_text().split()
    texts = [
        {f"u{row}": tokens_to_text(ids, tokens, "char") for row, ids in enumerate(side)}
        for side in (refs, hyps)
    ]
    tags = {utt_id: text.split("]")[0].lstrip("[") for utt_id, text in texts[0].items()}
    return score(*texts, tags).total.wer.rate


@pytest.mark.parametrize("model", [{"model": "espnet"}, {"objective": "none"}])
def test_only_blanks_are_no_exception_in_espnets_own_model(only_blanks, try_out, model):
    found = try_out(**model, best_model_criterion=[["valid", "cer_ctc", "min"]])
    assert found["cer_ctc"] == [1.0] * TRIED


def test_a_model_of_blanks_scores_1_through_stages_12_and_13(trained, dump, tmp_path):
    from asr_dro_plugin.bin import decode
    from tests.espnet import decoding

    for name in ("config.yaml", "1epoch.pth"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    state = torch.load(tmp_path / "1epoch.pth", weights_only=True)
    state["ctc.ctc_lo.bias"][0] = 1e4
    torch.save(state, tmp_path / "1epoch.pth")
    words = [*decoding.words(tmp_path, dump / "test", tmp_path / "out")]
    for more in ([], ["--merge", "true"]):
        decode.main([*words, "--model_file", "1epoch.pth", *more])
    references, hypotheses = (
        read_table(path / "text") for path in (dump / "test", tmp_path / "out")
    )
    assert len(references) == len(hypotheses) == 16 and set(hypotheses.values()) == {""}
    found = score(references, hypotheses, read_table(dump / "test" / "utt2category"))
    assert found.total.cer.rate == found.total.wer.rate == 1.0
    assert not found.missing and not found.extra
