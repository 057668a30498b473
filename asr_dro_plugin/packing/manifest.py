"""``asr_dro.json``: what a packed model consists of, with a checksum of every member.

::

    {"format": "asr-dro model", "schema": 1, "name": "asr_train_…",
     "config": "config.yaml", "model_file": "valid.worst_group_cer.ave.pth",
     "tokens": "tokens.txt", "groups": "groups.txt", "inference_config": "decode.yaml",
     "lm_dir": "lm", "token_type": "char", "num_tokens": 83, "num_parameters": 1426643,
     "languages": ["eng", …], "licence": "unknown",
     "features": {"sample_rate": 16000, "frame_shift": 0.04, "frontend": "default", …},
     "training": {"items_seen": 49000, "seconds_seen": 98000.0, "seen": [one row a group and
                  corpus], …},
     "versions": [{"torch": "2.13.0", …}], "packed_by": "asr-dro 0.1.0",
     "members": {"config.yaml": {"bytes": 5836, "sha256": "…"}, …}}

It is data: nothing in it names code, and a key or a kind of value that schema 1 does not know is
refused rather than passed on.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import PACKED
from asr_dro_plugin.packing.schema import Schema

FORMAT = "asr-dro model"
SCHEMA = 1
# Key -> kinds of its value.
KEYS: dict[str, tuple[type, ...]] = {
    "format": (str,), "schema": (int,), "name": (str,), "config": (str,), "model_file": (str,),
    "tokens": (str,), "groups": (str, type(None)), "inference_config": (str, type(None)),
    "lm_dir": (str, type(None)), "token_type": (str,), "num_tokens": (int,),
    "num_parameters": (int,), "languages": (list,), "licence": (str,), "features": (dict,),
    "training": (dict,), "versions": (list,), "packed_by": (str,), "members": (dict,),
}  # fmt: skip
MANIFEST = Schema(PACKED, FORMAT, SCHEMA, KEYS, "asr-dro model", "asr-dro pack")
FILES = ("config", "model_file", "tokens", "groups", "inference_config")  # keys that name a member


def to_bytes(manifest: Mapping) -> bytes:
    """The file's content: sorted, so that the same model gives the same bytes."""
    text = json.dumps(manifest, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    return (text + "\n").encode()


def from_bytes(raw: bytes, where: str) -> dict:
    """Read and check a manifest.

    Raises:
        UserError: no JSON, an unknown key, a missing one, a value of another kind, another schema.
    """
    manifest = MANIFEST.read(raw, where)
    for key in FILES:
        if manifest[key] is not None and manifest[key] not in manifest["members"]:
            raise UserError(f"{where}: {PACKED} names {key} {manifest[key]}, which is no member.")
    return manifest


def same_model(archive: Path, manifest: Mapping) -> bool:
    """Whether an archive holds the model of a manifest: its settings and weights."""
    try:
        with zipfile.ZipFile(archive) as opened:
            other = from_bytes(opened.read(PACKED), str(archive))
    except (UserError, KeyError, OSError, zipfile.BadZipFile):
        return False
    return all(
        manifest["members"][manifest[key]] == other["members"][other[key]]
        for key in ("config", "model_file")
    )
