"""Models of the Hugging Face hub by ``org/name`` or ``org/name@revision``, kept and pinned here.

``downloads/org--name/<commit>/`` holds the files of one commit, and ``hub.json`` once all are
there.  ``downloads/org--name/refs/<revision>`` keeps the commit that a revision (``main`` without
one) meant the first time: later runs take that one and ask nobody.  Remove that file to take what
is new, or the commit's folder to fetch it again.
"""

import logging
import os
import re
from pathlib import Path

from asr_dro_plugin.base.files import sha256_of, write_json, write_text
from asr_dro_plugin.errors import UserError, in_one_line
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
    """The folder of a model, fetched if need be.

    Raises:
        UserError: the hub cannot be reached or does not have it; weights that are not the hub's.
    """
    found = here(name, downloads)
    if found is not None:
        return found.absolute()
    from huggingface_hub import HfApi

    folder, api = _folder(name, downloads), HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
    revision = _pinned(name, folder) or _revision(name)
    try:
        info = api.model_info(_repo(name), revision=revision, files_metadata=True, timeout=TIMEOUT)
        entries = {entry.rfilename: entry for entry in info.siblings or []}
        files = _wanted(name, entries)
        target = (folder / info.sha).absolute()
        api.snapshot_download(
            _repo(name), revision=info.sha, allow_patterns=files, local_dir=target,
            etag_timeout=TIMEOUT,
        )  # fmt: skip
    except UserError:
        raise
    except Exception as error:  # the client's, its transport's or the system's
        raise UserError(_no_way(name, error)) from error
    for file in files:  # large ones have a SHA-256 there; the client itself looks at sizes alone
        path, stated = target / file, entries[file].lfs
        if not path.is_file() or (stated and sha256_of(path) != stated.sha256):
            path.unlink(missing_ok=True)
            raise UserError(
                f"{path.name} of {name} came with another SHA-256 than the hub's; it was not kept. "
                "Run again."
            )
    write_json(target / MARK, {"id": name, "commit": info.sha, "files": sorted(files)})
    write_text(folder / "refs" / _revision(name).replace("/", "--"), f"{info.sha}\n")
    logger.info("%s is commit %s of the hub, in %s", name, info.sha, target)
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


def _no_way(name: str, error: Exception) -> str:
    reason = in_one_line(error, 160) or type(error).__name__
    return (
        f"ssl_checkpoint {name} is no file or folder here, and the hub does not give it "
        f"({reason}). Correct the name, go online, or fetch it elsewhere and give its folder."
    )
