"""What is looked at before training: the groups, the objective, and the experiment's directory."""

import argparse
import logging
import os
import time
from collections import Counter
from pathlib import Path

import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.reference import fingerprint_of, read_reference, training_groups
from asr_dro_plugin.groups import GroupMap

RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")


def read_groups(groups: str | list[str] | None) -> list[str] | None:
    """Names of the groups from a file; a list (from an experiment's config) stays as it is."""
    if groups is None or isinstance(groups, list):
        return groups
    return list(GroupMap.read(groups).names)


def model_conf_of(args: argparse.Namespace) -> dict:
    """``model_conf`` with the groups and the objective, so that it alone builds the model.

    Raises:
        UserError: an objective that needs groups without them.
    """
    conf = dict(args.model_conf)
    if args.model != "dro":
        return conf
    for key in ("objective", "objective_conf"):  # of a config.yaml that is trained from again
        conf.pop(key, None)
    if args.groups is not None:
        conf["groups"] = list(args.groups)
    if args.collect_stats or args.objective is None:
        return conf
    if args.groups is None:
        if args.objective == "ctc":  # ESPnet's own loss is the same
            return conf
        raise UserError(
            f"objective {args.objective} weighs groups, and none are given. Add --groups "
            "(stage 10 writes groups.txt), or set objective: ctc."
        )
    return {**conf, "objective": args.objective, "objective_conf": objective_conf_of(args)}


def objective_conf_of(args: argparse.Namespace) -> dict:
    """``objective_conf`` with what the rest of the configuration and the data say.

    That is ``duration`` of the sampler, the losses of the reference run that ``reference`` names
    (its file or directory), and the ``group_sizes`` that a size adjustment needs.
    """
    conf = {key: _number(value) for key, value in (args.objective_conf or {}).items()}
    duration = (args.sampler_conf or {}).get("duration")
    if duration is not None and args.sampler is not None and args.iterator_type == "task":
        conf.setdefault("duration", duration)
    if isinstance(conf.get("reference"), str):
        conf["reference"] = read_reference(conf["reference"], fingerprint_of(args))
    if conf.get("size_adjustment") and "group_sizes" not in conf:
        sizes = Counter(int(group) for group in training_groups(args).values())
        conf["group_sizes"] = [sizes[group] for group in range(len(args.groups))]
    return conf


def _number(value: object) -> object:
    """``1e-3`` is text to YAML 1.1, which wants ``1.0e-3``."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def has_checkpoint(exp: Path) -> bool:
    """Whether a run can be resumed from a directory: ESPnet's checkpoint, or one of ours."""
    return any(exp.glob("checkpoint.pth")) or any(exp.glob("checkpoint.*.pth"))


def refuse_other_groups(exp: Path, groups: list[str] | None) -> None:
    """A run is resumed with the groups it began with, or not at all."""
    config_file = exp / "config.yaml"
    if not has_checkpoint(exp) or not config_file.exists():
        return
    config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    before = (config.get("model_conf") or {}).get("groups")
    if before and before != groups:
        difference = GroupMap(before).difference(GroupMap(groups or ["none given"]))
        raise UserError(
            f"{exp} was trained with other groups ({difference}). Use another --asr_exp, or "
            f"continue explicitly with --init_exp {exp} --extend_groups true."
        )


def make_room(exp: Path, override: bool) -> None:
    """Before a run that is to begin anew: leave no earlier one to be overwritten.

    Raises:
        UserError: there is one, and ``override`` does not ask to move it aside.
    """
    if not has_checkpoint(exp):
        return
    if not override:
        raise UserError(
            f"{exp} holds a training run. Add --resume true to go on with it, --override true to "
            "move it aside, or give another --output_dir."
        )
    aside = exp.with_name(f"{exp.name}.before_{time.strftime('%Y%m%d_%H%M%S')}")
    logging.warning("The earlier run is kept in %s.", aside)
    exp.rename(aside)


def is_first_process(args: argparse.Namespace) -> bool:
    """Whether this process is the one that writes, before the processes know each other."""
    given = [getattr(args, "dist_rank", None), *(os.environ.get(name) for name in RANKS)]
    rank = next((rank for rank in given if rank is not None), 0)
    return int(rank) == 0
