"""What is looked at before training: settings, groups, objective, the experiment's directory."""

import argparse
import itertools
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import yaml

from asr_dro_plugin.checkpoints.store import CheckpointStore
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.model.aux_ctc import NO_UNITS
from asr_dro_plugin.espnet.process.training_state import holds_gradients
from asr_dro_plugin.espnet.start.reference import (
    changed_settings,
    fingerprint_of,
    read_reference,
    training_groups,
)
from asr_dro_plugin.experiment import CONFIG
from asr_dro_plugin.groups import GroupMap
from asr_dro_plugin.objectives.keys import keywords
from asr_dro_plugin.stack.check import check_config
from asr_dro_plugin.stack.espnet_options import TRAIN
from asr_dro_plugin.stack.needs import check_needs
from asr_dro_plugin.text.auxiliary import INPUT
from asr_dro_plugin.text.tokens import read_tokens

RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK")
FOLD_FRAMES, SAMPLES_A_FRAME, FOLD_TOKENS = 800, 100, 150  # of ESPnet's asr.sh
OF_OBJECTIVE = ("groups", "objective", "objective_conf")  # which the task adds to model_conf
ADDED = (*OF_OBJECTIVE, "aux_token_list")


def check_settings(args: argparse.Namespace) -> None:
    """Refuse before anything is built what ``asr-dro check-config`` refuses.

    Raises:
        UserError: one line on the first setting that cannot be trained with.
    """
    where = args.config or "the command line"
    settings = given_settings(args)
    check_config(settings, where)
    check_needs(settings, where)


def fill_fold_length(args: argparse.Namespace) -> None:
    """Give ``batch_type: folded``, which is ESPnet's default, the lengths that its asr.sh gives:
    80 000 samples, or 800 frames of features, and 150 tokens."""
    kinds = {
        (args.iterator_type, args.batch_type),
        (
            args.valid_iterator_type or args.iterator_type,
            args.valid_batch_type or args.batch_type,
        ),
    }
    if not args.fold_length and any(kind[0] != "task" and kind[1] == "folded" for kind in kinds):
        speech = FOLD_FRAMES * (SAMPLES_A_FRAME if args.input_size in (None, 1) else 1)
        args.fold_length = [speech, FOLD_TOKENS][: len(args.train_shape_file)]


def given_settings(args: argparse.Namespace) -> dict:
    """What a YAML would have to say for these options: those that are not at their defaults.

    An experiment's own ``config.yaml`` may be trained from again, so what our task has written
    into it (names of groups and tokens, the objective in ``model_conf``) is left out.
    """
    options = {key: value for key, value in vars(args).items() if key in TRAIN}
    given = {key: value for key, value in options.items() if value != TRAIN[key].default}
    for key in ("groups", "token_list"):
        if isinstance(given.get(key), list):
            del given[key]
    if isinstance(given.get("model_conf"), dict):
        conf = given["model_conf"]
        given["model_conf"] = {key: conf[key] for key in conf if key not in ADDED}
    if isinstance(given.get("objective_conf"), dict):
        given["objective_conf"] = _numbers(given["objective_conf"])
    return given


def read_groups(groups: str | list[str] | None) -> list[str] | None:
    """Names of the groups from a file; a list (from an experiment's config) stays as it is."""
    if groups is None or isinstance(groups, list):
        return groups
    return list(GroupMap.read(groups).names)


def model_conf_of(args: argparse.Namespace) -> dict:
    """``model_conf`` with groups, objective and auxiliary units, so that it alone builds the model.

    Raises:
        UserError: an objective that needs groups without them, auxiliary targets without theirs.
    """
    conf = dict(args.model_conf)
    if args.model != "dro":
        return conf
    for key in OF_OBJECTIVE[1:]:  # of a config.yaml that is trained from again
        conf.pop(key, None)
    if args.groups is not None:
        conf["groups"] = list(args.groups)
    conf |= _auxiliary_units(args)
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


def _auxiliary_units(args: argparse.Namespace) -> dict:
    """``aux_token_list`` for ``model_conf``, from the file; a list of a config.yaml stays."""
    targets = (args.model_conf.get("aux_ctc") or {}).values()
    if args.aux_token_list and INPUT not in targets:
        raise UserError(
            f"--aux_token_list {args.aux_token_list} would be ignored: model_conf.aux_ctc names no "
            f"{INPUT}. Leave it out, or give --config conf/train_asr_ctc_dro_aux_mini.yaml."
        )
    if args.aux_token_list:
        return {"aux_token_list": read_tokens(args.aux_token_list)}
    if INPUT in targets and not args.model_conf.get("aux_token_list"):
        raise UserError(NO_UNITS)
    return {}


def objective_conf_of(args: argparse.Namespace) -> dict:
    """``objective_conf``, opened, with what the rest of the configuration and the data say.

    That is ``duration`` of the sampler, the losses of the reference run that ``reference`` names
    (its file or directory), and the ``group_sizes`` that a size adjustment needs.
    """
    conf = keywords(_numbers(args.objective_conf or {}))
    duration = (args.sampler_conf or {}).get("duration")
    if duration is not None and args.sampler is not None and args.iterator_type == "task":
        conf.setdefault("duration", duration)
    if isinstance(conf.get("reference"), str):
        conf["reference"] = read_reference(conf["reference"], fingerprint_of(args))
    if conf.get("size_adjustment") and "group_sizes" not in conf:
        sizes = Counter(int(group) for group in training_groups(args).values())
        conf["group_sizes"] = [sizes[group] for group in range(len(args.groups))]
    return conf


def _numbers(conf: Mapping) -> dict:
    """``1e-3`` is text to YAML 1.1, which wants ``1.0e-3``."""
    return {key: _number(value) for key, value in conf.items()}


def _number(value: object) -> object:
    if isinstance(value, Mapping):  # experimental; the losses of a reference are numbers already
        return _numbers(value)
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def has_checkpoint(exp: Path) -> bool:
    """Whether a run can be resumed from a directory: ESPnet's checkpoint, or one of ours."""
    return any(exp.glob("checkpoint.pth")) or any(exp.glob("checkpoint.*.pth"))


def earlier_config(exp: Path) -> dict:
    """``config.yaml`` of the run that is to go on; empty where none does, or where it is torn."""
    config_file = exp / CONFIG
    if not has_checkpoint(exp) or not config_file.exists():
        return {}
    try:
        config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    except yaml.YAMLError:
        return {}
    return config if isinstance(config, dict) else {}


def warn_of_changes(exp: Path, earlier: Mapping, args: argparse.Namespace) -> None:
    """Name what the run will have otherwise than before.

    Args:
        earlier: as ``earlier_config`` gives it, read before the file is overwritten.
        args: of a built model, as they are about to be written there.
    """
    changes = changed_settings(earlier, vars(args)) if earlier else []
    if changes:
        logging.warning(
            "%s was trained with other settings, and goes on with the new ones: %s. Only what "
            "optimizer and schedule keep in the checkpoint, the learning rate too, stays as it "
            "was. Use another --asr_exp for a run that has the new ones from the start.",
            exp, "; ".join(changes),
        )  # fmt: skip


def refuse_other_accumulation(exp: Path, earlier: Mapping, accum_grad: int) -> None:
    """Gradients amid an accumulation were divided by its length, and go with no other.

    Raises:
        UserError: the newest checkpoint holds such gradients and ``accum_grad`` has changed.
    """
    before = earlier.get("accum_grad", accum_grad)
    if before == accum_grad:
        return
    loaded = CheckpointStore(exp).load("cpu")
    if loaded is not None and holds_gradients(loaded[0]):
        raise UserError(
            f"{loaded[1]} was saved amid an accumulation of {before} batches, so it cannot go on "
            f"with accum_grad: {accum_grad}. Go on with accum_grad: {before}, or use another "
            "--asr_exp."
        )


def refuse_other_groups(exp: Path, earlier: Mapping, groups: list[str] | None) -> None:
    """A run is resumed with the groups it began with, or not at all."""
    before = (earlier.get("model_conf") or {}).get("groups")
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
    name = f"{exp.name}.before_{time.strftime('%Y%m%d_%H%M%S')}"
    names = itertools.chain([name], (f"{name}_{count}" for count in itertools.count(2)))
    aside = next(path for path in map(exp.with_name, names) if not path.exists())
    logging.warning("The earlier run is kept in %s.", aside)
    exp.rename(aside)


def is_first_process(args: argparse.Namespace) -> bool:
    """Whether this process is the one that writes, before the processes know each other."""
    given = [getattr(args, "dist_rank", None), *(os.environ.get(name) for name in RANKS)]
    rank = next((rank for rank in given if rank is not None), 0)
    return int(rank) == 0
