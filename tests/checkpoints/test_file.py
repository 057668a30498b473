"""checkpoint_files: whole with its checksum, or not there; what is damaged is seen."""

import datetime
import errno
import os
import shutil
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest
import torch

from asr_dro_plugin.base import files
from asr_dro_plugin.checkpoints import file as checkpoint_files
from asr_dro_plugin.checkpoints.file import Damaged, read_checkpoint, save_checkpoint, save_model
from asr_dro_plugin.errors import DiskFull, UserError

SIZE = 1 << 16  # numbers in the state: a quarter of a megabyte


def state_of(number: int) -> dict:
    return {"model": {"w": torch.full((SIZE,), float(number))}, "number": number}


def is_whole(state: dict) -> bool:
    return (
        bool((state["model"]["w"] == state["number"]).all()) and state["model"]["w"].numel() == SIZE
    )


class FullDisk:
    """Replaces ``os.fdopen`` in the module that opens our files: ``room`` bytes, then ENOSPC."""

    def __init__(self, room: int, code: int = errno.ENOSPC) -> None:
        self.room, self.code = room, code

    def __call__(self, handle, mode, **text):
        stream = os.fdopen(handle, mode, buffering=0) if "b" in mode else os.fdopen(handle, mode)
        write = stream.write

        def limited(data):
            size = len(data) if isinstance(data, str) else memoryview(data).nbytes
            if size > self.room:
                write(data[: self.room])
                self.room = 0
                raise OSError(self.code, os.strerror(self.code))
            self.room -= size
            return write(data)

        return Limited(stream, limited)


class Limited:
    """A stream with another ``write``."""

    def __init__(self, stream, write) -> None:
        self._stream, self.write = stream, write

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stream.close()


class Os:
    """The module ``os`` with another ``fdopen``."""

    def __init__(self, fdopen) -> None:
        self.fdopen = fdopen

    def __getattr__(self, name):
        return getattr(os, name)


def test_sha256sum_agrees_with_the_sums_beside_the_file(tmp_path):
    save_checkpoint(tmp_path / "a.pth", state_of(1))
    done = subprocess.run(["sha256sum", "-c", "a.pth.sha256"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pth", "a.pth.sha256"]


def test_a_model_is_written_without_a_sum_and_may_be_read_by_the_group(tmp_path):
    previous = os.umask(0o027)
    try:
        save_model(tmp_path / "3epoch.pth", state_of(3))
    finally:
        os.umask(previous)
    assert [path.name for path in tmp_path.iterdir()] == ["3epoch.pth"]
    assert (tmp_path / "3epoch.pth").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("room", [0, 1, 64, 5000, SIZE, 4 * SIZE, "sums", "nothing missing"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_at_any_byte_leaves_the_previous_file(
    tmp_path, monkeypatch, room, code
):
    path = tmp_path / "checkpoint.pth"
    save_checkpoint(path, state_of(1))
    size = path.stat().st_size
    room = {"sums": size + 10, "nothing missing": size + 1000}.get(room, room)
    monkeypatch.setattr(files, "os", Os(FullDisk(room, code)))
    if room == size + 1000:
        save_checkpoint(path, state_of(2))
    else:
        with pytest.raises(DiskFull, match=r"checkpoint\.pth needs .* are free.*make room"):
            save_checkpoint(path, state_of(2))
    assert is_whole(state := read_checkpoint(path))
    assert state["number"] == (2 if room == size + 1000 else 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pth", "checkpoint.pth.sha256"]


@pytest.mark.parametrize("room", [0, 64, 5000, 4 * SIZE])
def test_a_first_checkpoint_that_does_not_fit_leaves_nothing(tmp_path, monkeypatch, room):
    monkeypatch.setattr(files, "os", Os(FullDisk(room)))
    with pytest.raises(DiskFull):
        save_checkpoint(tmp_path / "checkpoint.pth", state_of(1))
    assert list(tmp_path.iterdir()) == []


def test_room_is_looked_for_before_a_byte_is_written(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 0, 10**6))
    monkeypatch.setattr(checkpoint_files, "atomic_write", None)
    with pytest.raises(DiskFull, match=r"needs 1 MB, 1 MB are free"):
        save_checkpoint(tmp_path / "checkpoint.pth", state_of(1))


FILL = """
import sys, torch
from pathlib import Path
from asr_dro_plugin.checkpoints import file as checkpoint_files
from asr_dro_plugin.checkpoints.file import DiskFull, read_checkpoint, save_checkpoint
checkpoint_files.check_room = lambda path, state: None  # as if another process took the room
folder = Path(sys.argv[1])
save_checkpoint(folder / "a.pth", {"n": 1, "w": torch.ones(1 << 18)})
try:
    save_checkpoint(folder / "a.pth", {"n": 2, "w": torch.ones(1 << 19)})
except DiskFull:
    print(read_checkpoint(folder / "a.pth")["n"], sorted(path.name for path in folder.iterdir()))
"""


def test_a_file_system_that_is_really_full(tmp_path):
    mount = f"mount -t tmpfs -o size=2m none '{tmp_path}'"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a small file system")
    run = f'{mount} && exec "{sys.executable}" -c "$FILL" "{tmp_path}"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", run],
        capture_output=True,
        text=True,
        env={**os.environ, "FILL": FILL},
    )
    assert done.stdout == "1 ['a.pth', 'a.pth.sha256']\n", done.stderr


def test_another_error_of_the_disk_is_said_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "os", Os(FullDisk(100, errno.EIO)))
    with pytest.raises(UserError, match=r"a\.pth cannot be written \(Input/output error\)"):
        save_checkpoint(tmp_path / "a.pth", state_of(1))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_gives_back_other_bytes_gets_no_final_name(tmp_path, monkeypatch):
    """A write that is lost on its way must show before the old checkpoint is given up."""
    path = tmp_path / "a.pth"
    save_checkpoint(path, state_of(1))
    finish = checkpoint_files._Summed.finish

    def lose_a_byte(self):
        digest = finish(self)
        os.pwrite(self._stream.fileno(), b"\xff", 2000)
        return digest

    monkeypatch.setattr(checkpoint_files._Summed, "finish", lose_a_byte)
    with pytest.raises(UserError, match="other bytes than were written"):
        save_checkpoint(path, state_of(2))
    assert read_checkpoint(path)["number"] == 1


@pytest.mark.parametrize("harm", ["cut off", "one bit", "longer", "empty"])
def test_damage_is_seen(tmp_path, harm):
    path = tmp_path / "a.pth"
    save_checkpoint(path, state_of(1))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle] ^= harm == "one bit"
    cut = {"cut off": content[:middle], "longer": content + b"x", "empty": b""}
    path.write_bytes(cut.get(harm, content))
    with pytest.raises(Damaged, match=r"a\.pth\.sha256"):
        read_checkpoint(path)


@pytest.mark.parametrize("length", [0, 10, 1000, 4 * SIZE, -1])
def test_a_cut_off_file_without_sums_is_seen_too(tmp_path, length):
    path = tmp_path / "a.pth"
    torch.save(state_of(1), path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Damaged):
        read_checkpoint(path)


def test_a_file_that_needs_pickle_is_not_loaded(tmp_path):
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    torch.save({"model": Evil()}, tmp_path / "a.pth")
    with pytest.raises(Damaged, match="[Ww]eights"):
        read_checkpoint(tmp_path / "a.pth")
    assert not marker.exists()


def test_what_older_espnets_wrote_is_read(tmp_path):
    stats = {"time": datetime.timedelta(seconds=3), "loss": np.float64(1.5), "n": np.int64(2)}
    torch.save({"reporter": {"stats": {1: {"train": stats}}}}, tmp_path / "checkpoint.pth")
    assert read_checkpoint(tmp_path / "checkpoint.pth")["reporter"]["stats"][1]["train"] == stats


def test_a_whole_file_for_a_device_that_is_not_there_is_not_called_damaged(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    save_checkpoint(tmp_path / "a.pth", state_of(1))
    with pytest.raises(RuntimeError, match="CUDA|cuda"):
        read_checkpoint(tmp_path / "a.pth", map_location="cuda:0")
