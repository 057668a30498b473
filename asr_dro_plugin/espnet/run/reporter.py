"""ESPnet's reporter where a figure may be missing or NaN, and an epoch may be half done."""

import math
import time
from typing import Any

import torch
from espnet2.train.reporter import Average, Reporter, SubReporter, WeightedAverage, aggregate


class DROReporter(Reporter):
    """``Reporter`` whose ranking survives epochs without a figure and never prefers NaN.

    Epochs lack a figure where the run began with an older version or without groups; NaN is what a
    diverged epoch leaves.  ESPnet's own ranking raises on the one and sorts the other anywhere.
    """

    def sort_epochs_and_values(self, key: str, key2: str, mode: str) -> list[tuple[int, float]]:
        """(epoch, value) of all epochs that have the figure, best first, NaN last.

        Args:
            key: ``train`` or ``valid``.
            key2: the figure, for example ``worst_group_cer``.
            mode: ``min`` or ``max``, whichever is better.

        Raises:
            KeyError: no epoch has the figure.
        """
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be min or max: {mode}")
        sign = 1 if mode == "min" else -1
        found = [
            (e, figures[key][key2])
            for e, figures in self.stats.items()
            if key2 in figures.get(key, {})
        ]
        if not found:
            there = [f"{one}.{other}" for one, other in self.get_all_keys()] if self.stats else []
            raise KeyError(f"{key}.{key2} is in no epoch; epoch {self.epoch} has {there}")
        return sorted(found, key=lambda item: (math.isnan(item[1]), sign * item[1]))

    def check_early_stopping(
        self, patience: int, key1: str, key2: str, mode: str, epoch: int | None = None, logger=None
    ) -> bool:
        """Whether the best epoch is more than ``patience`` epochs ago; no figure, no stop."""
        if not any(key2 in figures.get(key1, {}) for figures in self.stats.values()):
            return False
        return super().check_early_stopping(patience, key1, key2, mode, epoch, logger)

    def add_values(self, key: str, values: dict[str, float], epoch: int | None = None) -> None:
        """Add figures to a finished epoch: those that are made once an epoch, one a group.

        Through ``SubReporter.register`` each of them would be filled up with a NaN a step.
        """
        epoch = self.get_epoch() if epoch is None else epoch
        figures = self.stats.setdefault(epoch, {}).setdefault(key, {})
        figures.update({name: float(value) for name, value in values.items()})

    def values_of(self, key: str) -> dict[str, float]:
        """The figures of the current epoch, ESPnet's own clock and counter apart."""
        figures = self.stats.get(self.epoch, {}).get(key, {})
        return {
            name: float(value)
            for name, value in figures.items()
            if name not in ("time", "total_count") and value is not None
        }


def latest_values(sub: SubReporter, count: int) -> dict[str, float]:
    """Means over the last ``count`` batches of an unfinished epoch, as ESPnet logs them."""
    start = max(0, sub.count - count)
    return {name: float(aggregate(entries[start:])) for name, entries in sub.stats.items()}


def sub_reporter_state(sub: SubReporter) -> dict[str, Any]:
    """An unfinished epoch's figures as tensors and numbers, for a checkpoint between two steps.

    Each figure becomes ``values`` (N,) and, where it is a weighted mean, ``weights`` (N,), both
    float64, for the N steps so far.
    """
    stats = {}
    for name, entries in sub.stats.items():
        stats[name] = {"values": _column(entries, "value")}
        if isinstance(entries[0], WeightedAverage):
            stats[name]["weights"] = _column(entries, "weight")
    return {
        "key": sub.key,
        "epoch": sub.epoch,
        "count": sub.count,
        "total_count": sub.total_count,
        "seconds": time.perf_counter() - sub.start_time,
        "registered": sorted(sub._seen_keys_in_the_step),
        "stats": stats,
    }


def restore_sub_reporter(sub: SubReporter, state: dict[str, Any]) -> None:
    """Put a fresh ``sub`` of the same phase and epoch back to where ``state`` was taken.

    Raises:
        ValueError: ``state`` is of another phase or epoch.
    """
    if (sub.key, sub.epoch) != (state["key"], state["epoch"]):
        raise ValueError(
            f"these figures are of {state['key']}, epoch {state['epoch']}; "
            f"not of {sub.key}, epoch {sub.epoch}"
        )
    sub.count = state["count"]
    sub.total_count = state["total_count"]
    sub.start_time = time.perf_counter() - state["seconds"]
    sub._seen_keys_in_the_step = set(state["registered"])
    sub.stats.clear()
    for name, columns in state["stats"].items():
        sub.stats[name] = _entries(columns)


def _column(entries: list, field: str) -> torch.Tensor:
    return torch.tensor([getattr(entry, field) for entry in entries], dtype=torch.float64)


def _entries(columns: dict[str, torch.Tensor]) -> list[Average | WeightedAverage]:
    values = columns["values"].tolist()
    if "weights" not in columns:
        return [Average(value) for value in values]
    return [WeightedAverage(*pair) for pair in zip(values, columns["weights"].tolist())]
