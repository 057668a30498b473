"""ESPnet's ASR task with our stacks, groups and continuation.

Everything that ESPnet offers a hook for goes through the hook: more options in
``add_task_arguments``, one more input in ``optional_data_names``, a trainer of ours in ``trainer``.
A YAML that uses none of our keys trains exactly as through ``espnet2.bin.asr_train``.
"""

import argparse
from pathlib import Path

import yaml
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.asr.frontend.abs_frontend import AbsFrontend
from espnet2.tasks.asr import ASRTask, frontend_choices
from espnet2.train.class_choices import ClassChoices
from espnet2.utils.types import str2bool, str_or_none

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.continuation import initialise_from
from asr_dro_plugin.espnet.trainer import DROTrainer
from asr_dro_plugin.groups import GroupMap
from asr_dro_plugin.stack import resolve


def optional_frontend_choices() -> ClassChoices:
    """ESPnet's frontends, the same table, with ``none`` allowed."""
    choices = ClassChoices(
        "frontend", classes={}, type_check=AbsFrontend, default="default", optional=True
    )
    choices.classes = frontend_choices.classes
    return choices


class DROASRTask(ASRTask):
    """``ASRTask`` with frontend none, inferred sizes, SSL checkpoints by name, and groups."""

    class_choices_list = [
        optional_frontend_choices() if choices is frontend_choices else choices
        for choices in ASRTask.class_choices_list
    ]
    trainer = DROTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """ESPnet's options and ours (all off by default)."""
        super().add_task_arguments(parser)
        group = parser.add_argument_group("asr-dro related")
        group.add_argument(
            "--ssl_checkpoint",
            type=str_or_none,
            default=None,
            help="Pretrained model for the s3prl frontend or the wav2vec2 encoder: a name in "
            "local/ssl_checkpoints.tsv or a path",
        )
        group.add_argument(
            "--groups",
            type=str_or_none,
            default=None,
            help="File with the sorted names of the groups, one a line (stage 10 writes it)",
        )
        group.add_argument(
            "--init_exp",
            type=str_or_none,
            default=None,
            help="Experiment directory or model file to continue from",
        )
        group.add_argument(
            "--extend_groups",
            type=str2bool,
            default=False,
            help="Allow groups and tokens that the experiment of --init_exp does not know",
        )

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """ESPnet's optional inputs and ``group_ids``, one integer an utterance."""
        return (*super().optional_data_names(train, inference), "group_ids")

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """Train, after a look at what the experiment directory was made for."""
        args.groups = read_groups(args.groups)
        if args.groups is not None and args.model == "dro":
            args.model_conf = {**args.model_conf, "groups": list(args.groups)}
        if args.resume:
            refuse_other_groups(Path(args.output_dir), args.model_conf.get("groups"))
        super().main_worker(args)

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetASRModel:
        """Build the stack that ``args`` describes.

        ``args`` is changed: inferred sizes and the resolved checkpoint are written into it, so
        that ``config.yaml`` alone rebuilds the model, in ESPnet's own tools too.

        Raises:
            UserError: sizes that do not fit, a checkpoint that does not fit its slot.
        """
        apply_ssl_checkpoint(args)
        for key, value in resolve(vars(args)).items():
            setattr(args, key, value)
        model = super().build_model(args)
        if getattr(args, "init_exp", None):
            initialise_from(model, args)
        return model


def read_groups(groups: str | list[str] | None) -> list[str] | None:
    """Names of the groups from a file; a list (from an experiment's config) stays as it is."""
    if groups is None or isinstance(groups, list):
        return groups
    return list(GroupMap.read(groups).names)


def refuse_other_groups(exp: Path, groups: list[str] | None) -> None:
    """A run is resumed with the groups it began with, or not at all."""
    config_file = exp / "config.yaml"
    if not (exp / "checkpoint.pth").exists() or not config_file.exists():
        return
    config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    before = (config.get("model_conf") or {}).get("groups")
    if before and before != groups:
        difference = GroupMap(before).difference(GroupMap(groups or ["none given"]))
        raise UserError(
            f"{exp} was trained with other groups ({difference}). Use another --asr_exp, or "
            f"continue explicitly with --init_exp {exp} --extend_groups true."
        )


def apply_ssl_checkpoint(args: argparse.Namespace) -> None:
    """Point the SSL slot of ``args`` at its checkpoint, fetched if need be."""
    if getattr(args, "ssl_checkpoint", None):
        from asr_dro_plugin.ssl_checkpoints import use_checkpoint

        for key, value in use_checkpoint(vars(args)).items():
            setattr(args, key, value)
