"""Each stack takes the pretrained models that it can load, and gets them in their place."""

import argparse
import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained import catalogue as ssl_checkpoints
from asr_dro_plugin.pretrained.catalogue import resolve_checkpoint
from asr_dro_plugin.pretrained.layouts import inspect_checkpoint
from asr_dro_plugin.stack.ssl_checkpoint import resolve_for, use_of
from asr_dro_plugin.stack.use_checkpoint import apply_to_config, use_checkpoint

pytest_plugins = ["tests.fixtures_ssl", "tests.fixtures_whisper"]
S3PRL = {"frontend": "s3prl", "frontend_conf": {"multilayer_feature": True}}
WAV2VEC2 = {"frontend": None, "encoder": "wav2vec2"}


@pytest.mark.parametrize(
    "config, layout, file",
    [(S3PRL, "hf", "hf"), (WAV2VEC2, "fairseq", "fairseq/xlsr2_300m.pt")],
)
def test_a_name_without_fetching_gives_the_plan_from_the_table(config, layout, file, tmp_path):
    found = resolve_checkpoint("xlsr_300m", tmp_path, fetch=False, layouts=use_of(config).layouts)
    assert (found.layout, found.path) == (layout, tmp_path / "xlsr_300m" / file)
    assert found.output_size == 1024 and not list(tmp_path.iterdir())


def test_a_wrong_layout_for_the_stack_names_the_legal_ones(tiny_ssl):
    with pytest.raises(UserError, match="a Hugging Face folder; this stack takes a fairseq file"):
        resolve_checkpoint(tiny_ssl.hf, layouts=use_of(WAV2VEC2).layouts)
    with pytest.raises(UserError, match="convert-checkpoint .* --layout s3prl"):
        resolve_checkpoint(tiny_ssl.fairseq, layouts=use_of(S3PRL).layouts)
    with pytest.raises(UserError, match="no frontend hf_whisper, s3prl or encoder"):
        use_of({"frontend": "default", "encoder": "transformer"})


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


PARTS = ["config.json", "preprocessor_config.json", "model.safetensors"]


@pytest.mark.parametrize("missing", PARTS)
def test_a_folder_that_lacks_a_part_names_it(missing, tiny_ssl, tmp_path):
    """Without its preprocessor_config.json s3prl would ask the hub for another model's."""
    shutil.copytree(tiny_ssl.hf, tmp_path / "hf", ignore=shutil.ignore_patterns(missing))
    with pytest.raises(UserError, match=missing):
        resolve_for(S3PRL | {"ssl_checkpoint": str(tmp_path / "hf")}, fetch=False)


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


@pytest.mark.parametrize("frontend", ["hf_whisper", "s3prl"])
def test_settings_and_weights_of_two_models_are_refused(frontend, tiny_ssl, tiny_whisper, tmp_path):
    whisper = frontend == "hf_whisper"
    folder = Path(shutil.copytree(tiny_whisper if whisper else tiny_ssl.hf, tmp_path / "folder"))
    config = json.loads((folder / "config.json").read_text())
    config["encoder_layers" if whisper else "num_hidden_layers"] = 5
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="describes 5 layers, and the weights beside it have 2"):
        resolve_for({"frontend": frontend, "ssl_checkpoint": str(folder)}, fetch=False)


def test_a_folder_for_one_frontend_names_what_takes_it(tiny_ssl, tiny_whisper):
    with pytest.raises(UserError, match="is a whisper; frontend s3prl .* frontend: hf_whisper"):
        resolve_for(S3PRL | {"ssl_checkpoint": str(tiny_whisper)}, fetch=False)
    config = {"frontend": "hf_whisper", "ssl_checkpoint": str(tiny_ssl.hf)}
    with pytest.raises(UserError, match="frontend hf_whisper takes whisper.* hf_wav2vec2"):
        resolve_for(config, fetch=False)


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
