"""The model files that training leaves in an experiment, told from the configuration alone.

ESPnet ranks the epochs by each of ``best_model_criterion``, links the best and averages the best N
of ``keep_nbest_models`` (``espnet2.main_funcs.average_nbest_models``): a name that no criterion
makes would be missed only after the training.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.experiment import CONFIG, EXPORTED
from asr_dro_plugin.experiment.config_paths import check_named_files
from asr_dro_plugin.stack.combinations import ctc_weight_of, loss_of
from asr_dro_plugin.stack.espnet_options import TRAIN
from asr_dro_plugin.stack.names import component_of

Criterion = tuple[str, str, str]  # phase, what is reported, min or max
# What is worth ranking epochs by; the last two need groups (model: dro).
COMMON = ("loss", "loss_ctc", "cer_ctc", "acc", "worst_group_cer", "macro_cer")
MADE = re.compile(r"([^.]+)\.(.+)\.(best|ave|ave_(\d+)best)\.pth")


def check_model_file(name: str, config: Mapping, where: str) -> None:
    """Refuse a model file that training with ``config`` will not make.

    ``latest.pth``, ``3epoch.pth`` and names of a user's own are legal.

    Raises:
        UserError: names the legal files, and what to change in the configuration for this one.
    """
    legal = model_files(config)
    ranked = MADE.fullmatch(name)
    if name in legal or not (ranked or name.startswith(("train.", "valid."))):
        return
    raise UserError(
        f"--inference_asr_model {name} will not be made with {where}.{suggestion(name, legal)} "
        f"Give one of {' '.join([*legal, 'latest.pth'])}{_other_remedy(ranked, config)}."
    )


def _other_remedy(ranked: re.Match | None, config: Mapping) -> str:
    """What in the configuration would make the file; empty where nothing would."""
    if ranked is None:
        return ""
    phase, key, _, number = ranked.groups()
    if phase not in ("train", "valid") or key not in COMMON or not is_reported(phase, key, config):
        return ""
    if (phase, key) not in {criterion[:2] for criterion in criteria_of(config)}:
        mode = "max" if key == "acc" else "min"
        return f", or add [{phase}, {key}, {mode}] to best_model_criterion"
    return f", or add {number} to keep_nbest_models (max_epoch must not be lower)"


def model_files(config: Mapping) -> list[str]:
    """Names of the files of the best and of the averaged models."""
    numbers = averaged(config)
    return [
        f"{phase}.{key}.{kind}.pth"
        for phase, key, _ in criteria_of(config)
        if is_reported(phase, key, config)
        for kind in ("ave", "best", *(f"ave_{number}best" for number in numbers))
    ]


def default_model_file(config: Mapping) -> str:
    """The average by the first of ``best_model_criterion`` that the model reports."""
    names = model_files(config)
    return names[0] if names else "latest.pth"


def best_model_file(exp: str | os.PathLike) -> str:
    """The first of those files that a trained experiment really holds; see ``model_files``.

    A folder with one model file, whatever its name (a model that was given away), holds that.
    """
    names = [*model_files(_config_of(exp)), "latest.pth"]
    there = sorted(path.name for path in Path(exp).glob("*.pth"))
    default = there[0] if len(there) == 1 else names[0]
    return next((name for name in names if name in there), default)


def find_model_file(exp: str | os.PathLike, model_file: str) -> Path:
    """The model file in ``exp``; an absent one is an error that lists what is there."""
    path = Path(exp) / model_file
    if not path.exists():
        there = sorted(file.name for file in Path(exp).glob("*.pth"))
        raise UserError(f"{path} does not exist. {exp} has: {' '.join(there) or 'no model'}.")
    return path


def read_experiment_config(exp: str | os.PathLike, tokenizer: bool = False) -> dict:
    """``config.yaml`` of an experiment, all of whose files are there."""
    config = _config_of(exp)
    check_named_files(config, Path(exp) / CONFIG, tokenizer)
    return config


def _config_of(exp: str | os.PathLike) -> dict:
    path = Path(exp) / CONFIG
    if not path.exists() and (Path(exp) / EXPORTED).exists():
        raise UserError(
            f"{exp} is an exported model, which asr-dro transcribe, info and serve take. Give the "
            "experiment that it was exported from."
        )
    if not path.exists():
        raise UserError(f"{exp} holds no config.yaml. Give --exp a trained experiment (stage 11).")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # Whisper's list has 51,865 tokens
    return yaml.load(path.read_text(encoding="utf-8"), loader)


def criteria_of(config: Mapping) -> list[Criterion]:
    """``best_model_criterion``: lists in a YAML, ``valid,loss,min`` on a command line."""
    found = []
    for value in config.get("best_model_criterion", TRAIN["best_model_criterion"].default):
        words = re.split(r"\s*,\s*", value.strip("()[] ")) if isinstance(value, str) else value
        is_whole = isinstance(words, Sequence) and len(words) == 3
        if not (is_whole and all(isinstance(w, str) for w in words) and words[2] in ("min", "max")):
            raise UserError(
                f"best_model_criterion holds {value!r}. Legal are lists of phase, name and min or "
                "max, for example [valid, loss, min]."
            )
        found.append(tuple(words))
    return found


def averaged(config: Mapping) -> list[int]:
    """How many models are averaged: those of ``keep_nbest_models`` that there are epochs for."""
    keep = config.get("keep_nbest_models", TRAIN["keep_nbest_models"].default)
    numbers = [int(number) for number in (keep if isinstance(keep, Sequence) else [keep])]
    epochs = int(config.get("max_epoch", TRAIN["max_epoch"].default))
    return [number for number in numbers or [1] if 0 < number <= epochs] or [1]


def is_reported(phase: str, key: str, config: Mapping) -> bool:
    """Whether the model of ``config`` reports ``key``: not every loss has every number."""
    if key == "acc":
        return loss_of(config) in ("ce", "hybrid")
    if key in ("cer_ctc", "worst_group_cer", "macro_cer"):  # decoded for in validation only
        groups = key == "cer_ctc" or component_of(config, "model") == "dro"
        return groups and phase == "valid" and ctc_weight_of(config) > 0
    if key == "loss_ctc":
        return ctc_weight_of(config) > 0
    return True
