"""A fairseq checkpoint gives the network that it describes, whichever way it was written."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.fairseq_config import DEFAULTS, convolutions, model_config
from asr_dro_plugin.pretrained.fairseq_files import read_config, read_fairseq, read_letters
from asr_dro_plugin.pretrained.fairseq_names import expected_shapes, sort_tensors
from tests.without_fairseq import FORBID

pytest_plugins = ["tests.fixtures_ssl"]
ROOT = Path(__file__).resolve().parents[2]
VARIANTS = ("stable", "base")
HEADS = {"quantizer", "project_q", "final_proj"}


@pytest.fixture(scope="module")
def written(make_tiny_ssl):
    return {variant: make_tiny_ssl(variant=variant) for variant in VARIANTS}


def state_of(tiny) -> dict:
    return torch.load(tiny.fairseq, weights_only=True)


def save(path, state, **options) -> Path:
    torch.save(state, path, **options)
    return path


def hidden(config: dict, weights: dict, speech: torch.Tensor) -> torch.Tensor:
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    model = Wav2Vec2Model(Wav2Vec2Config(**config)).eval()
    model.load_state_dict(weights)
    with torch.no_grad():
        return model(speech).last_hidden_state


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_network_computes_what_hugging_faces_own_file_computes(written, variant):
    from transformers import Wav2Vec2Model

    speech = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    found = read_fairseq(written[variant].fairseq)
    with torch.no_grad():
        expected = Wav2Vec2Model.from_pretrained(written[variant].hf).eval()(speech)
    difference = hidden(found.config, found.weights, speech) - expected.last_hidden_state
    assert difference.abs().max() < 1e-5


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_tensor_is_accounted_for(written, variant):
    names = set(state_of(written[variant])["model"])
    found = read_fairseq(written[variant].fairseq)
    account = found.account
    assert {name.split(".")[0] for name in account.not_used} == HEADS
    assert set(account.used) | set(account.not_used) == names
    assert len(set(account.used.values())) == len(account.used)
    assert set(found.weights) == set(account.used.values()) == set(expected_shapes(found.config))
    assert (account.unexpected, account.made, account.head) == ((), (), ())
    assert str(account).startswith(f"{len(account.used)} tensors used, 7 not used (final_proj,")


def flat(cfg: dict) -> argparse.Namespace:
    """The settings as fairseq kept them before 0.10."""
    model = {key: value for key, value in cfg["model"].items() if key != "_name"}
    return argparse.Namespace(arch="wav2vec2", **model, normalize=cfg["task"]["normalize"])


def new_names(model: dict) -> dict:
    """Weight norm as newer PyTorch names it."""
    names = {"weight_g": "parametrizations.weight.original0",
             "weight_v": "parametrizations.weight.original1"}  # fmt: skip
    return {
        ".".join([head, names.get(tail, tail)]) if head else tail: value
        for name, value in model.items()
        for head, _, tail in [name.rpartition(".")]
    }


WAYS = {
    "DictConfig": lambda state: state | {"cfg": OmegaConf.create(state["cfg"])},
    "Namespace": lambda state: state | {"args": flat(state["cfg"]), "cfg": None},
    "new names": lambda state: state | {"model": new_names(state["model"])},
    "half": lambda state: state | {"model": {k: v.half() for k, v in state["model"].items()}},
    "s3prl": lambda state: {
        "task_cfg": state["cfg"]["task"],
        "model_cfg": state["cfg"]["model"],
        "model_weight": state["model"],
    },
}


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_however_it_was_written_the_network_is_the_same(written, tmp_path, variant, way, is_zip):
    path = tmp_path / "a.pt"
    save(path, WAYS[way](state_of(written[variant])), _use_new_zipfile_serialization=is_zip)
    first, again = read_fairseq(written[variant].fairseq), read_fairseq(path)
    assert again.config == first.config == read_config(path)
    assert again.normalize == first.normalize == (variant == "stable")
    tolerance = 1e-3 if way == "half" else 0
    for name, value in first.weights.items():
        assert again.weights[name].dtype == torch.float32
        assert torch.allclose(again.weights[name], value, rtol=tolerance, atol=tolerance), name


def finetuned(state: dict, letters: str = "abc") -> dict:
    """What fairseq saves after training ``state`` for ASR."""
    width = state["cfg"]["model"]["encoder_embed_dim"]
    inner = {
        f"w2v_encoder.w2v_model.{name}": value
        for name, value in state["model"].items()
        if name.split(".")[0] not in HEADS
    }
    head = {"w2v_encoder.proj.weight": torch.randn(4 + len(letters), width),
            "w2v_encoder.proj.bias": torch.randn(4 + len(letters))}  # fmt: skip
    model = {
        "_name": "wav2vec_ctc", "w2v_path": "/nowhere.pt", "apply_mask": True, "mask_prob": 0.5,
        "layerdrop": 0.1, "dropout": 0.0, "final_dropout": 0.2, "w2v_args": state["cfg"],
    }  # fmt: skip
    task = {"_name": "audio_finetuning", "labels": "ltr", "normalize": True}
    return state | {"cfg": {"model": model, "task": task}, "model": inner | head}


def test_a_model_trained_for_asr_has_a_head_and_its_letters(written, tmp_path):
    state = finetuned(state_of(written["stable"]))
    path = save(tmp_path / "a.pt", state)
    found = read_fairseq(path)
    assert torch.equal(found.head["weight"], state["model"]["w2v_encoder.proj.weight"])
    assert found.account.head == ("w2v_encoder.proj.weight", "w2v_encoder.proj.bias")
    assert found.symbols is None  # nobody says what its outputs are
    (tmp_path / "dict.ltr.txt").write_text("| 10\na 9\nb 8 #fairseq:overwrite\n", encoding="utf-8")
    assert read_fairseq(path).symbols == ["<s>", "<pad>", "</s>", "<unk>", "|", "a", "b"]
    assert found.config == read_fairseq(written["stable"].fairseq).config | {
        "mask_time_prob": 0.5, "layerdrop": 0.1, "hidden_dropout": 0.0, "final_dropout": 0.2,
        "attention_dropout": 0.1,
    }  # fmt: skip
    (tmp_path / "dict.ltr.txt").write_text("| 10\na 9\n", encoding="utf-8")
    with pytest.raises(UserError, match="has 7 outputs, and its dictionary 6 symbols"):
        read_fairseq(path)


def test_a_wrapper_in_old_arguments_is_read_as_one_in_sections(written, tmp_path):
    state = finetuned(state_of(written["stable"]))
    flat_inner = flat(state["cfg"]["model"].pop("w2v_args"))
    wrapper = argparse.Namespace(**state["cfg"]["model"], w2v_args=flat_inner, normalize=True)
    old = read_fairseq(save(tmp_path / "old.pt", state | {"cfg": None, "args": wrapper}))
    new = read_fairseq(save(tmp_path / "new.pt", finetuned(state_of(written["stable"]))))
    assert (old.config, old.normalize) == (new.config, new.normalize)


def test_a_wrapper_that_does_not_say_what_it_wraps_is_refused(written, tmp_path):
    state = finetuned(state_of(written["stable"]))
    state["cfg"]["model"]["w2v_args"] = None
    with pytest.raises(UserError, match=r"trained .* from /nowhere.pt, .*\(w2v_args\)"):
        read_fairseq(save(tmp_path / "a.pt", state))


def test_the_letters_are_taken_from_the_file_where_it_holds_its_dictionary(written, tmp_path):
    symbols = ["<s>", "<pad>", "</s>", "<unk>", "x", "y", "z"]
    dictionary = argparse.Namespace(symbols=symbols, count=[1] * 7)
    state = finetuned(state_of(written["base"])) | {"task_state": {"target_dictionary": dictionary}}
    assert read_fairseq(save(tmp_path / "a.pt", state)).symbols == symbols


def test_letters_are_read_with_their_line(tmp_path):
    path = tmp_path / "dict.ltr.txt"
    path.write_text("a 1\nb\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"dict.ltr.txt:2 is not a letter and its count"):
        read_letters(path)


def test_without_a_projection_an_identity_takes_its_place(written, tmp_path):
    state = state_of(written["base"])
    settings = state["cfg"]["model"] | {"conv_feature_layers": "[(16, 10, 5)] + [(16, 3, 2)] * 6"}
    shapes = expected_shapes(model_config(settings, "here"))
    renamed = sort_tensors(state["model"]).used
    model = {theirs: torch.randn(shapes[ours]) for theirs, ours in renamed.items()}
    model = {name: value for name, value in model.items() if "post_extract_proj" not in name}
    found = read_fairseq(save(tmp_path / "a.pt", {"cfg": {"model": settings}, "model": model}))
    assert len(found.account.made) == 2
    speech = torch.randn(1, 4000)
    assert hidden(found.config, found.weights, speech).shape == (1, 11, 16)
    assert torch.equal(found.weights["feature_projection.projection.weight"], torch.eye(16))


def change(tmp_path, state, **model) -> Path:
    tensors = {key: value for key, value in model.items() if isinstance(value, torch.Tensor)}
    settings = {key: value for key, value in model.items() if key not in tensors}
    cfg = state["cfg"] | {"model": state["cfg"]["model"] | settings}
    return save(tmp_path / "a.pt", state | {"cfg": cfg, "model": state["model"] | tensors})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layer_type": "conformer"}, "layer_type 'conformer'.*hf_wav2vec2"),
        ({"pos_conv_depth": 5}, "pos_conv_depth 5"),
        ({"_name": "data2vec_audio"}, "holds a data2vec_audio"),
        ({"extractor_mode": "batch"}, "'batch'"),
        ({"encoder_layers": "12"}, "'12' where a number is meant"),
        ({"encoder_layers": 0}, "0 where a size is meant"),
        ({"encoder_layers": 3}, r"lacks 16 tensors.*encoder.layers.2"),
        ({"encoder_layers": 1}, r"tensor encoder.layers.1.*its settings know of none"),
        ({"encoder_ffn_embed_dim": 64}, r"fc1.weight is 32 x 16, and its settings ask for 64 x 16"),
        ({"conv_feature_layers": "__import__('os').getcwd()"}, "no list of layers"),
        ({"layer_norm_first": "yes"}, "'yes' where true or false is meant"),
    ],
)  # fmt: skip
def test_another_network_is_refused_in_one_line(written, tmp_path, settings, words):
    path = change(tmp_path, state_of(written["stable"]), **settings)
    with pytest.raises(UserError, match=words) as caught:
        read_fairseq(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_tensor_of_another_shape_is_named(written, tmp_path):
    name = "encoder.layers.1.fc2.bias"
    path = change(tmp_path, state_of(written["stable"]), **{name: torch.zeros(3)})
    with pytest.raises(UserError, match=rf"tensor {name} is 3, and its settings ask for 16"):
        read_fairseq(path)


def test_an_unknown_tensor_is_listed_as_unexpected(written, tmp_path):
    path = change(tmp_path, state_of(written["stable"]), **{"extra.weight": torch.zeros(3)})
    assert read_fairseq(path).account.unexpected == ("extra.weight",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"weights": 1}, "it holds weights, not model with cfg or args"),
        ([1, 2], "it holds no settings"),
        ({"model": {}, "cfg": {"model": {"_name": "wav2vec2"}}}, "no tensors of a model"),
        ({"model": {"a": 1}, "cfg": {}}, "no settings of its network"),
    ],
)
def test_what_is_no_checkpoint_of_fairseqs_is_refused(tmp_path, content, words):
    with pytest.raises(UserError, match=words):
        read_fairseq(save(tmp_path / "a.pt", content))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no file"):
        read_fairseq(tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        (DEFAULTS["conv_feature_layers"], [(512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2]),
        ("2*[(8,2,2)] + [[4, 3, 1]]", [(8, 2, 2), (8, 2, 2), (4, 3, 1)]),
        (" [(8, 10, 5)] ", [(8, 10, 5)]),
    ],
)
def test_convolutions_are_read_as_fairseq_evaluates_them(text, layers):
    assert convolutions(text) == layers


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch x')", "[(512, 10)]", "[(1, 2, 3)] * 10 ** 9", "[]", "[()]",
        "[(1, 2, 3)] * -1", "[(1, 2, 3)] * 1000000000", "[(True, 2, 3)]", "[(1, 2, x)]",
        "[1, 2, 3]", "[(1, 2, 3) for x in y]", "(" * 900, "[(1,2,3)]+" * 300, 5, None,
        "[(1, 2, 0)]",
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_anything_else_in_their_place_is_refused(text):
    with pytest.raises(ValueError, match="no list of layers"):
        convolutions(text)


@given(st.text(max_size=40) | st.lists(st.tuples(*[st.integers(0, 9)] * 3)).map(str))
def test_convolutions_are_a_list_or_a_refusal(text):
    try:
        layers = convolutions(text)
    except ValueError:
        return
    assert layers and all(min(layer) > 0 for layer in layers)


WITHOUT_FAIRSEQ = (
    FORBID
    + """
from asr_dro_plugin.pretrained.fairseq_files import read_fairseq
found = read_fairseq(sys.argv[1])
assert not {"fairseq", "hydra", "omegaconf", "espnet2", "transformers"} & set(sys.modules)
print(found.config["hidden_size"], len(found.weights))
"""
)


def test_neither_fairseq_nor_hydra_nor_omegaconf_is_imported(written, tmp_path):
    state = state_of(written["stable"])
    path = save(tmp_path / "a.pt", state | {"cfg": OmegaConf.create(state["cfg"])})
    command = [sys.executable, "-c", WITHOUT_FAIRSEQ, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[:1]) == (0, ["16"]), done.stderr
