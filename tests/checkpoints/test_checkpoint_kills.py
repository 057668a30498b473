"""A kill at any moment of a save: what is left loads, and no name stands for a part of a file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from asr_dro_plugin.checkpoints.file import read_checkpoint
from asr_dro_plugin.checkpoints.store import CheckpointStore

ROOT = Path(__file__).resolve().parents[2]


def state_of(number: int, take: int = 1) -> dict:
    return {"w": torch.full((1000,), float(number)), "number": number, "take": take}


def is_whole(state: dict) -> bool:
    return state["w"].numel() == 1000 and bool((state["w"] == state["number"]).all())


class Killed(BaseException):
    """The process is gone: nothing that it would still have done happens."""


CHANGES = ("replace", "rename", "symlink", "unlink", "fsync", "chmod")


def die_before_change(monkeypatch, number: int) -> None:
    """Let the process end before its ``number``-th change of the disk."""
    made = []

    def wrap(name):
        change = getattr(os, name)

        def wrapped(*args, **kwargs):
            if len(made) >= number:
                raise Killed
            made.append(name)
            return change(*args, **kwargs)

        monkeypatch.setattr(os, name, wrapped)

    for name in CHANGES:
        wrap(name)


def scenario(folder: Path, name: str) -> tuple[int, int]:
    """Prepare a folder; the take that is there before, and the number to be saved."""
    if name == "espnet":
        torch.save(state_of(1), folder / "checkpoint.pth")
    elif name != "empty":
        store = CheckpointStore(folder)
        for number in (1, 2):
            store.save(state_of(number), number, sync=True)
    return {"empty": (0, 1), "third": (2, 3), "same number": (2, 2), "espnet": (1, 2)}[name]


@pytest.mark.parametrize("name", ["empty", "third", "same number", "espnet"])
def test_a_kill_between_any_two_changes_of_the_disk_loses_nothing(tmp_path, name):
    moments = 0
    for moments in range(100):
        folder = tmp_path / str(moments)
        folder.mkdir()
        before, number = scenario(folder, name)
        with pytest.MonkeyPatch.context() as patch:
            die_before_change(patch, moments)
            try:
                CheckpointStore(folder).save(state_of(number, take=2), number, sync=True)
            except Killed:
                pass
            else:
                break
        store = CheckpointStore(folder)
        loaded = store.load()
        if loaded is None:
            assert before == 0
        else:
            state = loaded[0]
            assert is_whole(state)
            assert state["number"] in (before, number)
        if name in ("third", "same number"):
            assert is_whole(read_checkpoint(folder / "checkpoint.pth"))
        for path in store.paths():
            assert is_whole(read_checkpoint(path)), "no name stands for a part of a file"
        store.save(state_of(9), 9, sync=True)
        assert not list(folder.glob(".*")), "the next run tidies up"
        assert store.load()[0]["number"] == 9
        assert len(store.paths()) <= 2
    assert 5 < moments < 100, "the save came to its end, and had several moments to be killed at"


def test_real_kills_inside_the_writer_lose_nothing(tmp_path):
    command = [sys.executable, "-m", "tests.checkpoint_kills", str(tmp_path), "6"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing lost" in done.stdout
