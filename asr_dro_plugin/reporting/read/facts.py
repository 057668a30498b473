"""What an experiment folder says of how it was made: commands, versions, settings, hours.

Every answer may be missing (an experiment copied in part, or of an older version); then it is None
or empty, and the reader is told.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG, ENDED_EARLY, LOG, SEEN, VERSIONS

ALWAYS = ("asr-dro", "git", "espnet", "torch", "python")
MACHINE = ("cpu", "threads", "gpu")
COSTS = ("wall_seconds", "peak_memory_gib", "peak_gpu_memory_gib")
TORCH_LINE = re.compile(r"pytorch\.version=([^\s,]+)")
LANG_OPTION = re.compile(r"--lang[ =]'?\"?([A-Za-z]+)['\"]?(?=\s|$)")  # one word, not some
CONFIG_OPTION = re.compile(r"--config[ =](\S+)")
NAMED = 5  # utterances in a line
LOG_LINES = 400  # ESPnet says its version of PyTorch before the model's structure
# Settings of a training in the order in which a reader asks for them; a _conf goes with its name.
SETTINGS = (
    "config", "model", "frontend", "preencoder", "encoder", "objective", "sampler", "batch_type",
    "batch_size", "batch_bins", "accum_grad", "ssl_checkpoint", "init_exp", "freeze_param",
    "specaug", "normalize", "optim", "scheduler", "grad_clip", "max_epoch", "num_iters_per_epoch",
    "best_model_criterion", "keep_nbest_models", "token_type", "use_amp", "seed", "ngpu",
)  # fmt: skip
UNREAD_BESIDE_SAMPLER = ("batch_type", "batch_size", "batch_bins")


def read_config(exp: Path) -> dict:
    """``config.yaml`` of a training; empty where there is none.

    Raises:
        UserError: it is there and cannot be read.
    """
    path = Path(exp) / CONFIG
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


def ended_early_lines(folder: Path) -> list[str]:
    """A line on the texts of a decoding that the model did not end itself; none where it did."""
    path = Path(folder) / ENDED_EARLY
    names = [line.split("\t")[0] for line in read_lines(path)[1:]] if path.exists() else []
    if not names:
        return []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    some = " ".join(names[:NAMED]) + more
    return [f"ended early, for they went on without end: {len(names)} ({some})"]


def language_was_given(folder: Path, recipe: Path) -> bool:
    """Whether a decoding was told the languages: by ``--lang`` of its command or by its YAML."""
    command = command_of(folder) or ""
    if option := LANG_OPTION.search(command):
        return option[1] == "forced" or len(option[1]) == 3
    named = CONFIG_OPTION.search(command)
    path = recipe / named[1] if named else None
    if path is None or not path.is_file():
        return False
    try:
        lang = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("lang", "free")
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        return False
    return lang == "forced" or len(str(lang)) == 3


def versions_of(exp: Path, config: Mapping) -> list[dict]:
    """Versions that the training ran with: an entry, and one for each later start that differs.

    ``versions.json`` says all; of an experiment without one, ``config.yaml`` has ESPnet's and the
    head of the log PyTorch's.
    """
    try:
        recorded = json.loads((Path(exp) / VERSIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        recorded = []
    if isinstance(recorded, list) and recorded and all(isinstance(e, dict) for e in recorded):
        return recorded
    known = {"espnet": config.get("version"), "torch": _torch_in_log(Path(exp) / LOG)}
    return [{name: str(version) for name, version in known.items() if version}]


def _torch_in_log(path: Path) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            for _, line in zip(range(LOG_LINES), stream, strict=False):
                if match := TORCH_LINE.search(line):
                    return match[1]
    except OSError:
        pass
    return None


def versions_line(entries: Sequence[Mapping]) -> str:
    """``asr-dro 0.1.0, git 504f6ab, espnet 202611 …``; what is not recorded is said to be so."""
    first, *later = entries
    known = [f"{name} {_short(first[name])}" for name in ALWAYS if name in first]
    known += [f"{name} {version}" for name, version in first.items()
              if name not in (*ALWAYS, "from_update", *MACHINE, *COSTS)]  # fmt: skip
    lacking = [name for name in ALWAYS if name not in first]
    known += [f"{' and '.join(lacking)} not recorded"] if lacking else []
    return "; ".join([", ".join(known), *(_changed(entry) for entry in later)])


def _changed(entry: Mapping) -> str:
    words = [
        f"{name} {_short(entry[name])}"
        for name in entry
        if name != "from_update" and name not in COSTS
    ]
    return f"from update {entry.get('from_update', '?')} on {', '.join(words)}"


def _short(version: str) -> str:
    """A commit by its first letters; a version as it is."""
    is_commit = len(version) >= 40 and version.rstrip("+").isalnum()
    return version[:10] + ("+" if version.endswith("+") else "") if is_commit else version


def read_seen(exp: Path) -> list[dict]:
    """Rows of ``seen.json``: group, corpus, utterances, seconds, labels; none where it is absent.

    Raises:
        UserError: the file is damaged.
    """
    path = exp / SEEN
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [
            {
                "group": str(row["group"]), "corpus": str(row["corpus"]),
                "utterances": int(row["utterances"]), "seconds": float(row["seconds"]),
                "labels": int(row["labels"]),
            }
            for row in rows
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no count of what was seen ({error}). Remove it; training writes it anew."
        ) from None


def settings_of(config: Mapping) -> list[tuple[str, str]]:
    """(name, value) of what was chosen: without paths, what is off, and what nothing reads."""
    rows = []
    for name in SETTINGS:
        value = config.get(name)
        unread = name in UNREAD_BESIDE_SAMPLER and config.get("sampler")
        if value in (None, "", [], {}, False) or unread:
            continue
        conf = None if name == "model" else config.get(f"{name}_conf")  # the model's is listed
        rows.append((name, _flat(value) + (f" ({_flat(conf)})" if conf else "")))
    return rows


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_flat(item) for item in value)
    return str(value)
