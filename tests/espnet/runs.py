"""Small training runs and what they leave, for the tests of the trainer."""

import argparse
import math
from pathlib import Path

import torch

from tests.espnet.conftest import arguments, write_config

# ESPnet's own iterator: sampler and task iterator are ours.
SEQUENCE = {"iterator_type": "sequence", "sampler": "none", "sampler_conf": {}, "batch_size": 3}

# Batches of one to four utterances, accumulated in threes that do not divide the epoch, a schedule
# and masks drawn in every step: whatever is not restored shows in the weights.
CONFIG = {
    "model": "dro",
    "max_epoch": 2,
    "objective": "ctc_dro",
    "iterator_type": "task",
    "sampler": "group_duration",
    "sampler_conf": {"duration": 4.0},
    "specaug": "specaug",
    "specaug_conf": {
        "apply_time_warp": False,
        "freq_mask_width_range": [0, 5],
        "apply_time_mask": True,
        "time_mask_width_range": [0, 5],
    },
    "encoder_conf": {
        "hidden_size": 16, "num_blocks": 1, "kernel_size": 3, "strides": [2, 2], "dropout": 0.1,
    },
    "accum_grad": 3,
    "scheduler": "warmuplr",
    "scheduler_conf": {"warmup_steps": 4},
    "best_model_criterion": [["valid", "worst_group_cer", "min"]],
    "save_interval_steps": 1,
}  # fmt: skip


def command(dump: Path, exp: Path, **changes) -> list[str]:
    """Words of a training command; its YAML is written beside ``exp``."""
    exp.parent.mkdir(parents=True, exist_ok=True)
    config = write_config(exp.parent / f"{exp.name}.yaml", **{**CONFIG, **changes})
    return [*arguments(dump, exp, config), "--resume", "true"]


def namespace(task, words: list[str]) -> argparse.Namespace:
    """Parsed options, as ``task.main`` makes them."""
    return task.get_parser().parse_args(words)


def newest(exp: Path) -> dict:
    """The state of the newest checkpoint."""
    return torch.load(exp / "checkpoint.pth", weights_only=True)


def difference(one, two, where: str = "") -> list[str]:
    """Places where two states differ; times of day and durations do not count."""
    name = where.rsplit(".", 1)[-1]
    if name.endswith("_time") or name in ("time", "seconds", "train_time", "gpu_max_cached_mem_GB"):
        return []
    if type(one) is not type(two):
        return [f"{where}: {type(one).__name__} and {type(two).__name__}"]
    if isinstance(one, dict):
        keys = sorted(map(str, set(one) ^ set(two)))
        found = [f"{where}.{key}: in one only" for key in keys]
        return found + [
            line
            for key in one
            if key in two
            for line in difference(one[key], two[key], f"{where}.{key}")
        ]
    if isinstance(one, list | tuple):
        if len(one) != len(two):
            return [f"{where}: {len(one)} and {len(two)} entries"]
        pairs = enumerate(zip(one, two, strict=True))
        return [line for i, (a, b) in pairs for line in difference(a, b, f"{where}.{i}")]
    if isinstance(one, torch.Tensor):
        return (
            []
            if torch.equal(one.nan_to_num(7e7), two.nan_to_num(7e7))
            else [f"{where}: {one} {two}"[:300]]
        )
    if isinstance(one, float) and math.isnan(one) and math.isnan(two):
        return []
    return [] if one == two else [f"{where}: {one} and {two}"[:300]]


def same_files(one: Path, two: Path) -> list[str]:
    """Differences between two experiments: checkpoint, models of epochs, links, what was seen."""
    found = difference(newest(one), newest(two), "checkpoint")
    names = {p.name for exp in (one, two) for p in exp.glob("*.pth") if "checkpoint" not in p.name}
    for name in sorted(names):
        if not (one / name).exists() or not (two / name).exists():
            found.append(f"{name}: in one only")
            continue
        states = (torch.load(exp / name, weights_only=True) for exp in (one, two))
        found += difference(*states, name)
    if (one / "seen.json").read_text() != (two / "seen.json").read_text():
        found.append("seen.json")
    return found
