"""(durations, group ids, settings, seed, epoch) in, a plan of batches out; numpy alone, no files.

plan_batches(durations, group_ids, method="group_duration", duration=50.0, seed=0, epoch=1)

Imports: nothing.
"""

import inspect
from collections.abc import Sequence
from numbers import Integral, Real
from typing import get_args

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.samplers.abs_sampler import AbsBatchSampler
from asr_dro_plugin.samplers.balanced import BalancedSampler
from asr_dro_plugin.samplers.describe import PlanStats, describe_plan
from asr_dro_plugin.samplers.group_duration import GroupDurationSampler
from asr_dro_plugin.samplers.ranks import batches_of_rank
from asr_dro_plugin.samplers.sorted import SortedSampler
from asr_dro_plugin.samplers.temperature import TemperatureSampler

__all__ = [
    "SAMPLERS",
    "AbsBatchSampler",
    "PlanStats",
    "batches_of_rank",
    "build_sampler",
    "describe_plan",
    "plan_batches",
]

SAMPLERS: dict[str, type[AbsBatchSampler]] = {
    "group_duration": GroupDurationSampler,
    "balanced": BalancedSampler,
    "temperature": TemperatureSampler,
    "sorted": SortedSampler,
}


def build_sampler(method: str, **conf) -> AbsBatchSampler:
    """The sampler of a name, with its own settings (``sampler`` and ``sampler_conf`` of a YAML).

    Raises:
        UserError: an unknown name or setting (with the nearest known one), or a value that is of
            another kind or out of its range.
    """
    if method not in SAMPLERS:
        raise UserError(
            f"There is no sampler '{method}' (there are {', '.join(SAMPLERS)})."
            + suggestion(method, SAMPLERS)
        )
    known = inspect.signature(SAMPLERS[method]).parameters
    for key, value in conf.items():
        if key not in known:
            raise UserError(
                f"sampler_conf.{key} is not a key of sampler: {method}, which has "
                f"{' '.join(known)}." + suggestion(key, known)
            )
        _check_kind(key, value, known[key].annotation)
    return SAMPLERS[method](**conf)


# What a setting may be by its annotation; numpy's numbers count too.
KINDS: dict[type, tuple[type, str]] = {
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    type(None): (type(None), "none"),
}


def _check_kind(key: str, value: object, annotation: object) -> None:
    kinds = [KINDS[kind] for kind in get_args(annotation) or (annotation,)]
    for kind, _ in kinds:
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return
    words = " or ".join(words for _, words in kinds)
    raise UserError(f"sampler_conf.{key} must be {words}, not {value!r}.")


def plan_batches(
    durations: Sequence[float],
    group_ids: Sequence[int],
    *,
    method: str = "group_duration",
    duration: float = 50.0,
    seed: int = 0,
    epoch: int = 1,
    rank: int = 0,
    world_size: int = 1,
    group_weights: Sequence[float] | None = None,
    **conf,
) -> list[list[int]]:
    """The batches of one rank in one epoch.

    Args:
        durations: (N,) seconds.
        group_ids: (N,) ids 0..G-1.
        method: a name of ``SAMPLERS``.
        duration: d, seconds; no batch is above it but that of a single longer utterance.
        seed, epoch: what the plan is drawn from; another epoch is another plan.
        rank, world_size: step s of rank r is batch s * world_size + r of the whole plan; all ranks
            have equally many, the missing ones of the last step are empty lists.
        group_weights: (G,) groups are drawn in this proportion, with repeats.
        conf: the sampler's own settings (``tau``, ``max_repeats``, ``num_batches``, ``shuffle``).

    Returns:
        Lists of indices into ``durations``.

    Raises:
        UserError: an unknown method or setting, or lengths, ids or weights that no plan can be
            made of.
    """
    sampler = build_sampler(method, duration=duration, **conf)
    batches = sampler.plan(durations, group_ids, seed, epoch, group_weights)
    return [batch.tolist() for batch in batches_of_rank(batches, rank, world_size)]
