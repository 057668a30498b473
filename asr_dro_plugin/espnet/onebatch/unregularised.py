"""A model without what keeps it from learning a single batch by heart.

Dropout, dropped layers and masked features stand in modules, in their attributes, and in settings
that transformers and we hand to modules; they are found by name.
"""

import argparse
import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import torch

# Attributes that hold a probability: dropout, attention_dropout, dropout_rate, layerdrop,
# stochastic_depth_rate; mask_prob, mask_channel_prob, mask_time_prob, mask_feature_prob.
DROP = re.compile(r"drop|stochastic_depth")
LAYER = re.compile(r"layer_?drop|stochastic")
MASK = re.compile(r"^mask_(\w+_)?prob$")
DROPPING_CLASS = re.compile(r"drop", re.IGNORECASE)  # FairseqDropout, LayerDropModuleList: p


def plain_options(args: argparse.Namespace) -> list[str]:
    """Take regularisation out of a task's options before anything is built; what, in words."""
    off = []
    if args.specaug is not None:
        args.specaug = None
        off.append("SpecAugment")
    if args.scheduler is not None:
        off.append(f"schedule {args.scheduler}")
        args.scheduler = None
    smoothing = args.model_conf.get("lsm_weight", 0)
    if smoothing:
        args.model_conf = {**args.model_conf, "lsm_weight": 0.0}
        off.append(f"label smoothing {smoothing:g}")
    inner = args.encoder_conf.get("freeze_finetune_updates")
    if inner or args.freeze_finetune_updates:
        args.freeze_finetune_updates = 0
        if inner:
            args.encoder_conf = {**args.encoder_conf, "freeze_finetune_updates": 0}
        off.append("freeze_finetune_updates")
    return off


def plain_model(model: torch.nn.Module) -> list[str]:
    """Set every chance of dropping or masking something to 0; what and how often, in words."""
    found: Counter[str] = Counter()
    for holder, name in list(_chances(model)):
        if getattr(holder, name):  # settings are shared by many modules
            object.__setattr__(holder, name, 0.0)  # they may be frozen
            found[_kind(name)] += 1
    return [f"{kind} ({number})" for kind, number in sorted(found.items())]


def plain_optimizers(optimizers: Sequence[torch.optim.Optimizer]) -> list[str]:
    """Set the weight decay to 0; which it was, in words."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    decays = sorted({group["weight_decay"] for group in groups if group.get("weight_decay")})
    for group in groups:
        if "weight_decay" in group:
            group["weight_decay"] = 0.0
    return [f"weight decay {', '.join(f'{decay:g}' for decay in decays)}"] if decays else []


def _kind(name: str) -> str:
    if MASK.match(name):
        return "masking of features"
    return "layer drop" if LAYER.search(name) else "dropout"


def _chances(model: torch.nn.Module) -> Iterator[tuple[object, str]]:
    """(holder, attribute) of every chance above 0 that a module or its settings keep."""
    for module in model.modules():
        drops = DROPPING_CLASS.search(type(module).__name__)
        for name, value in vars(module).items():
            if _is_chance(name, value) or (drops and name == "p" and _is_share(value)):
                yield module, name
            elif _is_settings(value):
                yield from (
                    (value, key) for key, held in vars(value).items() if _is_chance(key, held)
                )


def _is_settings(value: object) -> bool:
    """A dataclass of ours, or transformers' ``Wav2Vec2Config`` and its like."""
    if isinstance(value, type | torch.nn.Module):
        return False
    return dataclasses.is_dataclass(value) or type(value).__name__.endswith("Config")


def _is_chance(name: str, value: object) -> bool:
    return bool(DROP.search(name) or MASK.match(name)) and _is_share(value)


def _is_share(value: object) -> bool:
    return isinstance(value, float) and 0 < value <= 1
