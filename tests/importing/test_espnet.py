"""--from espnet: a packed model or an experiment, with the files that it names."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.config_paths import config_in_place
from asr_dro_plugin.export.pack import PackOptions, pack
from tests.importing.reading import everything_below, imported, read
from tests.importing.stacks import HEAD, STACK, TOKENS, weights

EXP = {
    **STACK, "token_type": "char", "token_list": TOKENS, "output_dir": "/home/someone/exp",
    "normalize": "global_mvn", "normalize_conf": {"stats_file": "stats/feats_stats.npz"},
    "objective": "ctc_dro", "best_model_criterion": [["valid", "loss", "min"]],
    "model_conf": {"ctc_weight": 1.0, "groups": ["deu", "eng"]},
    "train_data_path_and_name_and_type": [["/home/someone/dump/wav.scp", "speech", "sound"]],
}  # fmt: skip


@pytest.fixture
def exp(tmp_path, monkeypatch):
    """A trained experiment below the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stats").mkdir()
    np.savez(
        tmp_path / "stats" / "feats_stats.npz", count=9, sum=np.ones(20), sum_square=np.ones(20)
    )
    folder = tmp_path / "exp" / "asr_toy"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(EXP))
    state = {
        **weights(), "normalize.mean": torch.zeros(20), "normalize.std": torch.ones(20),
        "frontend.logmel.melmat": torch.ones(257, 20), "objective.mean_loss": torch.zeros(2),
    }  # fmt: skip
    torch.save(state, folder / "3epoch.pth")
    (folder / "valid.loss.ave.pth").symlink_to("3epoch.pth")
    (folder / "latest.pth").symlink_to("3epoch.pth")
    return folder


def test_an_experiment_is_imported_with_the_files_it_names_and_can_be_moved(exp, tmp_path):
    out = imported("espnet", exp, tmp_path / "out")
    assert everything_below(out) == {
        "config.yaml", "model.pth", "tokens.txt", "import.json", "meta.yaml", "data",
        "data/feats_stats.npz",
    }  # fmt: skip
    config, state, facts, tokens = read(out)
    assert tokens == TOKENS and "someone" not in (out / "config.yaml").read_text()
    kinds = facts["tensors"]
    assert [row["name"] for row in kinds["not_used"]] == ["objective.mean_loss"]
    assert kinds["unexpected"] == kinds["made"] == []
    assert torch.equal(state[f"{HEAD}bias"], weights()[f"{HEAD}bias"])
    shutil.move(out, tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "stats")
    with config_in_place(tmp_path / "elsewhere") as path:
        named = yaml.safe_load(path.read_text())["normalize_conf"]["stats_file"]
    assert named == str(tmp_path / "elsewhere" / "data" / "feats_stats.npz")


def test_a_packed_model_gives_the_same(exp, tmp_path):
    pack(exp, tmp_path / "model.zip", PackOptions())
    first = read(imported("espnet", exp, tmp_path / "first"))
    other = read(imported("espnet", tmp_path / "model.zip", tmp_path / "other"))
    assert first[1].keys() == other[1].keys() and first[3] == other[3]
    assert all(torch.equal(first[1][name], other[1][name]) for name in first[1])
    assert other[2]["source"] == "model.zip" and list(other[2]["sha256"]) == ["model.zip"]
    assert everything_below(tmp_path / "other") == everything_below(tmp_path / "first")


def test_what_was_imported_is_packed_from_anywhere(exp, tmp_path, monkeypatch):
    out = imported("espnet", exp, tmp_path / "out")
    (tmp_path / "afar").mkdir()
    monkeypatch.chdir(tmp_path / "afar")
    pack(out, tmp_path / "model.zip", PackOptions(model_file="model.pth"))
    again = imported("espnet", tmp_path / "model.zip", tmp_path / "again")
    assert everything_below(again) == everything_below(out)


def test_one_model_file_of_an_experiment_may_be_chosen(exp, tmp_path):
    state = torch.load(exp / "3epoch.pth", weights_only=True)
    state[f"{HEAD}bias"] += 1
    torch.save(state, exp / "7epoch.pth")
    found = read(imported("espnet", exp / "7epoch.pth", tmp_path / "out"))[1]
    assert torch.equal(found[f"{HEAD}bias"], weights()[f"{HEAD}bias"] + 1)


def rewrite(exp, **changes):
    (exp / "config.yaml").write_text(yaml.safe_dump({**EXP, **changes}))


@pytest.mark.parametrize(("changes", "words"), [
    ({"model_conf": {"ctc_weight": 0.0}, "decoder": "transformer"}, "trained with ce, without CTC"),
    ({"token_list": TOKENS[:-1]}, "has 6 outputs, and its config.yaml 5 tokens"),
    ({"token_list": None}, "has no list of tokens"),
    ({"encoder_conf": {**STACK["encoder_conf"], "hidden_size": 24}}, "configuration asks for"),
    ({"normalize_conf": {"stats_file": "gone.npz"}}, "stats_file gone.npz, which is not there"),
])  # fmt: skip
def test_what_does_not_belong_together_is_refused(changes, words, exp, tmp_path):
    rewrite(exp, **changes)
    with pytest.raises(UserError, match=words):
        imported("espnet", exp, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_new_vocabulary_for_a_model_with_a_decoder_is_refused(exp, tmp_path):
    rewrite(exp, model_conf={"ctc_weight": 0.3}, decoder="transformer")
    (tmp_path / "tokens.txt").write_text("<blank>\na\n")
    with pytest.raises(UserError, match="decoder transformer beside CTC"):
        imported("espnet", exp, tmp_path / "out", new_vocab=tmp_path / "tokens.txt")


def test_a_new_vocabulary_keeps_all_but_the_head(exp, tmp_path):
    (tmp_path / "tokens.txt").write_text("<blank>\na\n")
    out = imported("espnet", exp, tmp_path / "out", new_vocab=tmp_path / "tokens.txt")
    found = read(out)[1]
    body = {name: tensor for name, tensor in weights().items() if not name.startswith(HEAD)}
    assert all(torch.equal(found[name], tensor) for name, tensor in body.items())
    assert torch.equal(found[f"{HEAD}weight"][0], weights()[f"{HEAD}weight"][5])


def test_a_damaged_archive_is_refused_and_nothing_is_left(exp, tmp_path):
    pack(exp, tmp_path / "model.zip", PackOptions())
    content = (tmp_path / "model.zip").read_bytes()
    (tmp_path / "model.zip").write_bytes(content[:-200])
    with pytest.raises(UserError, match="no whole zip archive"):
        imported("espnet", tmp_path / "model.zip", tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]


def test_an_imported_folder_can_be_imported_again(exp, tmp_path):
    first = imported("espnet", exp, tmp_path / "first")
    second = imported("espnet", first, tmp_path / "second")
    assert read(first)[0] == read(second)[0]
    facts = json.loads((second / "import.json").read_text())
    assert facts["tensors"]["not_used"] == facts["tensors"]["unexpected"] == []
