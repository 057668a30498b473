"""--from hf: the same logits from every layout, and one line on whatever is wrong."""

import json
import shutil

import pytest
import torch

from asr_dro_plugin.errors import UserError
from tests import hf_models
from tests.importing.reading import everything_below, imported, log_probs, read

KINDS = {
    "wav2vec2": {}, "wav2vec2_stable": {"do_stable_layer_norm": True, "feat_extract_norm": "layer"},
    "hubert": {}, "wavlm": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with its model."""
    folder = tmp_path_factory.mktemp("hf") / "model"
    return folder, hf_models.write_folder(folder)


@pytest.fixture
def folder(whole, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(whole[0], tmp_path / "model")
    return tmp_path / "model"


def rewrite(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("name", KINDS)
def test_log_probs_are_those_of_transformers(name, tmp_path):
    model = hf_models.write_folder(tmp_path / "hf", name.split("_")[0], **KINDS[name])
    out = imported("hf", tmp_path / "hf", tmp_path / "exp")
    samples = hf_models.speech()
    torch.testing.assert_close(
        log_probs(out, samples), hf_models.log_probs(model, samples), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("layout", ["bin", "sharded"])
def test_every_layout_of_the_weights_gives_the_same_tensors(layout, whole, tmp_path):
    hf_models.write_tokenizer(tmp_path / "hf")
    hf_models.write_model(tmp_path / "hf", whole[1], layout)
    assert (len(list((tmp_path / "hf").glob("*.safetensors"))) > 1) == (layout == "sharded")
    first = read(imported("hf", whole[0], tmp_path / "first"))[1]
    other = read(imported("hf", tmp_path / "hf", tmp_path / "other"))[1]
    assert first.keys() == other.keys()
    assert all(torch.equal(first[name], other[name]) for name in first)


def test_tokens_stand_in_the_order_of_the_heads_rows(whole, tmp_path):
    config, state, facts, tokens = read(imported("hf", whole[0], tmp_path / "exp"))
    assert tokens == ["<space>", "?", "a", "b", "c", "<unk>", "<blank>"]
    assert config["token_list"] == tokens and facts["blank_id"] == 6
    assert torch.equal(state["ctc.ctc_lo.weight"], whole[1].lm_head.weight)
    assert facts["special_tokens"]["<blank>"] == "[PAD]" and facts["casing"] == "lower"
    assert facts["left_out_tokens"] == ["<s>", "</s>"]


def test_special_tokens_that_we_have_no_name_for_are_kept(tmp_path):
    hf_models.write_folder(tmp_path / "hf", vocab=hf_models.FAIRSEQ)
    _, _, facts, tokens = read(imported("hf", tmp_path / "hf", tmp_path / "exp"))
    assert tokens == ["<blank>", "<s>", "</s>", "<unk>", "<space>", "E", "T"]
    assert facts["casing"] == "upper"


def test_tokens_that_the_tokenizer_adds_have_rows_where_the_head_is_that_large(tmp_path):
    hf_models.write_folder(tmp_path / "hf", vocab_size=9)
    tokens = read(imported("hf", tmp_path / "hf", tmp_path / "exp"))[3]
    assert tokens[-3:] == ["<blank>", "<s>", "</s>"]


def test_every_tensor_is_accounted_for(whole, tmp_path):
    tensors = read(imported("hf", whole[0], tmp_path / "exp"))[2]["tensors"]
    names = {row["from"] for row in tensors["used"]}
    assert names == set(whole[1].state_dict())
    assert [tensors[kind] for kind in ("missing", "made", "not_used", "unexpected")] == [[]] * 4


def test_what_only_pretraining_used_is_named_and_left(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    save_file({**load_file(path), "project_q.weight": torch.ones(2, 3)}, path)
    tensors = read(imported("hf", folder, tmp_path / "exp"))[2]["tensors"]
    assert tensors["not_used"] == [
        {"name": "project_q.weight", "why": "of pretraining", "shape": [2, 3]}
    ]


def test_json_files_one_directory_above_are_found(folder, tmp_path):
    (tmp_path / "run" / "checkpoint-10").mkdir(parents=True)
    for file in folder.iterdir():
        inner = file.name in ("config.json", "model.safetensors")
        shutil.move(file, tmp_path / "run" / ("checkpoint-10" if inner else ""))
    out = imported("hf", tmp_path / "run" / "checkpoint-10", tmp_path / "exp")
    assert read(out)[3][-1] == "<blank>"


@pytest.mark.parametrize("name", ["vocab.json", "config.json", "preprocessor_config.json"])
def test_a_missing_json_is_named(name, folder, tmp_path):
    (folder / name).unlink()
    with pytest.raises(UserError, match=rf"has no {name}"):
        imported("hf", folder, tmp_path / "exp")
    assert everything_below(tmp_path) == everything_below(folder.parent)
    assert not (tmp_path / "exp").exists()


def test_the_map_of_special_tokens_may_be_missing(folder, tmp_path):
    (folder / "special_tokens_map.json").unlink()
    assert read(imported("hf", folder, tmp_path / "exp"))[3][-1] == "<blank>"


@pytest.mark.parametrize(("file", "changes", "words"), [
    ("vocab.json", {"d": 7}, "does not fit the 7 outputs"),
    ("vocab.json", {"c": 9}, "number 4 is missing"),
    ("vocab.json", {"c": 3}, "'b' and 'c' are both number 3"),
    ("vocab.json", {"": 4}, "are both number 4"),
    ("tokenizer_config.json", {"pad_token": "<none>"}, "has no <none>, the pad_token"),
    ("config.json", {"pad_token_id": 0}, "pad_token_id 0, its tokenizer's pad_token is number 6"),
    ("config.json", {"model_type": "bert"}, "describes a bert; imported are"),
    ("config.json", {"hidden_size": 32}, "has the shape .*, but its configuration asks for"),
    ("config.json", {"num_hidden_layers": 10**8}, "more than any model has"),
    ("config.json", {"num_hidden_layers": 3}, "lacks 16 tensors .*layers.2"),
    ("preprocessor_config.json", {"sampling_rate": 8000}, "audio at 8000 Hz"),
])  # fmt: skip
def test_what_does_not_fit_is_one_line(file, changes, words, folder, tmp_path):
    rewrite(folder / file, **changes)
    with pytest.raises(UserError, match=words) as caught:
        imported("hf", folder, tmp_path / "exp")
    assert "\n" not in str(caught.value) and not (tmp_path / "exp").exists()


def test_a_json_without_end_is_refused(folder, tmp_path):
    (folder / "vocab.json").write_text("[" * 200_000)
    with pytest.raises(UserError, match="vocab.json holds no JSON"):
        imported("hf", folder, tmp_path / "exp")


def test_layers_that_the_configuration_has_no_place_for_are_told(folder, tmp_path):
    rewrite(folder / "config.json", num_hidden_layers=1)
    tensors = read(imported("hf", folder, tmp_path / "exp"))[2]["tensors"]
    assert {row["name"].split(".layers.")[1][0] for row in tensors["unexpected"]} == {"1"}


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_truncated_weights_are_refused(file, whole, tmp_path):
    layout = "bin" if file.endswith("bin") else "safetensors"
    hf_models.write_tokenizer(tmp_path / "hf")
    hf_models.write_model(tmp_path / "hf", whole[1], layout)
    content = (tmp_path / "hf" / file).read_bytes()
    (tmp_path / "hf" / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=f"{file}.*(damaged|not a whole)"):
        imported("hf", tmp_path / "hf", tmp_path / "exp")


def test_a_model_without_a_head_wants_a_new_vocabulary(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    body = {k: v for k, v in load_file(path).items() if not k.startswith("lm_head.")}
    save_file({k.removeprefix("wav2vec2."): v for k, v in body.items()}, path)
    with pytest.raises(UserError, match="pretrained only. Give --new_vocab"):
        imported("hf", folder, tmp_path / "exp")
    (tmp_path / "tokens.txt").write_text("<blank>\n<unk>\nx\n<sos/eos>\n")
    state = read(imported("hf", folder, tmp_path / "exp", new_vocab=tmp_path / "tokens.txt"))[1]
    assert state["ctc.ctc_lo.weight"].shape == (4, 16)


@pytest.mark.parametrize("fault", ["missing", "misfit"])
def test_a_vocabulary_that_does_not_fit_is_no_obstacle_to_a_new_one(fault, folder, tmp_path):
    if fault == "missing":
        (folder / "vocab.json").unlink()
    else:
        rewrite(folder / "vocab.json", d=7)
    (tmp_path / "tokens.txt").write_text("<blank>\na\nx\n")
    out = imported("hf", folder, tmp_path / "exp", new_vocab=tmp_path / "tokens.txt")
    _, state, facts, _ = read(out)
    assert state["ctc.ctc_lo.weight"].shape == (3, 16)
    assert facts["notes"][0].startswith("No row of the old head is kept")
    assert "0 of its 3 rows" in facts["notes"][1]


def test_of_the_vocabularies_of_an_mms_the_languages_own_is_taken(folder, tmp_path):
    from safetensors.torch import save_file

    letters = hf_models.LETTERS
    rewrite(folder / "tokenizer_config.json", target_lang="xyz")
    (folder / "vocab.json").write_text(json.dumps({"abc": letters, "xyz": {**letters}}))
    head = {"lm_head.weight": torch.ones(7, 16), "lm_head.bias": torch.zeros(7)}
    save_file(head, folder / "adapter.abc.safetensors")
    state = read(imported("hf", folder, tmp_path / "exp", lang="abc"))[1]
    assert torch.equal(state["ctc.ctc_lo.weight"], head["lm_head.weight"])
    with pytest.raises(UserError, match=r"no adapter.deu.safetensors.*one of: abc"):
        imported("hf", folder, tmp_path / "other", lang="deu")


CARD = {
    "_target_": "ml4audio.asr_inference.inference.HfAsrPipelineFromLogitsInferencerDecoder",
    "logits_inferencer": {"checkpoint": {"name": "spanish", "_python_dataclass_": "misc_utils.X"}},
    "chunk_length_s": 16.0, "casing": {"_target_": "ml4audio.text.Casing", "value": "1"},
}  # fmt: skip


@pytest.fixture
def exported(folder, tmp_path):
    """The folder as ml4audio's service lays it out."""
    top = tmp_path / "service"
    (top / "ASR_INFERENCE" / "HfAsrPipeline-x").mkdir(parents=True)
    place = top / "AM_MODELS" / "FinetunedCheckpoint-spanish-0123abc"
    place.mkdir(parents=True)
    shutil.move(folder, place / "model")
    (place / "dataclass.json").write_text(json.dumps(CARD))
    return top


def test_the_one_model_of_a_services_folder_is_found_and_its_card_read(exported, tmp_path):
    facts = read(imported("hf", exported, tmp_path / "exp"))[2]
    assert facts["card"] == {"casing": "1", "chunk_length_s": 16.0, "name": "spanish"}


@pytest.mark.parametrize("where", ["outer", "inner"])
def test_a_card_that_names_an_unknown_type_is_refused_and_nothing_runs(
    where, exported, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    hostile = {"_target_": "os.mkdir", "path": "sentinel"}
    card = hostile if where == "outer" else {**CARD, "data": [{"x": hostile}]}
    next(exported.glob("AM_MODELS/*/dataclass.json")).write_text(json.dumps(card))
    with pytest.raises(UserError, match="unknown type 'os.mkdir'. Nothing was imported or run"):
        imported("hf", exported, tmp_path / "exp")
    assert not (tmp_path / "sentinel").exists() and not (tmp_path / "exp").exists()


def test_of_several_models_one_must_be_given(exported, tmp_path):
    first = next(exported.glob("AM_MODELS/*"))
    shutil.copytree(first, first.with_name("FinetunedCheckpoint-other"))
    with pytest.raises(UserError, match=r"holds 2 models \(AM_MODELS/FinetunedCheckpoint-other"):
        imported("hf", exported, tmp_path / "exp")


def test_a_folder_without_a_model_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has neither model.safetensors nor pytorch_model.bin"):
        imported("hf", tmp_path / "empty", tmp_path / "exp")
