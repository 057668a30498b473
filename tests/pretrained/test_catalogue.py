"""ssl_checkpoints: layouts are read from content, and each stack takes the ones it can load."""

import json
import pickle
import re
import shutil

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained import catalogue as ssl_checkpoints
from asr_dro_plugin.pretrained.catalogue import read_checkpoint_table, resolve_checkpoint
from asr_dro_plugin.pretrained.layouts import inspect_checkpoint
from asr_dro_plugin.pretrained.read_weights import load_plain

pytest_plugins = ["tests.fixtures_ssl"]


def test_layout_and_sizes_are_read_from_the_content(tiny_ssl):
    hf, s3prl, fairseq = map(inspect_checkpoint, (tiny_ssl.hf, tiny_ssl.s3prl, tiny_ssl.fairseq))
    assert [c.layout for c in (hf, s3prl, fairseq)] == ["hf", "s3prl", "fairseq"]
    assert {(c.output_size, c.num_layers) for c in (hf, s3prl, fairseq)} == {(16, 2)}
    from transformers import Wav2Vec2Model

    model = Wav2Vec2Model.from_pretrained(tiny_ssl.hf)
    assert hf.num_params == sum(p.numel() for p in model.parameters())
    assert fairseq.num_params == s3prl.num_params > hf.num_params  # the heads of pretraining


def test_the_hub_s_older_files_load_and_count_the_same(tiny_ssl, tmp_path):
    """facebook's pytorch_model.bin: a prefix, pretraining heads, weight norm's old names."""
    from transformers import Wav2Vec2Model

    model = Wav2Vec2Model.from_pretrained(tiny_ssl.hf)
    weights = {}
    for name, value in model.state_dict().items():
        name = name.replace("parametrizations.weight.original0", "weight_g")
        weights["wav2vec2." + name.replace("parametrizations.weight.original1", "weight_v")] = value
    weights |= {"project_q.weight": torch.zeros(8, 8), "quantizer.codevectors": torch.zeros(8, 4)}
    folder = tmp_path / "hub"
    shutil.copytree(tiny_ssl.hf, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    again = Wav2Vec2Model.from_pretrained(folder)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters()))
    assert inspect_checkpoint(folder).num_params == inspect_checkpoint(tiny_ssl.hf).num_params


def test_sizes_in_the_table_are_those_of_the_published_architecture():
    from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining

    config = Wav2Vec2Config(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096,
        feat_extract_norm="layer", conv_bias=True, do_stable_layer_norm=True,
        codevector_dim=768, proj_codevector_dim=768,
    )  # fmt: skip
    with torch.device("meta"):
        model = Wav2Vec2ForPreTraining(config)
    whole = sum(p.numel() for p in model.parameters())
    body = sum(p.numel() for p in model.wav2vec2.parameters())
    for row in read_checkpoint_table():
        assert (row["output_size"], row["num_layers"]) == ("1024", "24")
        assert int(row["num_params"]) == {"hf": body, "fairseq": whole}[row["layout"]]


def test_the_table_is_well_formed():
    rows = read_checkpoint_table()
    assert {row["name"] for row in rows} == {"xlsr_300m", "mms_300m"}
    for row in rows:
        assert row["layout"] in ssl_checkpoints.LAYOUTS
        assert row["url"].startswith("https://") and row["url"].endswith("/" + row["file"])
        assert re.fullmatch(r"([0-9a-f]{64})?", row["sha256"])
        assert re.fullmatch(r"\d*", row["num_bytes"])


def test_a_name_is_fetched_and_verified(tiny_ssl, tmp_path, monkeypatch):
    rows = [
        {"name": "tiny", "layout": "hf", "file": file.name, "url": file.as_uri(), "sha256": "",
         "num_bytes": "", "output_size": "16", "num_layers": "2", "num_params": "1"}
        for file in sorted(tiny_ssl.hf.iterdir())
    ]  # fmt: skip
    monkeypatch.setattr(ssl_checkpoints, "read_checkpoint_table", lambda: rows)
    found = resolve_checkpoint("tiny", tmp_path)
    assert inspect_checkpoint(found.path).output_size == 16
    (found.path / "model.safetensors").write_bytes(b"short")
    resolve_checkpoint("tiny", tmp_path)
    assert inspect_checkpoint(found.path).output_size == 16


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(UserError, match="Did you mean 'xlsr_300m'"):
        resolve_checkpoint("xlsr_300", fetch=False)


class Payload:
    """An object whose unpickling would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_objects_are_refused_and_never_run(legacy, tmp_path):
    path = tmp_path / "bad.pt"
    state = {"model": {}, "cfg": Payload(tmp_path / "ran")}
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UserError, match="asr-dro convert-checkpoint"):
        load_plain(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"<html>404", b"PK\x03\x04 cut", pickle.dumps({})[:5]])
def test_what_is_no_pytorch_file_is_said_to_be_none(content, tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        inspect_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(tiny_ssl, tmp_path):
    for source in (tiny_ssl.fairseq, tiny_ssl.hf / "model.safetensors"):
        folder = tmp_path / source.stem
        shutil.copytree(source.parent, folder, ignore=shutil.ignore_patterns("*.lock"))
        damaged = folder / source.name
        damaged.write_bytes(source.read_bytes()[:-100])
        with pytest.raises(UserError, match="not a whole PyTorch file|is damaged"):
            inspect_checkpoint(damaged if source.suffix == ".pt" else folder)


def test_another_kind_of_model_is_refused(tiny_ssl, tmp_path):
    shutil.copytree(tiny_ssl.hf, tmp_path / "hf")
    config = json.loads((tmp_path / "hf/config.json").read_text())
    (tmp_path / "hf/config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(UserError, match="describes a bert"):
        inspect_checkpoint(tmp_path / "hf")
    torch.save({"model": {"a": torch.zeros(1)}, "cfg": {}}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="no wav2vec 2.0 transformer"):
        inspect_checkpoint(tmp_path / "x.pt")
    torch.save({"weights": 1}, tmp_path / "y.pt")
    with pytest.raises(UserError, match="it holds weights"):
        inspect_checkpoint(tmp_path / "y.pt")


# -- weights that become the experiment's own ------------------------------------------------------
