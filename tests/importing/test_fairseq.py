"""--from fairseq: a fine-tuned model with its letters, a pretrained one with a new head only."""

import pytest
import torch

from asr_dro_plugin.errors import UserError
from tests.hostile import WRITERS, attacks
from tests.importing.reading import everything_below, imported, log_probs, read

pytest_plugins = ["tests.fixtures_ssl"]
HEADS = ("quantizer.", "project_q.", "final_proj.")
LETTERS = "| 10\nE 9\nT 8\n"


@pytest.fixture(scope="module")
def pretrained(make_tiny_ssl):
    """The same tiny network as fairseq's file and Hugging Face's folder."""
    return make_tiny_ssl()


def finetuned(path, source, letters=LETTERS):
    """What fairseq saves after training ``source`` for ASR; returns the head."""
    state = torch.load(source, weights_only=True)
    inner = {
        f"w2v_encoder.w2v_model.{name}": value
        for name, value in state["model"].items()
        if not name.startswith(HEADS)
    }
    generator = torch.Generator().manual_seed(3)
    width = state["cfg"]["model"]["encoder_embed_dim"]
    head = {"weight": torch.randn(7, width, generator=generator), "bias": torch.randn(7)}
    task = {**state["cfg"]["task"], "_name": "audio_finetuning", "labels": "ltr"}
    model = {"_name": "wav2vec_ctc", "final_dropout": 0.2, "w2v_args": state["cfg"]}
    named = {f"w2v_encoder.proj.{name}": value for name, value in head.items()}
    torch.save(state | {"cfg": {"model": model, "task": task}, "model": inner | named}, path)
    if letters:
        (path.parent / "dict.ltr.txt").write_text(letters, encoding="utf-8")
    return head


def test_a_finetuned_model_computes_what_its_twin_in_transformers_does(pretrained, tmp_path):
    from transformers import Wav2Vec2Model

    head = finetuned(tmp_path / "model.pt", pretrained.fairseq)
    out = imported("fairseq", tmp_path / "model.pt", tmp_path / "exp")
    config, _, facts, tokens = read(out)
    assert tokens == ["<blank>", "<pad>", "</s>", "<unk>", "<space>", "E", "T"]
    assert facts["blank_id"] == 0 and facts["casing"] == "upper"
    assert config["ctc_conf"] == {"dropout_rate": 0.2}
    samples = 0.1 * torch.randn(1, 8000, generator=torch.Generator().manual_seed(1))
    values = samples
    if config["encoder_conf"]["do_normalize"]:
        values = (samples - samples.mean()) / (samples.var(unbiased=False) + 1e-7).sqrt()
    with torch.no_grad():
        hidden = Wav2Vec2Model.from_pretrained(pretrained.hf).eval()(values).last_hidden_state
    expected = torch.nn.functional.linear(hidden, head["weight"], head["bias"]).log_softmax(-1)
    torch.testing.assert_close(log_probs(out, samples), expected, rtol=0, atol=1e-4)


def test_every_tensor_of_the_file_is_accounted_for(pretrained, tmp_path):
    (tmp_path / "tokens.txt").write_text("<blank>\na\n")
    state = torch.load(pretrained.fairseq, weights_only=True)
    state["model"]["novel.weight"] = torch.ones(2, 5)
    torch.save(state, tmp_path / "model.pt")
    out = imported(
        "fairseq", tmp_path / "model.pt", tmp_path / "exp", new_vocab=tmp_path / "tokens.txt"
    )
    tensors = read(out)[2]["tensors"]
    named = {row.get("from", row["name"]) for kind in tensors.values() for row in kind}
    assert set(state["model"]) <= named
    assert tensors["unexpected"] == [{"name": "novel.weight", "shape": [2, 5]}]
    assert {row["name"].split(".")[0] + "." for row in tensors["not_used"]} == set(HEADS)
    shapes = {row["name"]: tuple(row["shape"]) for row in tensors["not_used"]}
    assert all(shape == tuple(state["model"][name].shape) for name, shape in shapes.items())


def test_a_pretrained_model_wants_a_new_vocabulary(pretrained, tmp_path):
    with pytest.raises(UserError, match="pretrained only. Give --new_vocab"):
        imported("fairseq", pretrained.fairseq, tmp_path / "exp")
    (tmp_path / "tokens.txt").write_text("a\n<blank>\n")
    _, state, facts, _ = read(
        imported("fairseq", pretrained.fairseq, tmp_path / "exp", new_vocab=tmp_path / "tokens.txt")
    )
    assert state["ctc.ctc_lo.weight"].shape == (2, 16) and facts["blank_id"] == 1
    assert "0 of its 2 rows" in facts["notes"][0]


def test_a_finetuned_model_without_its_letters_is_refused(pretrained, tmp_path):
    finetuned(tmp_path / "model.pt", pretrained.fairseq, letters="")
    with pytest.raises(UserError, match="dict.ltr.txt is not beside it.*--new_vocab"):
        imported("fairseq", tmp_path / "model.pt", tmp_path / "exp")
    (tmp_path / "dict.ltr.txt").write_text("| 1\n")
    with pytest.raises(UserError, match="has 7 outputs, and its dictionary 5 symbols"):
        imported("fairseq", tmp_path / "model.pt", tmp_path / "exp")


@pytest.mark.parametrize("layout", WRITERS)
def test_a_pickle_that_runs_code_does_not_run(layout, tmp_path):
    sentinel = tmp_path / "sentinel"
    for trick, pickled in attacks(sentinel).items():
        path = WRITERS[layout](tmp_path / "model.pt", pickled)
        with pytest.raises(UserError):
            imported("fairseq", path, tmp_path / "exp")
        assert everything_below(tmp_path) == {"model.pt"}, trick
