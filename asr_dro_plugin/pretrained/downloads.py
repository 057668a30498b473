"""Files from the network: fetched once, whole, and known by their SHA-256.

A file is never trusted because it exists.  What vouches for it is, in this order: the sum that the
caller knows (``local/ssl_checkpoints.tsv``), the sum beside it (``FILE.sha256``, as ``sha256sum``
writes it) from its first fetch or from the user, and while it is fetched the sum that the server
states (Hugging Face does, for large files).  Summed anew each time: a second a gigabyte.
"""

import contextlib
import fcntl
import http.client
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.base.files import sha256_of, write_text
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.errors import UserError

TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 4  # connections for one file, each going on where the last one stopped
PAUSE = 1.0  # seconds between them
BLOCK = 1 << 20
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remote:
    """What a server says of a file: its sum and size, and a tag that changes when it changes."""

    sha256: str | None = None
    num_bytes: int | None = None
    etag: str | None = None


def fetch(
    url: str, path: str | os.PathLike, sha256: str | None = None, num_bytes: int | None = None
) -> Path:
    """Make ``path`` hold the content of ``url``; do nothing if it verifiably does already.

    Atomic (``.part``, verified, moved), resumed where it stopped, and safe for several processes:
    one fetches, the others wait and verify.  Raises ``UserError`` when the file cannot be had, or
    does not have the sum or the size that it should have.
    """
    path = Path(path)
    if verify(path, sha256, num_bytes):  # also in a folder that others may only read
        return path
    with _locked(path):
        if verify(path, sha256, num_bytes):
            return path
        known = sha256 or _sum_beside(path)
        remote = _ask(url, path, known)
        if known and remote.sha256 and known != remote.sha256:
            raise UserError(
                f"{url} now has the SHA-256 {remote.sha256}, not the known {known}: the file was "
                "replaced at its source. If that is expected, correct the sum in "
                f"local/ssl_checkpoints.tsv or remove {path.absolute()}.sha256, whichever holds "
                "the old one."
            )
        expected = Remote(known or remote.sha256, num_bytes or remote.num_bytes, remote.etag)
        if not (path.is_file() and expected.sha256 and _matches(path, expected.sha256, None)):
            _fetch_verified(url, path, expected)
        found = expected.sha256 or sha256_of(path)
        if _sum_beside(path) != found:
            write_text(f"{path}.sha256", f"{found}  {path.name}\n")
    return path


def verify(
    path: str | os.PathLike, sha256: str | None = None, num_bytes: int | None = None
) -> bool:
    """True if ``path`` is there and has the given sum (or the one beside it) and size."""
    path = Path(path)
    known = sha256 or _sum_beside(path)
    return path.is_file() and known is not None and _matches(path, known, num_bytes)


def _matches(path: Path, sha256: str, num_bytes: int | None) -> bool:
    return num_bytes in (None, 0, path.stat().st_size) and sha256_of(path) == sha256


def _sum_beside(path: Path) -> str | None:
    """The sum in ``path``.sha256, or None if there is no such file or no sum in it."""
    try:
        words = Path(f"{path}.sha256").read_text("utf-8").split()
    except FileNotFoundError:
        return None
    return words[0].lower() if words and re.fullmatch(r"[0-9a-fA-F]{64}", words[0]) else None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the one lock of ``path``; the lock file stays, for removing it would race."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(path.parent / f".{path.name}.lock", "w")  # noqa: SIM115  # just below
    except OSError as error:
        raise UserError(f"{path.absolute()} cannot be written: {error.strerror}") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.warning("%s: another process is fetching it; waiting for that one", path)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class _StopAtStatedSum(urllib.request.HTTPRedirectHandler):
    """Does not follow a redirect that states the sum: the storage behind it states none."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if "X-Linked-Etag" in headers:
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _ask(url: str, path: Path, sha256: str | None) -> Remote:
    """What the server of ``url`` says of it."""
    opener = urllib.request.build_opener(_StopAtStatedSum)
    try:
        with opener.open(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT) as answer:
            return _remote(answer.headers)
    except urllib.error.HTTPError as error:
        if 300 <= error.code < 400:
            return _remote(error.headers)
        if error.code in (403, 405, 501):  # a server that only answers GET
            return Remote()
        raise UserError(_no_way(url, path, sha256, f"HTTP {error.code} {error.reason}")) from error
    except (OSError, http.client.HTTPException) as error:
        raise UserError(_no_way(url, path, sha256, getattr(error, "reason", error))) from error


def _remote(headers) -> Remote:
    """``Remote`` from HTTP headers; an ETag of 64 hex digits is a SHA-256 only on Hugging Face."""
    linked = (headers.get("X-Linked-Etag") or "").strip('W/"')
    size = headers.get("X-Linked-Size") or (None if linked else headers.get("Content-Length"))
    sha256 = linked.lower() if re.fullmatch(r"[0-9a-fA-F]{64}", linked) else None
    return Remote(sha256, int(size) if size else None, headers.get("ETag"))


def _no_way(url: str, path: Path, sha256: str | None, reason: object) -> str:
    check = (
        f"it must have the SHA-256 {sha256}"
        if sha256
        else f"with its sum beside it: sha256sum {path.name} > {path.name}.sha256"
    )
    return (
        f"{url} cannot be fetched ({reason}). With another machine's help, put the file at "
        f"{path.absolute()} ({check}), and run again."
    )


def _fetch_verified(url: str, path: Path, expected: Remote) -> None:
    """Fetch to ``path``.part, verify, move; a wrong sum is given one more try from the start."""
    part = Path(f"{path}.part")
    if not expected.sha256:
        logger.warning("%s: no SHA-256 is known; trusted this once, and kept as it is now", url)
    for fresh in (False, True):
        if fresh:
            part.unlink(missing_ok=True)
        _fetch_part(url, path, part, expected)
        found = sha256_of(part)
        if expected.sha256 in (None, found):
            with open(part, "rb+") as stream:
                os.fsync(stream.fileno())
            os.replace(part, path)
            Path(f"{part}.etag").unlink(missing_ok=True)
            return
        logger.warning("%s: SHA-256 %s, not %s", part, found, expected.sha256)
    part.unlink()
    raise UserError(
        f"{url} came with the SHA-256 {found} instead of {expected.sha256}, twice; nothing was "
        f"kept. Put the file at {path.absolute()} yourself, or correct the sum if that is wrong."
    )


def _fetch_part(url: str, path: Path, part: Path, expected: Remote) -> None:
    """Fill ``part`` to its full size, over several connections if need be."""
    tag = Path(f"{part}.etag")
    same = tag.exists() and tag.read_text("utf-8") == expected.etag
    too_long = part.exists() and expected.num_bytes and part.stat().st_size > expected.num_bytes
    if too_long or not (expected.sha256 or same):  # maybe the beginning of another version
        part.unlink(missing_ok=True)
    if expected.etag and not expected.sha256:
        tag.write_text(expected.etag, "utf-8")
    have = part.stat().st_size if part.exists() else 0
    needed, free = (expected.num_bytes or 0) - have, shutil.disk_usage(path.parent).free
    if needed > free:
        raise UserError(
            f"{path.parent.absolute()} has {free / 1e9:.1f} GB free and {path.name} needs "
            f"{needed / 1e9:.1f} GB more. Free some, or choose another downloads folder."
        )
    with Progress(expected.num_bytes or 0, f"download {path.name}") as bar:
        bar.advance(have)
        for _ in range(ATTEMPTS):
            reason = _appended(url, part, expected, bar)
            if not reason:
                return
            time.sleep(PAUSE)
    raise UserError(
        f"{url} stopped after {part.stat().st_size if part.exists() else 0} of "
        f"{expected.num_bytes} bytes, {ATTEMPTS} times ({reason}). Run again: it goes on there."
    )


def _appended(url: str, part: Path, expected: Remote, bar: Progress) -> object:
    """Append over one connection; why ``part`` is not whole yet, if it is not."""
    try:
        _append(url, part, expected, bar)
    except (OSError, http.client.HTTPException) as error:
        if getattr(error, "code", None) == 416:  # the part reaches beyond the file's end
            part.unlink(missing_ok=True)
        return getattr(error, "reason", error)
    whole = expected.num_bytes in (None, part.stat().st_size)
    return None if whole else "the connection closed early"


def _append(url: str, part: Path, expected: Remote, bar: Progress) -> None:
    """One connection: ask for what ``part`` lacks and append it."""
    have = part.stat().st_size if part.exists() else 0
    if expected.num_bytes and have == expected.num_bytes:
        return
    request = urllib.request.Request(url)
    if have and not url.startswith("file:"):
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        resumed = getattr(answer, "status", None) == 206
        with open(part, "ab" if resumed else "wb") as stream:
            while block := answer.read(BLOCK):
                stream.write(block)
                bar.advance(len(block))
