"""Everything a run needs to go on as if it had never stopped, as one dictionary.

The keys of ESPnet's ``checkpoint.pth`` stay what they are, so that ESPnet resumes from our files
(at the beginning of the unfinished epoch); what it does not know lies under ``asr_dro``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from espnet2.schedulers.abs_scheduler import AbsScheduler
from espnet2.train.reporter import Reporter
from torch.amp import GradScaler

OURS = "asr_dro"


@dataclass
class Position:
    """Where a run stands.

    Attributes:
        epoch: the epoch in progress, from 1; ``batch`` of its batches are done.
        is_trained: whether its training part is over and only validation is missing.
        has_updated: whether any of its steps had a finite gradient.
        steps: batches of all epochs; ``updates``: optimizer steps.
    """

    epoch: int = 1
    batch: int = 0
    is_trained: bool = False
    has_updated: bool = False
    steps: int = 0
    updates: int = 0


@dataclass
class Parts:
    """The objects whose state is saved and restored."""

    model: torch.nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    schedulers: Sequence[AbsScheduler | None]
    scaler: GradScaler | None
    reporter: Reporter
    counters: Mapping[str, Any] = field(default_factory=dict)  # each with (load_)state_dict


def state_of(parts: Parts, model_state: Mapping, position: Position, **ours: Any) -> dict:
    """The state to save.

    Args:
        model_state: what of the model is saved: all of it, or an adapter's part.
        ours: further plain values and tensors, kept as they are.
    """
    reporter = parts.reporter.state_dict()
    # ESPnet reads here the last epoch that is complete; it goes on after it.
    reporter["epoch"] = position.epoch - 1
    return {
        "model": model_state,
        "reporter": reporter,
        "optimizers": [optimizer.state_dict() for optimizer in parts.optimizers],
        "schedulers": [
            item.state_dict() if item is not None else None for item in parts.schedulers
        ],
        "scaler": parts.scaler.state_dict() if parts.scaler is not None else None,
        OURS: {
            "position": dict(vars(position)),
            "counters": {name: item.state_dict() for name, item in parts.counters.items()},
            "gradients": _gradients(parts.model),
            **ours,
        },
    }


def restore(parts: Parts, state: Mapping, left_out: Collection[str] = ()) -> tuple[Position, dict]:
    """Put a saved state back.

    Args:
        left_out: names of the model's tensors that the state may lack.

    Returns:
        The position, and what ``state_of`` was given as ``ours``.  A checkpoint of ESPnet's own
        has none: the run goes on with the next epoch.
    """
    own = parts.model.state_dict()
    parts.model.load_state_dict({name: own[name] for name in left_out} | state["model"])
    parts.reporter.load_state_dict(state["reporter"])
    for optimizer, saved in zip(parts.optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    for scheduler, saved in zip(parts.schedulers, state["schedulers"], strict=True):
        if scheduler is not None and saved is not None:
            scheduler.load_state_dict(saved)
    if parts.scaler is not None and state["scaler"] is not None:
        parts.scaler.load_state_dict(state["scaler"])
    ours = dict(state.get(OURS) or {})
    if not ours:
        return Position(epoch=parts.reporter.get_epoch() + 1), {}
    counters = ours.pop("counters")
    for name, item in parts.counters.items():
        if name in counters:
            item.load_state_dict(counters[name])
    _restore_gradients(parts.model, ours.pop("gradients"))
    return Position(**ours.pop("position")), ours


def holds_gradients(state: Mapping) -> bool:
    """Whether a saved state is from amid an accumulation: its gradients fit one ``accum_grad``."""
    return bool((state.get(OURS) or {}).get("gradients"))


def _gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Gradients that wait for the rest of an accumulation; empty after an optimizer step."""
    return {name: param.grad for name, param in model.named_parameters() if param.grad is not None}


def _restore_gradients(model: torch.nn.Module, gradients: Mapping[str, torch.Tensor]) -> None:
    for name, param in model.named_parameters():
        grad = gradients.get(name)
        param.grad = None if grad is None else grad.to(param)
