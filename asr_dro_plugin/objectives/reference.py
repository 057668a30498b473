"""Losses of a reference run of plain CTC, for the ``excess`` signal.

A reference is what ``read_log`` gave along that run, one entry a step that was logged:
``{"steps": [200, 400], "loss": [[G], [G]], "batch_loss": [[G], [G]], "groups": [names]}``;
``batch_loss`` is used by ``agg: sum``, ``loss`` by ``agg: mean``.  None or NaN marks a group that
was not seen since the entry before.
"""

import math

import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.groups import GroupMap


def tabulate(
    reference: dict | None, num_groups: int, group_names: list[str], agg: str, at: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Steps int64 (N,) and losses float64 (N, G); of the last step only for ``at: end``."""
    if reference is None:
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, num_groups, dtype=torch.float64)
    key = "batch_loss" if agg == "sum" else "loss"
    missing = [name for name in ("steps", key) if not reference.get(name)]
    if missing:
        raise UserError(f"The reference lacks {' and '.join(missing)}. Write it anew.")
    _refuse_other_groups(reference.get("groups"), group_names)
    steps, rows = list(reference["steps"]), [list(row) for row in reference[key]]
    if len(steps) != len(rows) or any(len(row) != num_groups for row in rows):
        raise UserError(
            f"The reference must hold {num_groups} losses for each of its {len(steps)} steps."
        )
    if steps != sorted(set(steps)):
        raise UserError("The steps of the reference do not rise. Write it anew.")
    losses = [_filled([row[g] for row in rows], g, group_names) for g in range(num_groups)]
    first = len(steps) - 1 if at == "end" else 0
    table = torch.tensor(losses, dtype=torch.float64).T.contiguous()
    return torch.tensor(steps[first:]), table[first:]


def look_up(steps: torch.Tensor, losses: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """Losses (G,) of the entry that covers ``step``; past the end, of the last."""
    place = torch.searchsorted(steps, step[None]).clamp(max=len(steps) - 1)
    return losses.index_select(0, place)[0]


def _refuse_other_groups(theirs: list[str] | None, ours: list[str]) -> None:
    if theirs and ours and list(theirs) != ours:
        difference = GroupMap(theirs).difference(GroupMap(ours)) or "another order"
        raise UserError(f"The reference run had other groups ({difference}). Train it on these.")


def _filled(values: list[float | None], group: int, names: list[str]) -> list[float]:
    """A group's losses; what is missing is that of the entry before, at the beginning the first."""
    known = [v for v in values if v is not None and math.isfinite(v)]
    if not known:
        name = names[group] if names else group
        raise UserError(f"The reference run never saw group {name}. Train it on the same data.")
    filled, last = [], known[0]
    for value in values:
        last = value if value is not None and math.isfinite(value) else last
        filled.append(last)
    return filled
