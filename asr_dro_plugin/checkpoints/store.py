"""The checkpoints of one training run: the newest few, numbered by optimiser updates.

    checkpoint.00001000.pth  checkpoint.00001000.pth.sha256
    checkpoint.00002000.pth  checkpoint.00002000.pth.sha256
    checkpoint.pth -> checkpoint.00002000.pth       where ESPnet and its users look

Rename first, prune last: at every moment at least one whole checkpoint has its final name.
"""

import logging
import re
import threading
from pathlib import Path
from typing import Any

from asr_dro_plugin.base.files import link
from asr_dro_plugin.checkpoints.file import (
    Damaged,
    check_room,
    read_checkpoint,
    save_checkpoint,
    sums_path,
)
from asr_dro_plugin.checkpoints.state import snapshot
from asr_dro_plugin.errors import UserError

NAME = "checkpoint.pth"
NUMBERED = re.compile(r"checkpoint\.(\d{8,})\.pth")
OLD_STYLE = "checkpoint.00000000.pth"  # ESPnet's own checkpoint.pth once there is one of ours


def _number(path: Path) -> int:
    """Of a numbered checkpoint; -1 for any other file."""
    match = NUMBERED.fullmatch(path.name)
    return int(match[1]) if match else -1


class CheckpointStore:
    """Saves and loads the checkpoints in ``folder``.

    One process writes; any number may ``load``.  Nothing is touched before the first ``save``.

    Args:
        folder: the experiment's directory.
        keep: number of checkpoints to keep, at least 2: the newest and the one before it.

    Raises:
        UserError: ``keep`` is less than 2.
    """

    def __init__(self, folder: str | Path, keep: int = 2) -> None:
        if keep < 2:
            raise UserError(
                f"keep_checkpoints is {keep}, which would leave nothing if the newest checkpoint "
                "is damaged. Use 2 or more."
            )
        self.folder = Path(folder)
        self._link = self.folder / NAME
        self.keep = keep
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._damaged: set[Path] = set()
        self._last: Any = None  # the latest snapshot: kept for its memory
        self._is_clean = False

    def paths(self) -> list[Path]:
        """The checkpoints on the disk, newest first, whole or not."""
        numbered = [path for path in self.folder.glob("checkpoint.*.pth") if _number(path) >= 0]
        found = sorted(numbered, key=_number, reverse=True)
        return [*found, self._link] if self._is_espnets(self._link) else found

    def save(self, state: Any, number: int, sync: bool = False) -> None:
        """Copy ``state`` now and write it as checkpoint ``number`` on a thread of its own.

        The caller waits for the copy (and for an earlier save that is still at it), with ``sync``
        also for the writing.  The same number again replaces its file.

        Raises:
            DiskFull: this state does not fit, or an earlier one did not.
            UserError: a value that needs pickle, a number below one on the disk that ``load`` has
                not found damaged, or what kept an earlier save from being written.
        """
        self.wait()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._clean()
        path = self.folder / f"checkpoint.{number:08d}.pth"
        self._check_number(path)
        state = self._last = snapshot(state, spare=self._last)
        check_room(path, state)
        if sync:
            self._write(path, state)
        else:
            self._thread = threading.Thread(
                target=self._write_and_tell, args=(path, state), name="checkpoint"
            )
            self._thread.start()

    def wait(self) -> None:
        """Return when nothing is being written; raise what kept a checkpoint from being written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.check()

    def check(self) -> None:
        """Raise what kept a checkpoint from being written, without waiting for one in the works."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def load(self, map_location: Any = "cpu") -> tuple[Any, Path] | None:
        """State and path of the newest whole checkpoint; None where there is none at all.

        A damaged one is named in a warning and the one before it is taken.

        Raises:
            UserError: there are checkpoints and none of them can be read.
        """
        reasons = []
        for path in self.paths():
            try:
                state = read_checkpoint(path, map_location)
            except Damaged as error:
                reasons.append(f"{path.name}: {error}")
                logging.warning(f"{path} is damaged: {error}. Trying the checkpoint before it.")
                self._damaged.add(path)
            else:
                return state, path
        if not reasons:
            return None
        raise UserError(
            f"No checkpoint in {self.folder} can be read ({'; '.join(reasons)}). Move them away to "
            "train anew, or go on from a saved epoch beside them with --init_exp and another "
            "--asr_exp."
        )

    def _write_and_tell(self, path: Path, state: Any) -> None:
        try:
            self._write(path, state)
        except BaseException as error:  # raised on the caller's thread
            self._error = error

    def _write(self, path: Path, state: Any) -> None:
        save_checkpoint(path, state)
        self._damaged.discard(path)
        old_style = self.folder / OLD_STYLE
        if self._is_espnets(self._link) and not old_style.exists():
            self._link.rename(old_style)
        link(self._link, path.name)
        self._prune()

    @staticmethod
    def _is_espnets(path: Path) -> bool:
        """Whether ``checkpoint.pth`` is a file that ESPnet's own trainer has left, not our link."""
        return path.is_file() and not path.is_symlink()

    def _prune(self) -> None:
        """Remove all but the newest; the file before its sums, so that none lacks its sums."""
        found = self.paths()
        whole = [path for path in found if path not in self._damaged]
        for path in [*whole[self.keep :], *(path for path in found if path in self._damaged)]:
            path.unlink(missing_ok=True)
            sums_path(path).unlink(missing_ok=True)
        self._damaged.clear()

    def _clean(self) -> None:
        """Once: remove what a killed run has left half done."""
        if self._is_clean:
            return
        for path in self.folder.glob(".checkpoint.*.tmp"):
            path.unlink(missing_ok=True)
        for path in self.folder.glob("checkpoint.*.pth.sha256"):
            if not path.with_suffix("").exists():
                path.unlink(missing_ok=True)
        self._is_clean = True

    def _check_number(self, path: Path) -> None:
        """Refuse to begin again below what is there: ``load`` would go on taking the old one."""
        for other in self.paths():
            if _number(other) > _number(path) and other not in self._damaged:
                raise UserError(
                    f"{other} is newer than {path.name}, which was to be saved. Resume from it, or "
                    "train in another --asr_exp."
                )
