"""Models of the Hugging Face hub by ``org/name`` or ``org/name@revision``, kept and pinned here.

``downloads/org--name/<commit>/`` holds the files of one commit, ``FILE.sha256`` beside each, and
``hub.json`` once all are there and verified.  ``downloads/org--name/refs/<revision>`` keeps the
commit that a revision (``main`` without one) meant the first time: later runs take that one and ask
nobody.  Remove that file to take what is new.
"""

import hashlib
import json
import logging
import os
import re
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write, sha256_of
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained import downloads as _downloads
from asr_dro_plugin.pretrained.hf_folders import WEIGHTS

HUB_ID = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>\w[\w./-]*))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
MARK = "hub.json"
TIMEOUT = 8.0  # seconds for the hub's first answer
MAX_JSON = 20_000_000  # bytes: configurations and vocabularies, no data sets
logger = logging.getLogger(__name__)


def is_hub_id(name: str) -> bool:
    """Whether a name can be one of the hub's: ``org/name``, perhaps with ``@revision``."""
    return HUB_ID.fullmatch(name) is not None


def here(name: str, downloads: Path) -> Path | None:
    """The folder of a model that was fetched before; None where it is not (wholly) here."""
    folder = _folder(name, downloads)
    commit = _pinned(name, folder)
    return folder / commit if commit and (folder / commit / MARK).is_file() else None


def fetch_model(name: str, downloads: Path) -> Path:
    """The folder of a model, fetched if need be, every file verified.

    Raises:
        UserError: the hub cannot be reached or does not have it; a file with another sum.
    """
    found = here(name, downloads)
    if found is not None and _is_whole(found):
        return found.absolute()
    folder = _folder(name, downloads)
    commit, files = _listed(name, _pinned(name, folder))
    target = (folder / commit).absolute()
    for file, entry in files.items():
        _fetch_file(name, commit, file, entry, target)
    with atomic_write(target / MARK) as stream:
        json.dump({"id": name, "commit": commit, "files": sorted(files)}, stream, indent=1)
    ref = folder / "refs" / _revision(name).replace("/", "--")
    ref.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(ref) as stream:
        stream.write(f"{commit}\n")
    logger.info("%s is commit %s of the hub, in %s", name, commit, target)
    return target


def _repo(name: str) -> str:
    return HUB_ID.fullmatch(name)["repo"]


def _revision(name: str) -> str:
    return HUB_ID.fullmatch(name)["revision"] or "main"


def _folder(name: str, downloads: Path) -> Path:
    return downloads / _repo(name).replace("/", "--")


def _pinned(name: str, folder: Path) -> str | None:
    """The commit that a name stands for here; None before the first fetch."""
    revision = _revision(name)
    if COMMIT.fullmatch(revision):
        return revision
    ref = folder / "refs" / revision.replace("/", "--")
    commit = ref.read_text("utf-8").strip() if ref.is_file() else ""
    return commit if COMMIT.fullmatch(commit) else None


def _is_whole(folder: Path) -> bool:
    """Whether every file of a fetched model has the sum that it came with."""
    files = json.loads((folder / MARK).read_text("utf-8"))["files"]
    return all(_downloads.verify(folder / file) for file in files)


def _listed(name: str, commit: str | None) -> tuple[str, dict[str, object]]:
    """(commit, entries of the files to take by name) as the hub says."""
    from huggingface_hub import HfApi

    try:
        info = HfApi(endpoint=_endpoint()).model_info(
            _repo(name), revision=commit or _revision(name), files_metadata=True, timeout=TIMEOUT
        )
    except Exception as error:  # the client's, its transport's or the system's
        raise UserError(_no_way(name, error)) from error
    files = {entry.rfilename: entry for entry in info.siblings or []}
    return info.sha, {file: files[file] for file in _wanted(name, files)}


def _wanted(name: str, files: dict) -> list[str]:
    """Names of the files that make a model: the JSONs and one kind of weights, by index if any."""
    top = [file for file in files if "/" not in file]
    jsons = [f for f in top if f.endswith(".json") and (files[f].size or 0) <= MAX_JSON]
    for weights in WEIGHTS:
        if weights in top:
            return [*(f for f in jsons if not f.endswith(".index.json")), weights]
        if f"{weights}.index.json" in top:
            stem, ending = weights.rsplit(".", 1)
            parts = rf"{re.escape(stem)}-\d+-of-\d+\.{ending}"
            return [*jsons, *(file for file in top if re.fullmatch(parts, file))]
    raise UserError(
        f"{name} holds neither {' nor '.join(WEIGHTS)} on the hub ({', '.join(sorted(top)[:6])}). "
        "Give another model."
    )


def _fetch_file(name: str, commit: str, file: str, entry, target: Path) -> None:
    """One file of a commit into ``target``, with its sum beside it."""
    from huggingface_hub import hf_hub_download

    path = target / file
    if _downloads.verify(path):
        return
    path.unlink(missing_ok=True)  # the client takes one that is there for whole
    try:
        hf_hub_download(
            _repo(name), file, revision=commit, local_dir=target, endpoint=_endpoint(),
            etag_timeout=TIMEOUT,
        )  # fmt: skip
    except Exception as error:  # the client's, its transport's or the system's
        raise UserError(_no_way(name, error)) from error
    found = sha256_of(path)
    expected = entry.lfs.sha256 if entry.lfs else None
    if (expected and found != expected) or not _is_blob(path, entry):
        path.unlink()
        raise UserError(
            f"{file} of {name} came with the SHA-256 {found}, not the hub's {expected or 'blob'}; "
            "it was not kept. Run again."
        )
    with atomic_write(f"{path}.sha256") as stream:
        stream.write(f"{found}  {path.name}\n")


def _is_blob(path: Path, entry) -> bool:
    """Whether a small file is git's blob of that id (large ones have a SHA-256 instead)."""
    if entry.lfs or not entry.blob_id:
        return True
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == entry.blob_id


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT")


def _no_way(name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return (
        f"ssl_checkpoint {name} is no file or folder here, and the hub does not give it "
        f"({reason}). Correct the name, go online, or fetch it elsewhere and give its folder."
    )
