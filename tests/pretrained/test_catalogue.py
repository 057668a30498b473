"""ssl_checkpoints: layouts are read from content, and each stack takes the ones it can load."""

import argparse
import json
import pickle
import re
import shutil

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained import catalogue as ssl_checkpoints
from asr_dro_plugin.pretrained.catalogue import (
    legal_layouts,
    read_checkpoint_table,
    resolve_checkpoint,
    resolve_for,
)
from asr_dro_plugin.pretrained.layouts import inspect_checkpoint
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.pretrained.resolve import apply_to_config, use_checkpoint

pytest_plugins = ["tests.fixtures_ssl"]
S3PRL = {"frontend": "s3prl", "frontend_conf": {"multilayer_feature": True}}
WAV2VEC2 = {"frontend": None, "encoder": "wav2vec2"}


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


@pytest.mark.parametrize(
    "config, layout, file",
    [(S3PRL, "hf", "hf"), (WAV2VEC2, "fairseq", "fairseq/xlsr2_300m.pt")],
)
def test_a_name_without_fetching_gives_the_plan_from_the_table(config, layout, file, tmp_path):
    found = resolve_checkpoint("xlsr_300m", tmp_path, fetch=False, layouts=legal_layouts(config))
    assert (found.layout, found.path) == (layout, tmp_path / "xlsr_300m" / file)
    assert found.output_size == 1024 and not list(tmp_path.iterdir())


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


def test_a_wrong_layout_for_the_stack_names_the_legal_ones(tiny_ssl):
    with pytest.raises(UserError, match="a Hugging Face folder; this stack takes a fairseq file"):
        resolve_checkpoint(tiny_ssl.hf, layouts=legal_layouts(WAV2VEC2))
    with pytest.raises(UserError, match="convert-checkpoint .* --layout s3prl"):
        resolve_checkpoint(tiny_ssl.fairseq, layouts=legal_layouts(S3PRL))
    with pytest.raises(UserError, match="neither frontend s3prl nor encoder wav2vec2"):
        legal_layouts({"frontend": "default", "encoder": "transformer"})


def test_the_stack_gets_the_checkpoint_and_keeps_what_else_it_says(tiny_ssl):
    config = apply_to_config(S3PRL, inspect_checkpoint(tiny_ssl.hf))
    assert config["frontend_conf"] == {
        "multilayer_feature": True,
        "frontend_conf": {"upstream": "hf_wav2vec2_custom", "path_or_url": str(tiny_ssl.hf)},
    }
    assert "frontend_conf" not in S3PRL["frontend_conf"]  # a copy
    assert apply_to_config(config, inspect_checkpoint(tiny_ssl.hf)) == config
    with pytest.raises(UserError, match="Keep one of them"):
        apply_to_config(config, inspect_checkpoint(tiny_ssl.s3prl))
    config = apply_to_config(WAV2VEC2, inspect_checkpoint(tiny_ssl.fairseq))
    assert config["encoder_conf"] == {
        "w2v_url": "fairseq.pt", "w2v_dir_path": str(tiny_ssl.folder), "output_size": 16,
    }  # fmt: skip


def test_one_call_puts_the_checkpoint_in_its_place_and_is_not_needed_again(tiny_ssl, tmp_path):
    config = use_checkpoint(WAV2VEC2 | {"ssl_checkpoint": str(tiny_ssl.fairseq)}, tmp_path)
    assert config["ssl_checkpoint"] is None and config["encoder_conf"]["w2v_url"] == "fairseq.pt"
    assert use_checkpoint(config, tmp_path) == config


def test_a_folder_that_may_not_be_written_is_linked(tiny_ssl, tmp_path, monkeypatch):
    monkeypatch.setattr(ssl_checkpoints.os, "access", lambda path, mode: False)
    for _ in range(2):
        config = apply_to_config(WAV2VEC2, inspect_checkpoint(tiny_ssl.fairseq), tmp_path)
    link = tmp_path / "links"
    assert config["encoder_conf"]["w2v_dir_path"].startswith(str(link))
    assert next(link.glob("*/fairseq.pt")).samefile(tiny_ssl.fairseq)


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


PARTS = ["config.json", "preprocessor_config.json", "model.safetensors"]


@pytest.mark.parametrize("missing", PARTS)
def test_a_folder_that_lacks_a_part_names_it(missing, tiny_ssl, tmp_path):
    """Without its preprocessor_config.json s3prl would ask the hub for another model's."""
    shutil.copytree(tiny_ssl.hf, tmp_path / "hf", ignore=shutil.ignore_patterns(missing))
    with pytest.raises(UserError, match=missing):
        resolve_for(S3PRL | {"ssl_checkpoint": str(tmp_path / "hf")}, fetch=False)


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


def test_a_fine_tuned_fairseq_checkpoint_asks_for_its_dictionary(tiny_ssl, tmp_path):
    state = torch.load(tiny_ssl.fairseq)
    state["cfg"]["task"]["_name"] = "audio_finetuning"
    torch.save(state, tmp_path / "x.pt")
    named = {"ssl_checkpoint": str(tmp_path / "x.pt")}
    with pytest.raises(UserError, match=re.escape("dict.ltr.txt")):
        resolve_for(WAV2VEC2 | named)
    ours = resolve_for(WAV2VEC2 | named | {"encoder": "fairseq_wav2vec2"})  # which needs none
    assert ours.model_config["hidden_size"] == 16


def test_objects_are_read_as_data_by_our_encoder_and_refused_for_fairseq_itself(tiny_ssl, tmp_path):
    state = torch.load(tiny_ssl.fairseq)
    torch.save(state | {"args": argparse.Namespace(seed=1)}, tmp_path / "x.pt")
    named = {"ssl_checkpoint": str(tmp_path / "x.pt")}
    with pytest.raises(UserError, match="asr-dro convert-checkpoint"):
        resolve_for(WAV2VEC2 | named)
    config = use_checkpoint(WAV2VEC2 | named | {"encoder": "fairseq_wav2vec2"}, tmp_path)
    assert config["encoder_conf"]["do_normalize"] is True
    assert config["encoder_conf"]["model_config"]["num_hidden_layers"] == 2


# -- weights that become the experiment's own ------------------------------------------------------

OWN = {"frontend": None, "encoder": "hf_wav2vec2", "encoder_conf": {"layers": "weighted"}}


def own(folder, **changes):
    return {**OWN, "ssl_checkpoint": str(folder), **changes}


def copied(tiny_ssl, tmp_path, **config):
    """The tiny folder with other words in its config.json."""
    folder = tmp_path / "hf"
    shutil.copytree(tiny_ssl.hf, folder)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return folder


def test_the_configuration_holds_the_network_and_no_path_of_weights(tiny_ssl):
    config = use_checkpoint(own(tiny_ssl.hf))
    conf = config["encoder_conf"]
    assert config["ssl_checkpoint"] is None and conf["layers"] == "weighted"
    assert conf["model_config"]["hidden_size"] == 16 and conf["do_normalize"] is True
    assert {"architectures", "dtype", "transformers_version"}.isdisjoint(conf["model_config"])
    assert use_checkpoint(config) == config
    assert "model_config" not in OWN["encoder_conf"]  # a copy


def test_what_the_stack_says_of_normalisation_is_kept(tiny_ssl):
    config = use_checkpoint(own(tiny_ssl.hf, encoder_conf={"do_normalize": False}))
    assert config["encoder_conf"]["do_normalize"] is False


@pytest.mark.parametrize("said", [True, False, None])
def test_speech_is_normalised_as_the_preprocessor_does(said, tiny_ssl, tmp_path):
    folder = copied(tiny_ssl, tmp_path)
    preprocessor = folder / "preprocessor_config.json"
    preprocessor.unlink()
    if said is not None:
        preprocessor.write_text(json.dumps({"do_normalize": said, "sampling_rate": 16000}))
    assert use_checkpoint(own(folder))["encoder_conf"]["do_normalize"] == (said is not False)


def test_a_model_of_another_rate_is_refused(tiny_ssl, tmp_path):
    folder = copied(tiny_ssl, tmp_path)
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8000}))
    with pytest.raises(UserError, match="at 8000 Hz, but the recipe's is 16000"):
        use_checkpoint(own(folder))


def test_the_jsons_may_lie_one_directory_above(tiny_ssl, tmp_path):
    folder = tmp_path / "run" / "checkpoint-20"
    shutil.copytree(tiny_ssl.hf, folder)
    for name in ("config.json", "preprocessor_config.json"):
        shutil.move(folder / name, folder.parent / name)
    (folder.parent / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    conf = use_checkpoint(own(folder))["encoder_conf"]
    assert conf["model_config"]["hidden_size"] == 16 and conf["do_normalize"] is False


@pytest.mark.parametrize("kind", ["bert", "whisper"])
def test_another_architecture_is_one_line(kind, tiny_ssl, tmp_path):
    folder = copied(tiny_ssl, tmp_path, model_type=kind)
    with pytest.raises(UserError, match=f"{kind}.*(takes|holds no)") as caught:
        resolve_for(own(folder), fetch=False)
    assert "\n" not in str(caught.value)


def test_a_folder_for_one_encoder_names_it_to_another(tiny_ssl, tmp_path):
    folder = copied(tiny_ssl, tmp_path, model_type="hubert")
    assert resolve_for(own(folder), fetch=False).model_type == "hubert"
    with pytest.raises(UserError, match="is a hubert; frontend s3prl takes wav2vec2.*hf_wav2vec2"):
        resolve_for(S3PRL | {"ssl_checkpoint": str(folder)}, fetch=False)


def test_a_wrong_sum_beside_a_file_is_refused_before_anything_is_read(tiny_ssl, tmp_path):
    folder = copied(tiny_ssl, tmp_path)
    (folder / "model.safetensors.sha256").write_text(f"{'0' * 64}  model.safetensors\n")
    with pytest.raises(UserError, match="does not have the SHA-256"):
        use_checkpoint(own(folder))


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 7, b"\xff" * 64, b"\x04\x00\x00\x00\x00\x00\x00\x00[1]]"]
)
def test_what_is_no_safetensors_file_is_said_to_be_damaged(content, tiny_ssl, tmp_path):
    folder = copied(tiny_ssl, tmp_path)
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError) as caught:
        use_checkpoint(own(folder))
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_config_json_that_is_none_is_one_line(text, tiny_ssl, tmp_path):
    folder = copied(tiny_ssl, tmp_path)
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match="holds no JSON") as caught:
        use_checkpoint(own(folder))
    assert "\n" not in str(caught.value)


def test_a_part_that_the_index_names_must_be_there(tiny_ssl, tmp_path):
    folder = copied(tiny_ssl, tmp_path)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="lacks model-00001-of-00002.safetensors"):
        use_checkpoint(own(folder))
    index = {"weight_map": {"a": "../elsewhere.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="no file of its folder"):
        use_checkpoint(own(folder))


def test_a_stack_that_takes_none_names_those_that_do():
    with pytest.raises(UserError, match="fairseq_wav2vec2, hf_wav2vec2"):
        resolve_for({"frontend": "default", "encoder": "conformer", "ssl_checkpoint": "x"})
