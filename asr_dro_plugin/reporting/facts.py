"""What an experiment folder says of how it was made: commands, versions, settings, hours.

Every answer may be missing (an experiment copied in part, or of an older version); then it is None
or empty, and the reader is told.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.kaldi_io import read_lines

VERSIONS = {"asr_dro": "asr-dro", "espnet": "espnet", "torch": "torch", "python": "python"}
TORCH_LINE = re.compile(r"pytorch\.version=([^\s,]+)")
LOG_LINES = 400  # ESPnet says its version of PyTorch before the model's structure
# Settings of a training in the order in which a reader asks for them; a _conf goes with its name.
SETTINGS = (
    "config", "model", "frontend", "preencoder", "encoder", "objective", "sampler", "batch_type",
    "batch_size", "batch_bins", "accum_grad", "ssl_checkpoint", "init_exp", "freeze_param",
    "specaug", "normalize", "optim", "scheduler", "grad_clip", "max_epoch", "num_iters_per_epoch",
    "best_model_criterion", "keep_nbest_models", "token_type", "use_amp", "seed", "ngpu",
)  # fmt: skip


def read_config(exp: Path) -> dict:
    """``config.yaml`` of a training; empty where there is none.

    Raises:
        UserError: it is there and cannot be read.
    """
    path = Path(exp) / "config.yaml"
    if not path.exists():
        return {}
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} cannot be read ({reason}). Copy it from the training.") from None
    return config if isinstance(config, dict) else {}


def command_of(folder: Path) -> str | None:
    """The command that ``run.sh`` of a training or decoding holds, as the recipe wrote it."""
    path = Path(folder) / "run.sh"
    if not path.exists():
        return None
    lines = [line for line in read_lines(path) if line.startswith("exec ")]
    return lines[0].removeprefix("exec ").removesuffix('"$@"').strip() if lines else None


def versions_of(exp: Path, config: Mapping) -> dict[str, str]:
    """Versions that the training ran with, as far as it recorded them.

    ``versions.json`` says all; of an experiment without one, ``config.yaml`` has ESPnet's and the
    head of the log PyTorch's.
    """
    found = {}
    if config.get("version"):
        found["espnet"] = str(config["version"])
    torch = _torch_in_log(Path(exp) / "train.log")
    if torch:
        found["torch"] = torch
    try:
        recorded = json.loads((Path(exp) / "versions.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        recorded = {}
    recorded = recorded if isinstance(recorded, dict) else {}
    return found | {key: str(value) for key, value in recorded.items() if value}


def _torch_in_log(path: Path) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            for _, line in zip(range(LOG_LINES), stream, strict=False):
                if match := TORCH_LINE.search(line):
                    return match[1]
    except OSError:
        pass
    return None


def versions_line(versions: Mapping[str, str]) -> str:
    """``asr-dro 0.1.0, espnet 202611, torch 2.13.0``; those not recorded are said to be so."""
    known = [f"{word} {versions[key]}" for key, word in VERSIONS.items() if key in versions]
    lacking = [word for key, word in VERSIONS.items() if key not in versions]
    return ", ".join(known + ([f"{' and '.join(lacking)} not recorded"] if lacking else []))


def settings_of(config: Mapping) -> list[tuple[str, str]]:
    """(name, value) of what was chosen: without paths, sizes that follow, and defaults of none."""
    rows = []
    for name in SETTINGS:
        value = config.get(name)
        if value in (None, "", [], {}):
            continue
        conf = config.get(f"{name}_conf")
        words = _flat(value) + (f" ({_flat(conf)})" if conf else "")
        rows.append((name, words))
    return rows


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_flat(item) for item in value)
    return str(value)
