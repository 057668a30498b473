"""CheckpointStore: at every moment the newest whole checkpoint can be loaded, and it is the one."""

import os
import shutil
import threading
from pathlib import Path

import pytest
import torch

from asr_dro_plugin.checkpoints import store as checkpoints
from asr_dro_plugin.checkpoints.file import read_checkpoint
from asr_dro_plugin.checkpoints.store import CheckpointStore
from asr_dro_plugin.errors import DiskFull, UserError


def state_of(number: int, take: int = 1) -> dict:
    return {"w": torch.full((1000,), float(number)), "number": number, "take": take}


def is_whole(state: dict) -> bool:
    return state["w"].numel() == 1000 and bool((state["w"] == state["number"]).all())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def files_of(*numbers: int) -> list[str]:
    """What a folder with those checkpoints holds, and nothing else."""
    found = [f"checkpoint.{n:08d}.pth{end}" for n in numbers for end in ("", ".sha256")]
    return sorted([*found, "checkpoint.pth"])


def filled(folder: Path, *numbers: int, keep: int = 2) -> CheckpointStore:
    store = CheckpointStore(folder, keep)
    for number in numbers:
        store.save(state_of(number), number)
    store.wait()
    return store


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("sync", [True, False])
def test_the_newest_are_kept_and_the_link_shows_the_newest(tmp_path, sync):
    store = CheckpointStore(tmp_path, keep=3)
    for number in (5, 10, 15, 20, 25):
        store.save(state_of(number), number, sync=sync)
    store.wait()
    assert names(tmp_path) == files_of(15, 20, 25)
    assert os.readlink(tmp_path / "checkpoint.pth") == "checkpoint.00000025.pth"
    state, path = store.load()
    assert path == tmp_path / "checkpoint.00000025.pth"
    assert is_whole(state)


def test_an_empty_or_missing_folder_has_none(tmp_path):
    assert CheckpointStore(tmp_path).load() is None
    assert CheckpointStore(tmp_path / "not yet").load() is None


def test_fewer_than_two_are_refused(tmp_path):
    with pytest.raises(UserError, match="keep_checkpoints is 1.*Use 2 or more"):
        CheckpointStore(tmp_path, keep=1)


def test_what_is_saved_is_the_state_at_the_call(tmp_path, monkeypatch):
    """The model trains on while the file is written."""
    may_write = threading.Event()
    save = checkpoints.save_checkpoint
    monkeypatch.setattr(checkpoints, "save_checkpoint", lambda *a: may_write.wait(60) and save(*a))
    state = state_of(1)
    store = CheckpointStore(tmp_path)
    store.save(state, 1)
    state["w"].fill_(9)
    state["number"] = 9
    may_write.set()
    store.wait()
    loaded, _ = store.load()
    assert is_whole(loaded)
    assert loaded["number"] == 1


def test_the_caller_goes_on_while_the_file_is_written(tmp_path, monkeypatch):
    may_write = threading.Event()
    save = checkpoints.save_checkpoint
    monkeypatch.setattr(checkpoints, "save_checkpoint", lambda *a: may_write.wait(60) and save(*a))
    store = CheckpointStore(tmp_path)
    store.save(state_of(1), 1)
    assert names(tmp_path) == []
    store.check()
    may_write.set()
    store.wait()
    assert names(tmp_path) == files_of(1)


def test_an_older_checkpoint_goes_only_after_the_new_one_is_in_place(tmp_path, monkeypatch):
    store = filled(tmp_path, 1, 2)

    def full(path, state):
        raise DiskFull("full")

    monkeypatch.setattr(checkpoints, "save_checkpoint", full)
    store.save(state_of(3), 3)
    with pytest.raises(DiskFull):
        store.wait()
    assert names(tmp_path) == files_of(1, 2)


@pytest.mark.parametrize("call", ["save", "wait", "check"])
def test_what_the_thread_met_is_raised_by_the_next_call_once(tmp_path, monkeypatch, call):
    store = CheckpointStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(
            checkpoints, "save_checkpoint", lambda *a: (_ for _ in ()).throw(DiskFull("x"))
        )
        store.save(state_of(1), 1)
        store._thread.join()
    arguments = (state_of(2), 2) if call == "save" else ()
    with pytest.raises(DiskFull):
        getattr(store, call)(*arguments)
    store.save(state_of(3), 3)
    store.wait()
    assert store.load()[0]["number"] == 3


def test_a_state_that_does_not_fit_is_refused_at_the_call(tmp_path, monkeypatch):
    store = filled(tmp_path, 1)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(DiskFull, match="is full: checkpoint.00000002.pth needs"):
        store.save(state_of(2), 2)
    assert names(tmp_path) == files_of(1)


def test_a_state_that_needs_pickle_is_refused_at_the_call(tmp_path):
    with pytest.raises(UserError, match=r"state\['s'\] is a builtins.object"):
        CheckpointStore(tmp_path).save({"s": object()}, 1)


@pytest.mark.parametrize("num_damaged", [1, 2])
def test_a_damaged_one_is_named_and_the_one_before_it_is_taken(tmp_path, caplog, num_damaged):
    filled(tmp_path, 1, 2, 3, keep=3)
    for number in (3, 2)[:num_damaged]:
        flip_a_bit(tmp_path / f"checkpoint.{number:08d}.pth")
    state, path = CheckpointStore(tmp_path).load()
    assert state["number"] == 3 - num_damaged
    assert path.name == f"checkpoint.{3 - num_damaged:08d}.pth"
    assert [record.levelname for record in caplog.records] == ["WARNING"] * num_damaged
    assert "checkpoint.00000003.pth is damaged" in caplog.text


def test_none_that_can_be_read_is_an_error_and_not_a_new_start(tmp_path):
    filled(tmp_path, 1, 2)
    for path in tmp_path.glob("checkpoint.0*.pth"):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"No checkpoint in .*000002.*000001.*--init_exp"):
        CheckpointStore(tmp_path).load()


def test_a_run_that_fell_back_goes_on_saving_and_the_damaged_one_does_not_count(tmp_path):
    filled(tmp_path, 10, 20)
    flip_a_bit(tmp_path / "checkpoint.00000020.pth")
    store = CheckpointStore(tmp_path)
    assert store.load()[0]["number"] == 10
    store.save(state_of(15), 15)
    store.wait()
    assert names(tmp_path) == files_of(10, 15)
    store.save(state_of(20, take=2), 20)
    store.wait()
    assert names(tmp_path) == files_of(15, 20)
    assert CheckpointStore(tmp_path).load()[0]["take"] == 2


def test_a_number_below_a_whole_checkpoint_is_refused(tmp_path):
    """Saved all the same, it would never be loaded: the newest number is taken first."""
    filled(tmp_path, 1000)
    with pytest.raises(
        UserError, match="checkpoint.00001000.pth is newer than checkpoint.00000001"
    ):
        CheckpointStore(tmp_path).save(state_of(1), 1)
    assert names(tmp_path) == files_of(1000)


def test_numbers_go_on_beyond_eight_digits(tmp_path):
    store = filled(tmp_path, 99_999_999, 100_000_000)
    assert store.load()[0]["number"] == 100_000_000
    filled(tmp_path, 100_000_001)
    assert names(tmp_path) == files_of(100_000_000, 100_000_001)


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path):
    filled(tmp_path, 1)
    left = [
        ".checkpoint.00000002.pth.x.tmp",
        ".checkpoint.pth.y.tmp",
        "checkpoint.00000007.pth.sha256",
    ]
    other = [".3epoch.pth.z.tmp", "config.yaml", "checkpoint.notes.pth"]
    for name in left + other:
        (tmp_path / name).write_text("x")
    CheckpointStore(tmp_path).load()
    assert {*left} <= {*names(tmp_path)}, "a reader touches nothing"
    filled(tmp_path, 2)
    assert names(tmp_path) == sorted([*files_of(1, 2), *other])


def test_espnets_own_checkpoint_is_read_and_kept_beside_the_first_of_ours(tmp_path):
    torch.save(state_of(7), tmp_path / "checkpoint.pth")
    store = CheckpointStore(tmp_path)
    state, path = store.load()
    assert (state["number"], path) == (7, tmp_path / "checkpoint.pth")
    store.save(state_of(8), 8)
    store.wait()
    assert names(tmp_path) == sorted({*files_of(8), "checkpoint.00000000.pth"})
    flip_a_bit(tmp_path / "checkpoint.00000008.pth")
    assert CheckpointStore(tmp_path).load()[0]["number"] == 7
    filled(tmp_path, 8, 9)
    assert names(tmp_path) == files_of(8, 9)


def test_a_checkpoint_before_the_first_update_is_not_lost_to_espnets_own(tmp_path):
    torch.save(state_of(7), tmp_path / "checkpoint.pth")
    filled(tmp_path, 0)
    assert names(tmp_path) == files_of(0)
    assert CheckpointStore(tmp_path).load()[0]["number"] == 0


def test_a_damaged_checkpoint_of_espnet_beside_ours_does_not_cost_the_link(tmp_path):
    filled(tmp_path, 1)
    (tmp_path / "checkpoint.pth").unlink()
    (tmp_path / "checkpoint.pth").write_bytes(b"cut off")
    flip_a_bit(tmp_path / "checkpoint.00000001.pth")
    store = CheckpointStore(tmp_path)
    with pytest.raises(UserError):
        store.load()
    store.save(state_of(2), 2)
    store.wait()
    assert read_checkpoint(tmp_path / "checkpoint.pth")["number"] == 2
    assert CheckpointStore(tmp_path).load()[0]["number"] == 2
