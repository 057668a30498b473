"""--from state_dict: tensors find their places by name; what does not fit is named."""

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.importing.state_dicts import renamed_names
from tests.hostile import WRITERS, attacks
from tests.importing.reading import everything_below, imported, read
from tests.importing.stacks import HEAD, NET, TOKENS, weights, write_tokens, write_yaml


@pytest.fixture
def given(tmp_path):
    """A folder with the YAML and the tokens; a function that imports a state dict."""
    config, tokens = write_yaml(tmp_path / "stack.yaml"), write_tokens(tmp_path / "tokens.txt")

    def run(state, name="model.pth", **options):
        if state is not None:
            torch.save(state, tmp_path / name)
        options = {"config": config, "tokens": tokens, **options}
        return imported("state_dict", tmp_path / name, tmp_path / "exp", **options)

    return run


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def own(state):
    return {name: tensor for name, tensor in state.items() if not name.startswith("frontend.")}


def test_tensors_are_found_by_name_in_any_order(given):
    state = weights()
    config, found, facts, tokens = read(given(dict(sorted(state.items(), reverse=True))))
    assert equal(own(found), state) and tokens == TOKENS and facts["blank_id"] == 5
    assert config["encoder"] == "conv_ctc" and "optim" not in config
    (made,) = facts["tensors"]["made"]
    assert made["name"] == "frontend.logmel.melmat" and "computed" in made["why"]


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_training_templates_file_is_read(key, given):
    template = {
        "arch": "DeepSpeech2", "epoch": 7, "config": {"model": {"n_feats": 20}},
        "optimizer": {"state": {}, "param_groups": []}, "monitor_best": torch.tensor(0.1),
    }  # fmt: skip
    _, found, facts, _ = read(given({**template, key: weights()}))
    assert equal(own(found), weights())
    assert facts["file"] == {
        "arch": "DeepSpeech2", "epoch": 7, "config": {"model": {"n_feats": 20}}
    }  # fmt: skip


def test_safetensors_are_read(given, tmp_path):
    from safetensors.torch import save_file

    save_file(weights(), tmp_path / "model.safetensors")
    assert equal(own(read(given(None, "model.safetensors"))[1]), weights())


def test_wrappers_of_distributed_training_and_compilation_come_off(given):
    state = {f"module._orig_mod.{name}": tensor for name, tensor in weights().items()}
    assert equal(own(read(given(state))[1]), weights())


def test_rules_rename_beginnings(given):
    state = {name.removeprefix(NET).replace(HEAD, "fc."): t for name, t in weights().items()}
    rules = (("fc.", HEAD), ("", NET))
    _, found, facts, _ = read(given(state, rename=rules))
    assert equal(own(found), weights())
    names = {row["name"]: row["from"] for row in facts["tensors"]["used"]}
    assert names[f"{HEAD}weight"] == "fc.weight"
    assert names[f"{NET}norm.bias"] == "norm.bias"


@pytest.mark.parametrize(("rules", "words"), [
    ((("nothing.", "x."),), "--rename nothing.=x. fits none of the tensors"),
    ((("b.", "a."),), "would both be called a.x"),
])  # fmt: skip
def test_rules_that_cannot_be_meant_are_refused(rules, words):
    with pytest.raises(UserError, match=words):
        renamed_names(["a.x", "b.x"], rules)


@pytest.mark.parametrize(("change", "words"), [
    (lambda s: s.pop(f"{NET}norm.bias"), rf"lacks 1 tensors \({NET}norm.bias\)"),
    (lambda s: s.update({f"{NET}norm.bias": torch.ones(17)}), "norm.bias has the shape 17"),
    (lambda s: s.update({f"{NET}norm.bias": torch.full((16,), float("nan"))}), "NaN or infinity"),
    (lambda s: s.update({f"{HEAD}weight": torch.ones(5, 16)}), "the vocabulary has 6 tokens"),
    (lambda s: s.update({f"{HEAD}weight": torch.ones(6, 8)}), "configuration asks for 6 x 16"),
    (lambda s: s.update({f"{NET}morn.bias": s.pop(f"{NET}norm.bias")}), "Did you mean '.*morn"),
    (lambda s: (s.pop(f"{HEAD}weight"), s.pop(f"{HEAD}bias")), "has no output layer.*--rename"),
    (lambda s: s.clear(), "holds no tensors by name"),
])  # fmt: skip
def test_what_does_not_fit_is_named_and_nothing_is_left(change, words, given, tmp_path):
    state = weights()
    change(state)
    with pytest.raises(UserError, match=words) as caught:
        given(state)
    assert "\n" not in str(caught.value)
    assert everything_below(tmp_path) == {"stack.yaml", "tokens.txt", "model.pth"}


def test_tensors_that_nobody_asked_for_are_told(given):
    state = {**weights(), "teacher.weight": torch.ones(2, 2)}
    facts = read(given(state))[2]
    assert facts["tensors"]["unexpected"] == [{"name": "teacher.weight", "shape": [2, 2]}]


@pytest.mark.parametrize("rows", [None, 9], ids=["absent", "another_size"])
def test_a_head_that_does_not_fit_begins_anew_where_that_is_allowed(rows, given):
    state = weights(rows or 6)
    if rows is None:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(HEAD)}
    _, found, facts, tokens = read(given(state, allow_new_head=True))
    body = {name: tensor for name, tensor in weights().items() if not name.startswith(HEAD)}
    assert equal({k: v for k, v in own(found).items() if not k.startswith(HEAD)}, body)
    assert found[f"{HEAD}weight"].shape == (6, 16) and tokens == TOKENS
    assert "0 of its 6 rows" in facts["notes"][0]
    reported = {row["name"] for row in facts["tensors"]["made"]}
    assert {f"{HEAD}weight", f"{HEAD}bias"} <= reported
    left = {row["name"] for row in facts["tensors"]["not_used"]}
    assert left == ({f"{HEAD}weight", f"{HEAD}bias"} if rows else set())


def test_a_head_that_fits_is_kept_though_a_new_one_were_allowed(given):
    assert equal(own(read(given(weights(), allow_new_head=True))[1]), weights())


def test_half_precision_becomes_what_training_computes_in(given):
    state = {name: tensor.half() for name, tensor in weights().items()}
    found = read(given(state))[1]
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}


def test_the_stack_and_the_tokens_must_be_named(given, tmp_path):
    with pytest.raises(UserError, match="needs --config"):
        given(weights(), config=None)
    with pytest.raises(UserError, match="needs --tokens"):
        given(weights(), tokens=None)
    write_tokens(tmp_path / "blankless.txt", TOKENS[:-1])
    with pytest.raises(UserError, match="blankless.txt has no <blank>"):
        given(weights(), tokens=tmp_path / "blankless.txt")
    wrong = write_yaml(tmp_path / "wrong.yaml", encoder="con_ctc")
    with pytest.raises(UserError, match="Did you mean 'conv_ctc'"):
        given(weights(), config=wrong)


@pytest.mark.parametrize("layout", WRITERS)
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(layout, given, tmp_path):
    sentinel = tmp_path / "sentinel"
    for number, (trick, pickled) in enumerate(attacks(sentinel).items()):
        path = WRITERS[layout](tmp_path / f"{number}.pth", pickled)
        with pytest.raises(UserError):
            given(None, path.name)
        path.unlink()
        assert not sentinel.exists(), trick
        assert everything_below(tmp_path) == {"stack.yaml", "tokens.txt"}, trick


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_truncated_file_is_refused(share, given, tmp_path):
    torch.save(weights(), tmp_path / "model.pth")
    content = (tmp_path / "model.pth").read_bytes()
    (tmp_path / "model.pth").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"model.pth \(\d+ bytes\) is not a whole PyTorch file"):
        given(None)
