"""Model files that hold adapters and what else has learned, without the pretrained model.

Which pretrained model they go with is in ``config.yaml``: ``adapter_conf.base`` is its path, and
``base_sha256`` what it must be.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.adapter_settings import is_adapters, uses_adapter
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.files import sha256_of
from asr_dro_plugin.ssl_folders import weight_files

# Drawn at random where a checkpoint lacks it, and a row of numbers: no file leaves it out.
ALWAYS_KEPT = "masked_spec_embed"


def leaves_out_base(config: Mapping) -> bool:
    """Whether the model files of a configuration leave the pretrained model out."""
    return uses_adapter(config) and config.get("save_strategy", "all") != "all"


def fingerprint(path: str | Path) -> str:
    """SHA-256 of a pretrained model: of its one file of weights, or of the sums of several."""
    path = Path(path)
    files = weight_files(path) if path.is_dir() else [path]
    sums = [sha256_of(file) for file in files]
    return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()


def check_base(base: str | Path, expected: str | None, where: str) -> Path:
    """The pretrained model that adapters go with, which is here and the right one.

    Args:
        base, expected: ``adapter_conf.base`` and ``base_sha256``.
        where: what names them, for the message.

    Raises:
        UserError: it is missing, or another.
    """
    path = Path(base)
    if not path.exists():
        raise UserError(
            f"{where} holds adapters to the pretrained model {path}, which is not there. Put it "
            "back, or correct adapter_conf.base."
        )
    found = fingerprint(path)
    if expected and found != expected:
        raise UserError(
            f"{path} is another model than {where} holds adapters to: its SHA-256 is {found}, not "
            f"{expected}. Put the right one there, or correct adapter_conf.base."
        )
    return path


def holds_adapters(state: Mapping) -> bool:
    """Whether a model file is of a model with adapters."""
    return any(is_adapters(name) for name in state)
