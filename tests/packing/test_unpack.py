"""unpack.py: whole or absent, and nothing of a stranger's gets out of the folder or runs."""

import io
import json
import os
import pickle
import stat
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.base.files import sha256_of
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.pack import PackOptions, pack
from asr_dro_plugin.packing.members import name_fault
from asr_dro_plugin.packing.unpack import unpack
from tests.packs import (
    MODEL,
    contents,
    everything_below,
    weights,
    with_member,
    write_archive,
    write_experiment,
)

SENTINEL = "pickle_ran"


class Hostile:
    """Makes a folder in the working directory when it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, (SENTINEL,))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("packed")
    before = os.getcwd()
    os.chdir(root)
    try:
        pack(write_experiment(root), root / "model.zip", PackOptions())
    finally:
        os.chdir(before)
    return root / "model.zip"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def refused(archive, tmp_path, **options):
    """The line with which it is refused; nothing may be left of it anywhere."""
    before = everything_below(tmp_path)
    with pytest.raises(UserError) as error:
        unpack(archive, tmp_path / "here" / "out", **options)
    assert everything_below(tmp_path) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def torch_bytes(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def remade(archive, path, change):
    """A copy whose manifest agrees with the members, after ``change(members, manifest)``."""
    members = contents(archive)
    manifest = json.loads(members.pop("asr_dro.json"))
    change(members, manifest)
    for name, raw in members.items():
        path.write_bytes(raw)
        manifest["members"][name] = {"bytes": len(raw), "sha256": sha256_of(path)}
    return write_archive(path, members | {"asr_dro.json": json.dumps(manifest).encode()})


def test_what_comes_out_is_what_was_packed(archive, tmp_path):
    made = unpack(archive, tmp_path / "out")
    for name, raw in contents(archive).items():
        assert (tmp_path / "out" / name).read_bytes() == raw
    assert (made.name, made.exp, made.model_file) == ("asr_toy", tmp_path / "out", MODEL)
    assert made.is_ours and made.warnings == ()
    assert not list(tmp_path.glob(".out*"))


def test_a_folder_that_is_there_is_left_alone(archive, tmp_path):
    for out in (tmp_path / "folder", tmp_path / "file", tmp_path / "link"):
        out.mkdir() if out.name == "folder" else out.symlink_to("nowhere")
        with pytest.raises(UserError, match="is there already"):
            unpack(archive, out)
    assert everything_below(tmp_path / "folder") == []


NAMES = ["../x", "a/../../x", "/etc/x", "//x", "..\\x", "a//x", "./x", "a\nb", "a\x1b[2J",
         "\u202ex", "x" * 300]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_elsewhere_is_refused(archive, tmp_path, name):
    hostile = with_member(archive, tmp_path / "hostile.zip", name, b"x")
    assert "Nothing is unpacked" in refused(hostile, tmp_path)


def test_a_name_behind_a_null_byte_is_refused(archive, tmp_path):
    hostile = with_member(archive, tmp_path / "hostile.zip", "okay__x.txt", b"x")
    hostile.write_bytes(hostile.read_bytes().replace(b"okay__x.txt", b"okay\x00/x.txt"))
    assert "control character" in refused(hostile, tmp_path)


@given(st.text(max_size=12))
def test_a_name_that_passes_stays_below_the_folder(name):
    if not name_fault(name):
        joined = os.path.normpath(os.path.join("/root/out", name))
        assert joined.startswith("/root/out/") and "\\" not in name and "\0" not in name


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_what_is_no_plain_file_is_refused(archive, tmp_path, kind):
    info = zipfile.ZipInfo("data/link")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    hostile = with_member(archive, tmp_path / "h.zip", info, b"/etc")
    assert "no plain file" in refused(hostile, tmp_path)


@pytest.mark.parametrize("name", ["README.md", "README.md/x", "data"])
def test_a_name_twice_or_as_a_file_and_as_a_folder_is_refused(archive, tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's, of the duplicate
        hostile = with_member(archive, tmp_path / "h.zip", name, b"x")
    assert "there twice, is a file and a folder" in refused(hostile, tmp_path)


def test_a_bomb_of_zeros_is_refused_before_it_is_written(archive, tmp_path):
    info = zipfile.ZipInfo("zeros")
    info.compress_type = zipfile.ZIP_DEFLATED
    hostile = with_member(archive, tmp_path / "h.zip", info, bytes(2**25))
    assert "as bombs do" in refused(hostile, tmp_path)


def test_more_than_the_limit_is_refused(archive, tmp_path):
    assert "larger --max_gib" in refused(archive, tmp_path, max_gib=1e-7)


def test_a_member_that_is_longer_than_it_declares_is_refused(archive, tmp_path):
    raw = bytearray(archive.read_bytes())
    entry = raw.index(b"README.md", raw.rindex(b"PK\x01\x02") - 4000) - 46
    assert raw[entry : entry + 4] == b"PK\x01\x02"
    struct.pack_into("<I", raw, entry + 24, 10)  # the size in the directory, not the content
    (tmp_path / "h.zip").write_bytes(raw)
    assert "no whole zip archive" in refused(tmp_path / "h.zip", tmp_path)


def test_members_that_share_bytes_are_refused(archive, tmp_path):
    raw = bytearray(with_member(archive, tmp_path / "h.zip", "x.bin2", b"y" * 50).read_bytes())
    entry = raw.rindex(b"PK\x01\x02")
    start = raw.index(b"PK\x01\x02")
    struct.pack_into("<I", raw, entry + 42, struct.unpack_from("<I", raw, start + 42)[0] + 40)
    (tmp_path / "h.zip").write_bytes(raw)
    assert "share bytes" in refused(tmp_path / "h.zip", tmp_path)


def test_encrypted_and_oddly_compressed_members_are_refused(archive, tmp_path):
    info = zipfile.ZipInfo("x.txt")
    info.compress_type = zipfile.ZIP_LZMA
    assert "compressed in a way" in refused(
        with_member(archive, tmp_path / "h.zip", info, b"x" * 99), tmp_path
    )


@pytest.mark.parametrize("cut", [0, 3, 400, -30, -3])
def test_a_torn_archive_is_refused(archive, tmp_path, cut):
    (tmp_path / "h.zip").write_bytes(archive.read_bytes()[:cut])
    assert "no whole zip archive" in refused(tmp_path / "h.zip", tmp_path)


def test_what_is_not_there_or_no_model_is_refused(tmp_path):
    assert "does not exist" in refused(tmp_path / "none.zip", tmp_path)
    (tmp_path / "folder.zip").mkdir()
    assert "is a folder" in refused(tmp_path / "folder.zip", tmp_path)
    other = write_archive(tmp_path / "other.zip", {"a.txt": b"x"})
    assert "no packed model" in refused(other, tmp_path)


def test_a_member_outside_the_manifest_is_refused(archive, tmp_path):
    extra = with_member(archive, tmp_path / "h.zip", "run.sh", b"x")
    assert "'run.sh' is not in asr_dro.json" in refused(extra, tmp_path)


def test_a_member_that_is_missing_or_changed_is_refused(archive, tmp_path):
    members = contents(archive)
    less = write_archive(tmp_path / "h.zip", {k: v for k, v in members.items() if k != "README.md"})
    assert "'README.md' is missing" in refused(less, tmp_path)
    other = write_archive(tmp_path / "h.zip", members | {"tokens.txt": members["tokens.txt"][::-1]})
    assert "'tokens.txt' is not the one that was packed" in refused(other, tmp_path)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"_target_": "os.system"}, "unknown key '_target_'"),
        ({"schema": 2}, "schema 2"),
        ({"format": "x"}, "describes no"),
        ({"name": ["os.system"]}, "another kind for 'name'"),
        ({"model_file": "../x"}, "is no member"),
        ({"members": {"README.md": "x"}}, "no size and checksum"),
    ],
)
def test_a_manifest_is_data_of_known_kinds(archive, tmp_path, change, word):
    members = contents(archive)
    members["asr_dro.json"] = json.dumps(json.loads(members["asr_dro.json"]) | change).encode()
    assert word in refused(write_archive(tmp_path / "h.zip", members), tmp_path)


@pytest.mark.parametrize("name", [MODEL, "data/more.pt", "data/more.pickle", "data/statistics"])
@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(archive, tmp_path, name, how):
    hostile = torch_bytes({"x": Hostile()}) if how == "torch" else pickle.dumps(Hostile(), 2)
    made = remade(archive, tmp_path / "h.zip", lambda members, _: members.update({name: hostile}))
    line = refused(made, tmp_path)
    assert "pickles objects" in line or "is damaged" in line
    assert not os.path.exists(SENTINEL)


def test_numbers_that_pickle_objects_are_refused(archive, tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, count=np.array([Hostile()], dtype=object))
    made = remade(
        archive, tmp_path / "h.zip", lambda m, _: m.update({"data/stats.npz": buffer.getvalue()})
    )
    assert "no file of numbers" in refused(made, tmp_path)
    assert not os.path.exists(SENTINEL)


@pytest.mark.parametrize(
    "conf",
    [
        {"normalize_conf": {"stats_file": "../stats.npz"}},
        {"normalize_conf": {"stats_file": "/tmp/stats.npz"}},
        {"encoder_conf": {"w2v_url": "a/../../x.pt"}},
        {"frontend_conf": {"frontend_conf": {"path_or_url": "/x.pt"}}},
    ],
)
def test_a_configuration_that_names_files_outside_is_refused(archive, tmp_path, conf):
    def change(members, _):
        config = yaml.safe_load(members["config.yaml"])
        members["config.yaml"] = yaml.safe_dump(config | conf).encode()

    assert "outside the folder" in refused(remade(archive, tmp_path / "h.zip", change), tmp_path)


def test_a_configuration_that_makes_objects_is_refused(archive, tmp_path):
    made = remade(
        archive, tmp_path / "h.zip",
        lambda m, _: m.update({"config.yaml": b"a: !!python/object/apply:os.mkdir [pickle_ran]\n"}),
    )  # fmt: skip
    assert "plain YAML" in refused(made, tmp_path)
    assert not os.path.exists(SENTINEL)


def espnets_members() -> dict[str, bytes]:
    """As ESPnet packs: the experiment's own path, no manifest."""
    meta = {
        "yaml_files": {"asr_train_config": "exp/asr_x/config.yaml"},
        "files": {"asr_model_file": "exp/asr_x/5epoch.pth"},
    }
    return {
        "meta.yaml": yaml.safe_dump(meta).encode(),
        "exp/asr_x/config.yaml": b"token_list: [a]\nencoder_conf: {w2v_url: 'https://x/y.pt'}\n",
        "exp/asr_x/5epoch.pth": torch_bytes(weights()),
    }


def test_an_archive_of_espnets_is_taken_with_a_warning(tmp_path):
    made = unpack(write_archive(tmp_path / "e.zip", espnets_members()), tmp_path / "out")
    assert made.exp == tmp_path / "out/exp/asr_x" and made.model_file == "5epoch.pth"
    assert not made.is_ours
    assert "was not made by asr-dro pack" in made.warnings[0]
    assert "https://x/y.pt" in made.warnings[1]
    torch.load(made.exp / made.model_file, weights_only=True)


def test_a_hostile_archive_of_espnets_is_refused_as_well(tmp_path):
    members = espnets_members() | {"exp/asr_x/5epoch.pth": torch_bytes([Hostile()])}
    assert "pickles objects" in refused(write_archive(tmp_path / "e.zip", members), tmp_path)
    members = espnets_members() | {"meta.yaml": b"files: {}\nyaml_files: {}\n"}
    assert "names no model" in refused(write_archive(tmp_path / "e.zip", members), tmp_path)
