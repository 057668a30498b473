"""A packed model as a folder: verified, and whole or absent.

Everything is written to a temporary folder beside the one that is asked for, and checked there,
before it is moved into place.
"""

import errno
import hashlib
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.base.new_folder import new_folder
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import META, PACKED
from asr_dro_plugin.packing import content
from asr_dro_plugin.packing import manifest as pack_manifest
from asr_dro_plugin.packing.archive import CHUNK
from asr_dro_plugin.packing.members import check_members

DEFAULT_GIB = 32.0
NO_NAME = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
Checksums = dict[str, tuple[int, str]]  # name -> bytes, SHA-256


@dataclass(frozen=True)
class Unpacked:
    """What came out: ``exp`` is for ``--exp``, ``model_file`` lies in it."""

    name: str
    exp: Path
    model_file: str
    is_ours: bool
    warnings: tuple[str, ...]


def unpack(
    archive: str | os.PathLike, out: str | os.PathLike, max_gib: float = DEFAULT_GIB
) -> Unpacked:
    """Unpack ``archive`` into the new folder ``out``.

    Raises:
        UserError: no archive, a hostile or damaged one, or ``out`` is there already.
    """
    archive, out = Path(archive), Path(out)
    if not archive.is_file():
        what = "is a folder" if archive.is_dir() else "does not exist"
        raise UserError(f"{archive} {what}. Give a packed model (a .zip).")
    with new_folder(out) as work:
        extracted = _extract(archive, work, int(max_gib * 2**30))
        return _check(archive, work, extracted, out)


def _extract(archive: Path, work: Path, max_bytes: int) -> Checksums:
    """Write every member below ``work``; returns what was written."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            check_members(members, str(archive), max_bytes)
            files = [info for info in members if not info.is_dir()]
            for info in set(members) - set(files):
                (work / info.filename).mkdir(parents=True, exist_ok=True)
            steps = sum(info.file_size // CHUNK + 1 for info in files)
            with Progress(steps, f"unpack {archive.name} (MiB)") as bar:
                return {info.filename: _write(opened, info, work, bar) for info in files}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
        raise UserError(f"{archive} is no whole zip archive ({error}). Get it again.") from None
    except OSError as error:
        if error.errno not in NO_NAME:
            raise
        raise UserError(
            f"{archive}: member {os.path.relpath(error.filename, work)!a} is there twice, is a "
            f"file and a folder, or has too long a name ({error.strerror}). Nothing is unpacked."
        ) from None


def _write(
    opened: zipfile.ZipFile, info: zipfile.ZipInfo, work: Path, bar: Progress
) -> tuple[int, str]:
    """One member: a new file, never through a link, never longer than the archive declares."""
    path = work / info.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    with os.fdopen(handle, "wb") as stream, opened.open(info) as source:
        while piece := source.read(CHUNK):
            size += len(piece)
            if size > info.file_size:
                raise UserError(f"{info.filename!a} is longer than its archive declares.")
            digest.update(piece)
            stream.write(piece)
            bar.advance()
        stream.flush()
        os.fsync(stream.fileno())
    return size, digest.hexdigest()


def _check(archive: Path, work: Path, extracted: Checksums, out: Path) -> Unpacked:
    """The content: our manifest if there is one, ESPnet's list otherwise."""
    where = str(archive)
    if META not in extracted:
        raise UserError(f"{where} is no packed model: it has no {META}. Nothing is unpacked.")
    warnings = []
    manifest = None
    if PACKED in extracted:
        if (work / PACKED).stat().st_size > content.MAX_TEXT:
            raise UserError(f"{work / PACKED} is too large for {PACKED}.")
        manifest = pack_manifest.from_bytes((work / PACKED).read_bytes(), where)
        _compare(manifest, extracted, where)
    else:
        warnings.append(
            f"{where} was not made by asr-dro pack: it has no {PACKED}, so nothing "
            "says whether its files are those that were packed."
        )
    meta = content.read_yaml(work / META, f"{where}: {META}")
    try:
        config_name = str(meta["yaml_files"]["asr_train_config"])
        model_name = str(meta["files"]["asr_model_file"])
    except (KeyError, TypeError):
        raise UserError(f"{where} is no packed recogniser: its {META} names no model.") from None
    for name in (config_name, model_name):
        if name not in extracted:
            raise UserError(f"{where}: {META} names {name!a}, which is no member.")
    config = content.read_yaml(work / config_name, f"{where}: {config_name}")
    if not content.is_pickle(work / model_name):
        raise UserError(f"{where}: member {model_name!a} is no file of PyTorch. Get it again.")
    content.check_files(work, extracted, where)
    warnings += content.check_named_files(config, work, where, strict=manifest is not None)
    exp = (out / config_name).parent
    model_file = os.path.relpath(out / model_name, exp)
    name = manifest["name"] if manifest else Path(config_name).parent.name or archive.stem
    return Unpacked(name, exp, model_file, manifest is not None, tuple(warnings))


def _compare(manifest: dict, extracted: Checksums, where: str) -> None:
    """Every member is in the manifest as it is here, and the other way round."""
    listed = manifest["members"]
    for name in sorted(listed.keys() ^ (extracted.keys() - {PACKED})):
        what = "is missing" if name in listed else f"is not in {PACKED}"
        raise UserError(f"{where}: member {name!a} {what}. Nothing is unpacked.")
    for name, entry in listed.items():
        if (entry["bytes"], entry["sha256"]) != extracted[name]:
            raise UserError(
                f"{where}: member {name!a} is not the one that was packed (its checksum differs). "
                "Nothing is unpacked. Get the file again."
            )
