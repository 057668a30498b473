"""tar_members.py: the files that are asked for, and nothing of a stranger's beside them."""

import gzip
import os
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.packing.tar_members import extract
from tests.tars import HOSTILE, entry, write_tar

HONEST = [("./", b""), ("config.yaml", b"a: 1\n"), ("./weights.ckpt", b"w" * 3000), ("more", b"m")]
LIMIT = 2**30


def honest(path, compressed=False, *more):
    first = entry("./", type=tarfile.DIRTYPE)
    return write_tar(path, [first, *HONEST[1:], *more], compressed)


def wanted(folder):
    return {"config.yaml": folder / "config", "weights.ckpt": folder / "weights"}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_wanted_members_are_written_under_the_callers_names(tmp_path, compressed):
    archive = honest(tmp_path / "model.tar", compressed)
    (tmp_path / "out").mkdir()
    found = extract(archive, {**wanted(tmp_path / "out"), "absent": tmp_path / "no"}, LIMIT)
    assert found == {"config.yaml": 5, "weights.ckpt": 3000}
    assert (tmp_path / "out" / "config").read_bytes() == b"a: 1\n"
    assert (tmp_path / "out" / "weights").read_bytes() == b"w" * 3000
    assert sorted(os.listdir(tmp_path)) == ["model.tar", "out"]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("fault", HOSTILE, ids=lambda fault: fault.replace(" ", "_"))
def test_a_hostile_member_is_refused_though_it_is_the_last(tmp_path, fault, compressed):
    archive = honest(tmp_path / "model.tar", compressed, HOSTILE[fault])
    with pytest.raises(UserError, match=fault):
        extract(archive, wanted(tmp_path), LIMIT)


@pytest.mark.parametrize("twin", ["config.yaml", "./config.yaml", "Config.YAML", "more/than"])
def test_names_that_would_be_one_file_are_refused(tmp_path, twin):
    archive = honest(tmp_path / "model.tar", False, (twin, b"b: 2\n"))
    with pytest.raises(UserError, match=r"twice|as a file and as a folder"):
        extract(archive, wanted(tmp_path), LIMIT)


def test_more_than_the_limit_is_refused_by_the_headers(tmp_path):
    archive = honest(tmp_path / "model.tar")
    with pytest.raises(UserError, match=r"--max_gib"):
        extract(archive, wanted(tmp_path), 1000)


def test_a_compressed_bomb_is_refused_before_it_is_read(tmp_path):
    with gzip.open(tmp_path / "model.tar", "wb") as stream:
        stream.write(entry("weights.ckpt", size=2**40)[0].tobuf())
        stream.write(b"\0" * 2**20)
    with pytest.raises(UserError, match="as bombs do"):
        extract(tmp_path / "model.tar", wanted(tmp_path), 2**50)


def test_a_bomb_in_a_header_is_refused(tmp_path):
    head = entry("x", type=tarfile.XHDTYPE, size=2**33)[0]
    with gzip.open(tmp_path / "model.tar", "wb") as stream:
        stream.write(head.tobuf(tarfile.GNU_FORMAT) + b"\0" * 2**20)
    with pytest.raises(UserError, match="header of .* bytes, as bombs do"):
        extract(tmp_path / "model.tar", wanted(tmp_path), 2**50)


def test_a_sparse_file_is_refused(tmp_path):
    sparse = entry("weights.ckpt", type=tarfile.GNUTYPE_SPARSE)[0].tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "model.tar").write_bytes(sparse + b"\0" * 10240)
    with pytest.raises(UserError, match="a sparse file"):
        extract(tmp_path / "model.tar", wanted(tmp_path), LIMIT)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_truncated_archive_is_refused(tmp_path, compressed, share):
    noise = entry("noise", os.urandom(20000))
    whole = honest(tmp_path / "model.tar", compressed, noise).read_bytes()
    (tmp_path / "model.tar").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match="no whole tar archive|ends within its member"):
        extract(tmp_path / "model.tar", wanted(tmp_path), LIMIT)


@given(st.integers(0, 10_239), st.booleans())
@settings(max_examples=60, deadline=None)
def test_an_archive_that_ends_anywhere_is_whole_or_refused(size, compressed):
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        whole = honest(folder / "model.tar", compressed).read_bytes()
        size = size * len(whole) // 10_240
        (folder / "model.tar").write_bytes(whole[:size])
        try:
            found = extract(folder / "model.tar", wanted(folder), LIMIT)
        except UserError as error:
            assert "no whole tar archive" in str(error) or "ends within" in str(error)
        else:  # the zeros behind the last member alone were cut
            assert found == {"config.yaml": 5, "weights.ckpt": 3000}
            assert (folder / "weights").read_bytes() == b"w" * 3000


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x1f\x8bnot gzip either"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "model.tar").write_bytes(content)
    with pytest.raises(UserError, match="no whole tar archive"):
        extract(tmp_path / "model.tar", wanted(tmp_path), LIMIT)


def test_a_link_in_the_place_of_the_output_is_not_followed(tmp_path):
    archive = honest(tmp_path / "model.tar")
    (tmp_path / "config").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        extract(archive, wanted(tmp_path), LIMIT)
    assert not (tmp_path / "elsewhere").exists()
