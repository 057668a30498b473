"""Everything a run needs to go on as if it had never stopped, as one dictionary.

The keys of ESPnet's ``checkpoint.pth`` stay what they are, so that ESPnet resumes from our files
(at the beginning of the unfinished epoch); what it does not know lies under ``asr_dro``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch

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


def state_of(run: Any, model_state: Mapping, position: Position, **ours: Any) -> dict:
    """The state to save.

    Args:
        run: has model, optimizers, schedulers, scaler, reporter and counters (by name, each with a
            state of its own).
        model_state: what of the model is saved: all of it, or an adapter's part.
        ours: further plain values and tensors, kept as they are.
    """
    reporter = run.reporter.state_dict()
    # ESPnet reads here the last epoch that is complete; it goes on after it.
    reporter["epoch"] = position.epoch - 1
    return {
        "model": model_state,
        "reporter": reporter,
        "optimizers": [optimizer.state_dict() for optimizer in run.optimizers],
        "schedulers": [item.state_dict() if item is not None else None for item in run.schedulers],
        "scaler": run.scaler.state_dict() if run.scaler is not None else None,
        OURS: {
            "position": dict(vars(position)),
            "counters": {name: item.state_dict() for name, item in run.counters.items()},
            "gradients": _gradients(run.model),
            **ours,
        },
    }


def restore(run: Any, state: Mapping, left_out: Collection[str] = ()) -> tuple[Position, dict]:
    """Put a saved state back.

    Args:
        run: as for ``state_of``.
        left_out: names of the model's tensors that the state may lack.

    Returns:
        The position, and what ``state_of`` was given as ``ours``.  A checkpoint of ESPnet's own
        has none: the run goes on with the next epoch.
    """
    own = run.model.state_dict()
    run.model.load_state_dict({name: own[name] for name in left_out} | state["model"])
    run.reporter.load_state_dict(state["reporter"])
    for optimizer, saved in zip(run.optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    for scheduler, saved in zip(run.schedulers, state["schedulers"], strict=True):
        if scheduler is not None and saved is not None:
            scheduler.load_state_dict(saved)
    if run.scaler is not None and state["scaler"] is not None:
        run.scaler.load_state_dict(state["scaler"])
    ours = dict(state.get(OURS) or {})
    if not ours:
        return Position(epoch=run.reporter.get_epoch() + 1), {}
    counters = ours.pop("counters")
    for name, item in run.counters.items():
        if name in counters:
            item.load_state_dict(counters[name])
    _restore_gradients(run.model, ours.pop("gradients"))
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
