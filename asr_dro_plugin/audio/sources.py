"""What a path of a ``wav.scp`` stands for: a file, a member of a Kaldi archive, a command."""

import io
import os
import re
import subprocess
from typing import BinaryIO

from asr_dro_plugin.audio.faults import AudioError

ARK_POINTER = re.compile(r"(?P<ark>.+):(?P<offset>\d+)\Z", re.DOTALL)

Source = str | io.BytesIO  # a plain path, or the bytes of an archive member or a pipe


def is_pipe(path: str) -> bool:
    """Whether a wav.scp entry is a command whose output is the audio (Kaldi's ``cmd |``)."""
    return str(path).rstrip().endswith("|")


def open_source(
    path: str | os.PathLike | io.BytesIO, allow_pipes: bool, called: str | None = None
) -> tuple[str, Source]:
    """Name for messages, and a plain path or the bytes of an archive member or a pipe.

    Args:
        path: as in a ``wav.scp``; or the bytes of a file, which stay themselves.
        allow_pipes: whether a command may be run.
        called: the name; None for the path.

    Raises:
        AudioError: missing, empty, a folder, a pipe that is not allowed or fails.
    """
    if isinstance(path, io.BytesIO):
        return _not_empty(called or "the audio", path)
    place = str(path).strip()
    name = called or place
    if is_pipe(place):
        return name, io.BytesIO(_run_pipe(place, allow_pipes))
    if os.path.isfile(place):
        return _not_empty(name, place)
    if os.path.isdir(place):
        raise AudioError(f"{name} is a folder, not audio. Correct its path.")
    pointer = ARK_POINTER.match(place)
    if pointer and os.path.isfile(pointer["ark"]):
        return name, io.BytesIO(_ark_member(pointer["ark"], int(pointer["offset"])))
    raise AudioError(f"{name} does not exist. Correct its path, or leave it out.", "missing audio")


def _not_empty(name: str, source: Source) -> tuple[str, Source]:
    if not size_of(source):
        reason = "zero-length audio"
        raise AudioError(f"{name} is an empty file. Copy it again, or leave it out.", reason)
    return name, source


def stream_of(source: Source) -> BinaryIO:
    """The bytes of a source from their beginning, apart from any reader that is at work on it."""
    return open(source, "rb") if isinstance(source, str) else io.BytesIO(source.getvalue())


def size_of(source: Source) -> int:
    """Bytes of a source."""
    return os.path.getsize(source) if isinstance(source, str) else source.getbuffer().nbytes


def _run_pipe(command: str, allowed: bool) -> bytes:
    """Output of a wav.scp command; the user allowed running what the file says."""
    if not allowed:
        raise AudioError(
            f"'{command}' is a command, and wav.scp may not run commands. "
            "Name files instead, or allow it with --allow_pipes true."
        )
    shell = command.rstrip().removesuffix("|")
    done = subprocess.run(["bash", "-o", "pipefail", "-c", shell], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1]
        raise AudioError(
            f"'{command}' gave no audio (exit code {done.returncode}: {said}). Try it in a shell."
        )
    return done.stdout


def _ark_member(ark: str, offset: int) -> bytes:
    """Bytes of the audio file at ``offset`` of a Kaldi archive (kaldiio's soundfile entries)."""
    with open(ark, "rb") as stream:
        stream.seek(offset)
        head = stream.read(8)
        if head[:5] == b"AUDIO":  # then one byte n, n bytes of length, the file
            stream.seek(offset + 5)
            size = int.from_bytes(stream.read(int.from_bytes(stream.read(1))), "little")
        elif head[:4] == b"RIFF":
            size = 8 + int.from_bytes(head[4:8], "little")
            stream.seek(offset)
        else:
            raise AudioError(f"{ark}:{offset} is not audio in a Kaldi archive. Dump it again.")
        content = stream.read(size)
    if len(content) < size:
        raise AudioError(f"{ark}:{offset} is cut off. The archive is damaged; dump it again.")
    return content
