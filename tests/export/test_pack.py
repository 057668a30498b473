"""export/pack.py: what goes into the archive, and what is refused before it is written."""

import hashlib
import json
import shutil
import stat
import zipfile

import pytest
import torch
import yaml

from asr_dro_plugin.errors import DiskFull, UserError
from asr_dro_plugin.export.pack import PackOptions, pack
from asr_dro_plugin.packing import archive as pack_zip
from tests.packs import MODEL, TAG, contents, weights, write_experiment, write_score


@pytest.fixture
def exp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_experiment(tmp_path)


@pytest.fixture
def packed(exp, tmp_path):
    pack(exp, tmp_path / "model.zip", PackOptions())
    return contents(tmp_path / "model.zip")


def test_every_member_stands_in_the_manifest_with_its_checksum(packed):
    manifest = json.loads(packed.pop("asr_dro.json"))
    assert manifest["schema"] == 1
    assert manifest["members"] == {
        name: {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
        for name, raw in packed.items()
    }
    assert set(packed) == {
        "README.md", "config.yaml", "data/nlsyms.txt", "groups.txt", "meta.yaml", MODEL,
        f"scores/{TAG}/test_toy/score.json", f"scores/{TAG}/test_toy/score.txt", "tokens.txt",
    }  # fmt: skip


def test_the_averaged_file_itself_is_packed_and_loads_as_data(packed, exp):
    assert packed[MODEL] == (exp / "valid.worst_group_cer.ave_2best.pth").read_bytes()
    meta = yaml.safe_load(packed["meta.yaml"])
    assert meta["files"] == {"asr_model_file": MODEL}
    assert meta["yaml_files"] == {"asr_train_config": "config.yaml"}


def test_what_was_seen_adds_up(packed):
    training = json.loads(packed["asr_dro.json"])["training"]
    assert training["items_seen"] == 60 and training["epochs"] == 4
    assert sum(row["seconds"] for row in training["seen"]) == training["seconds_seen"] == 180.75


def test_features_and_size_are_told(packed):
    manifest = json.loads(packed["asr_dro.json"])
    assert manifest["features"]["sample_rate"] == 16000
    assert manifest["features"]["frame_shift"] == pytest.approx(0.04)
    assert manifest["num_parameters"] == 4 * 4 + 8 * 4  # the objective's state aside
    assert manifest["languages"] == ["deu", "eng"]


def test_no_member_names_a_place_on_this_machine(packed, tmp_path):
    text = b"".join(raw for name, raw in packed.items() if not name.endswith(".pth"))
    assert b"/home/" not in text and str(tmp_path).encode() not in text


def test_packing_again_gives_the_same_bytes(exp, tmp_path):
    pack(exp, tmp_path / "one.zip", PackOptions())
    shutil.copytree(exp, tmp_path / "exp" / "copy" / "asr_toy", symlinks=True)
    pack(tmp_path / "exp" / "copy" / "asr_toy", tmp_path / "two.zip", PackOptions())
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_members_are_sorted_undated_plain_files(packed, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        infos = archive.infolist()
    assert [info.filename for info in infos] == sorted(info.filename for info in infos)
    assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
    assert all(
        stat.S_ISDIR(i.external_attr >> 16) if i.is_dir() else stat.S_ISREG(i.external_attr >> 16)
        for i in infos
    )
    # a token may be called data or scores, and ESPnet would take it for the folder
    assert not {"data/", "scores/"} & {info.filename for info in infos}


def test_decoding_settings_and_language_models_go_with_it(exp, tmp_path):
    (tmp_path / "decode_asr_greedy.yaml").write_text("mode: greedy\n")
    for name, content in {"lm.arpa.gz": b"x", "lm.json": b"{}", "notes.txt": b"secret"}.items():
        (tmp_path / "lm" / "joint" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "lm" / "joint" / name).write_bytes(content)
    options = PackOptions(inference_config="decode_asr_greedy.yaml", lm_dir="lm")
    pack(exp, tmp_path / "model.zip", options)
    members = contents(tmp_path / "model.zip")
    assert members["decode.yaml"] == b"mode: greedy\n"
    assert {name for name in members if name.startswith("lm/")} == {
        "lm/joint/lm.arpa.gz", "lm/joint/lm.json",
    }  # fmt: skip
    assert b"--config asr_toy/decode.yaml --lm_dir asr_toy/lm" in members["README.md"]


def test_scores_of_another_model_stay_at_home(exp, tmp_path):
    write_score(exp / "decode_asr_greedy_latest" / "test_toy" / "score.json", {"deu": 1, "eng": 2})
    pack(exp, tmp_path / "model.zip", PackOptions())
    assert not any("latest" in name for name in contents(tmp_path / "model.zip"))
    pack(exp, tmp_path / "model.zip", PackOptions(inference_tag="decode_asr_greedy_latest"))
    assert not any(TAG in name for name in contents(tmp_path / "model.zip"))
    with pytest.raises(UserError, match="no scores under --inference_tag x"):
        pack(exp, tmp_path / "model.zip", PackOptions(inference_tag="x"))


def test_what_is_unpacked_keeps_its_scores_and_hours_when_it_is_packed_again(packed, tmp_path):
    from asr_dro_plugin.packing.unpack import unpack

    unpack(tmp_path / "model.zip", tmp_path / "again")
    pack(tmp_path / "again", tmp_path / "second.zip", PackOptions())
    second = contents(tmp_path / "second.zip")
    first, second = (json.loads(each["asr_dro.json"]) for each in (packed, second))
    assert first["training"] == second["training"] and first["training"]["items_seen"]
    scores = [name for name in first["members"] if name.startswith("scores/")]
    assert scores == [name for name in second["members"] if name.startswith("scores/")] != []


def test_a_training_that_has_not_ended_is_refused_with_what_is_there(exp, tmp_path):
    (exp / MODEL).unlink()
    with pytest.raises(UserError, match=f"{MODEL} does not exist: the training has not.* 4epoch.p"):
        pack(exp, tmp_path / "model.zip", PackOptions())
    pack(exp, tmp_path / "model.zip", PackOptions(model_file="4epoch.pth"))
    assert b"--model_file 4epoch.pth" in contents(tmp_path / "model.zip")["README.md"]


class Hostile:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return (print, ("ran",))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"model": weights(), "optimizers": []}, "a checkpoint to go on from"),
        ({}, "no model's weights"),
        ({"x": Hostile()}, "pickles objects"),
        (weights() | {"encoder.net.weight": torch.tensor([1.0, float("nan")])}, "not finite"),
        (weights() | {"ctc.ctc_lo.weight": torch.zeros(5, 4)}, "5 outputs.* 8 tokens"),
    ],
)
def test_a_file_that_is_no_whole_model_is_refused(exp, tmp_path, capsys, state, words):
    torch.save(state, exp / "valid.worst_group_cer.ave_2best.pth")
    with pytest.raises(UserError, match=words):
        pack(exp, tmp_path / "model.zip", PackOptions())
    assert not (tmp_path / "model.zip").exists() and "ran" not in capsys.readouterr().out


def test_a_file_that_changes_while_it_is_packed_leaves_the_old_archive(exp, tmp_path, monkeypatch):
    (tmp_path / "model.zip").write_bytes(b"old")
    described = pack_zip.describe

    def describe(source, bar=None):
        entry = described(source, bar)
        if not isinstance(source, bytes) and source.suffix == ".pth":
            source.write_bytes(source.read_bytes()[:-1] + b"!")
        return entry

    monkeypatch.setattr(pack_zip, "describe", describe)
    with pytest.raises(UserError, match="changed while it was packed"):
        pack(exp, tmp_path / "model.zip", PackOptions(overwrite=True))
    assert (tmp_path / "model.zip").read_bytes() == b"old"
    assert not list(tmp_path.glob(".model.zip*"))


def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(DiskFull, match="no space left"), pack_zip.as_disk_full(tmp_path / "m.zip"):
        raise OSError(28, "No space left on device")


def test_the_files_of_the_configuration_are_carried_and_renamed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stats.npz").write_bytes(b"n")
    (tmp_path / "bpe.model").write_bytes(b"b")
    exp = write_experiment(
        tmp_path, normalize="global_mvn", token_type="bpe", bpemodel="bpe.model",
        normalize_conf={"stats_file": str(tmp_path / "stats.npz")},
    )  # fmt: skip
    pack(exp, "model.zip", PackOptions())
    members = contents(tmp_path / "model.zip")
    config = yaml.safe_load(members["config.yaml"])
    assert config["normalize_conf"]["stats_file"] == "data/stats.npz"
    assert (config["bpemodel"], config["config"]) == ("data/bpe.model", None)
    assert (members["data/stats.npz"], members["data/bpe.model"]) == (b"n", b"b")
    (tmp_path / "bpe.model").unlink()
    with pytest.raises(UserError, match="bpemodel bpe.model, which is not there"):
        pack(exp, "other.zip", PackOptions())


def test_what_a_hub_gives_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    conf = {"frontend_conf": {"upstream": "hubert"}}
    exp = write_experiment(tmp_path, frontend="s3prl", frontend_conf=conf)
    assert "takes 'hubert' from the network" in pack(exp, "model.zip", PackOptions())[0]


@pytest.mark.parametrize("name", ["a b", "a'b", "a;b"])
def test_a_folder_whose_name_is_no_models_name_is_refused(exp, tmp_path, name):
    exp.rename(tmp_path / "exp" / name)
    with pytest.raises(UserError, match="cannot name a model"):
        pack(tmp_path / "exp" / name, tmp_path / "model.zip", PackOptions())
