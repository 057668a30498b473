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


@pytest.mark.parametrize("strange", HOSTILE, ids=lambda name: name.replace(" ", "_"))
def test_a_strange_member_that_nobody_asks_for_is_passed_over(tmp_path, strange):
    archive = honest(tmp_path / "model.tar", True, HOSTILE[strange])
    (tmp_path / "out").mkdir()
    assert extract(archive, wanted(tmp_path / "out"), LIMIT)["weights.ckpt"] == 3000
    assert sorted(os.listdir(tmp_path)) == ["model.tar", "out"]
    assert sorted(os.listdir(tmp_path / "out")) == ["config", "weights"]


KINDS = ["SYMTYPE", "LNKTYPE", "CHRTYPE", "FIFOTYPE", "DIRTYPE", "GNUTYPE_SPARSE"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_wanted_member_that_is_no_plain_file_is_refused(tmp_path, kind):
    made = entry("weights.ckpt", type=getattr(tarfile, kind), linkname="/etc/passwd")[0]
    (tmp_path / "model.tar").write_bytes(made.tobuf(tarfile.GNU_FORMAT) + b"\0" * 10240)
    with pytest.raises(UserError, match="is no plain file"):
        extract(tmp_path / "model.tar", wanted(tmp_path), LIMIT)
    assert os.listdir(tmp_path) == ["model.tar"]


@pytest.mark.parametrize("twin", ["config.yaml", "./config.yaml"])
def test_a_wanted_member_twice_is_refused(tmp_path, twin):
    archive = honest(tmp_path / "model.tar", False, (twin, b"b: 2\n"))
    with pytest.raises(UserError, match="twice"):
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


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_truncated_archive_is_refused(tmp_path, compressed, share):
    noise = entry("noise", os.urandom(20000))
    whole = honest(tmp_path / "model.tar", compressed, noise).read_bytes()
    (tmp_path / "model.tar").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match="no whole tar archive"):
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
            assert "no whole tar archive" in str(error)
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
    with pytest.raises(UserError, match="File exists"):
        extract(archive, wanted(tmp_path), LIMIT)
    assert not (tmp_path / "elsewhere").exists()
