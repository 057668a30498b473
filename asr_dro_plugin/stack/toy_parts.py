"""Objective, sampler, optimizer and schedule of a configuration, built once on toy values.

What a constructor refuses is refused before any data is touched, by the constructor itself.
"""

from collections.abc import Mapping

from asr_dro_plugin.objectives.keys import keywords
from asr_dro_plugin.stack.construct import construct_part
from asr_dro_plugin.stack.names import COMPONENTS, component_of
from asr_dro_plugin.stack.training_rules import has_objective, plans_batches

TOY_GROUPS = 2


def check_parts(config: Mapping) -> None:
    """Build each part that the training will use.

    Raises:
        UserError: arguments that a part refuses.
    """
    import torch

    if has_objective(config):
        _build(config, "objective", _toy_conf(config.get("objective_conf") or {}))
    if plans_batches(config):
        _build(config, "sampler", config.get("sampler_conf") or {})
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    optimizer = _build(config, "optim", {"params": parameters, **_conf(config, "optim")})
    if component_of(config, "scheduler"):
        _build(config, "scheduler", {"optimizer": optimizer, **_conf(config, "scheduler")})


def _build(config: Mapping, slot: str, arguments: Mapping) -> object:
    name = component_of(config, slot)
    return construct_part(slot, name, COMPONENTS[slot][name], arguments, device="cpu")


def _conf(config: Mapping, slot: str) -> dict:
    return dict(config.get(f"{slot}_conf") or {})


def _toy_conf(conf: Mapping) -> dict:
    """Arguments of an objective of two groups; the reference run's file is left to the task."""
    toy = {"num_groups": TOY_GROUPS, **keywords(conf)}
    if isinstance(toy.get("reference"), str):
        losses = [[1.0] * TOY_GROUPS]
        toy["reference"] = {"steps": [1], "loss": losses, "batch_loss": losses}
    if toy.get("size_adjustment"):
        toy["group_sizes"] = [1] * TOY_GROUPS
    return toy
