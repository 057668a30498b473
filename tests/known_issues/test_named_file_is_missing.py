"""``asr-dro transcribe --exp DIR`` from another directory ended in ``FileNotFoundError``.

An experiment's config.yaml may name files, relative to the recipe's directory: the mean and
variance, a pretrained model, the sentencepiece model.
"""

import shutil

import pytest
import yaml

from asr_dro_plugin.errors import UserError

MODEL = "valid.cer_ctc.ave.pth"


@pytest.fixture
def moved(trained, tmp_path):
    """Function that copies the experiment, its config changed."""

    def copy(**changes):
        exp = tmp_path / "exp"
        shutil.copytree(trained, exp)
        config = yaml.safe_load((exp / "config.yaml").read_text())
        (exp / "config.yaml").write_text(yaml.safe_dump(config | changes))
        return exp

    return copy


def test_greedy_decoding_names_the_statistics(moved, tmp_path, monkeypatch):
    from asr_dro_plugin.espnet.decode.inference import load_recogniser

    monkeypatch.chdir(tmp_path)
    stats = {"stats_file": "exp/asr_stats/train/feats_stats.npz"}
    exp = moved(normalize="global_mvn", normalize_conf=stats)
    with pytest.raises(UserError) as error:
        load_recogniser(exp, MODEL)
    assert str(error.value) == (
        f"{exp}/config.yaml names normalize_conf.stats_file exp/asr_stats/train/feats_stats.npz, "
        f"which is not there below {tmp_path}. "
        "Run this where the experiment was trained, or write the absolute path."
    )


def test_beam_search_names_the_sentencepiece_model(moved):
    from asr_dro_plugin.espnet.decode.beam_search import BeamSearch

    exp = moved(token_type="bpe", bpemodel="/nowhere/bpe.model")
    with pytest.raises(UserError, match="names bpemodel /nowhere/bpe.model, .* correct the path"):
        BeamSearch(exp, MODEL, "cpu", {})
