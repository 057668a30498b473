"""(durations, group ids, settings, seed, epoch) in, a plan of batches out; numpy alone, no files.

plan_batches(durations, group_ids, method="group_duration", duration=50.0, seed=0, epoch=1)

A new sampler is one file with its class and one line in ``SAMPLERS``.  What is here loads no
numpy, for a plan of a recipe reads it.

Imports: base.
"""

from collections.abc import Sequence
from dataclasses import fields

from asr_dro_plugin.base.class_path import load_class
from asr_dro_plugin.base.settings import check_key, check_kind, check_word, kinds_of

__all__ = ["DEFAULT", "SAMPLERS", "build_sampler", "plan_batches", "sampler_class"]

_HERE = "asr_dro_plugin.samplers"
SAMPLERS = {
    "group_duration": f"{_HERE}.group_duration:GroupDurationSampler",
    "balanced": f"{_HERE}.balanced:BalancedSampler",
    "temperature": f"{_HERE}.temperature:TemperatureSampler",
    "sorted": f"{_HERE}.sorted:SortedSampler",
}
DEFAULT = "group_duration"


def sampler_class(method: str) -> type:
    """The class of a name; one that is not in ``SAMPLERS`` is refused with the nearest."""
    check_word("sampler", method, SAMPLERS)
    return load_class(SAMPLERS[method])


def build_sampler(method: str, **conf):
    """The ``AbsBatchSampler`` of a name, with its own settings (``sampler_conf`` of a YAML).

    Raises:
        UserError: an unknown name or setting (with the nearest known one), or a value that is of
            another kind or out of its range.
    """
    sampler = sampler_class(method)
    known = {field.name: kinds_of(field.type) for field in fields(sampler)}
    for key, value in conf.items():
        check_key(f"sampler_conf of sampler {method}", key, list(known))
        check_kind(f"sampler_conf of sampler {method}: {key}", value, known[key])
    return sampler(**conf)


def plan_batches(
    durations: Sequence[float],
    group_ids: Sequence[int],
    *,
    method: str = DEFAULT,
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
    from asr_dro_plugin.samplers.abs_sampler import batches_of_rank
    from asr_dro_plugin.samplers.checks import checked_utterances

    sampler = build_sampler(method, duration=duration, **conf)
    utterances = checked_utterances(durations, group_ids)
    batches = sampler.plan(*utterances, seed, epoch, group_weights)
    return [batch.tolist() for batch in batches_of_rank(batches, rank, world_size)]
