"""ESPnet's ASR task with our stacks, objectives, samplers and continuation.

Everything that ESPnet offers a hook for goes through the hook: more options in
``add_task_arguments``, one more input in ``optional_data_names``, batches of our samplers in
``build_task_iter_factory``, a trainer of ours in ``trainer``.
A YAML that uses none of our keys trains exactly as through ``espnet2.bin.asr_train``.
"""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path

from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks.abs_task import IteratorOptions
from espnet2.tasks.asr import ASRTask, frontend_choices
from espnet2.train.class_choices import ClassChoices
from espnet2.train.dataset import AbsDataset
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import float_or_none, str2bool, str_or_none

from asr_dro_plugin.base.arguments import plain_words
from asr_dro_plugin.base.early_warnings import EarlyLog
from asr_dro_plugin.base.phase_timer import START
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.espnet.batches.iterators import build_planned_factory
from asr_dro_plugin.espnet.choices import objective_choices, sampler_choices
from asr_dro_plugin.espnet.model.lengths import NUM_SAMPLES
from asr_dro_plugin.espnet.model.losses import use_blank
from asr_dro_plugin.espnet.parts.whisper_preprocessor import keep_tokenizer, use_whispers_tokens
from asr_dro_plugin.espnet.process.signals import is_child, parent_of_children
from asr_dro_plugin.espnet.run.trainer import DROTrainer
from asr_dro_plugin.espnet.start import checks, extracted, ssl_weights
from asr_dro_plugin.espnet.start.adapter_training import begin as begin_adapters
from asr_dro_plugin.espnet.start.continuation import initialise_from
from asr_dro_plugin.espnet.start.freezing import apply_freezing
from asr_dro_plugin.espnet.start.reference import FILE_NAME, GroupLossLog, fingerprint_of
from asr_dro_plugin.stack.adapter_settings import uses_adapter
from asr_dro_plugin.stack.espnet_options import OURS
from asr_dro_plugin.stack.sizes import resolve
from asr_dro_plugin.text.auxiliary import INPUT

EXAMPLE = (
    "Example: asr-dro train --config conf/train_asr_ctc_dro_mini.yaml --output_dir exp/asr_X "
    "--token_list tokens.txt --train_data_path_and_name_and_type "
    "dump/raw/train/wav.scp,speech,kaldi_ark ... (exp/asr_X/run.sh of the recipe has all)"
)
# How ESPnet's parser takes an option of a kind.
PARSED = {
    "str?": {"type": str_or_none}, "bool": {"type": str2bool}, "int": {"type": int},
    "float?": {"type": float_or_none}, "list": {"nargs": "*"}, "dict": {"action": NestedDictAction},
}  # fmt: skip


def optional_frontend_choices() -> ClassChoices:
    """ESPnet's frontends, the same table, with ``none`` allowed."""
    choices = copy.copy(frontend_choices)
    choices.optional = True
    return choices


class DROASRTask(ASRTask):
    """``ASRTask`` with frontend none, inferred sizes, SSL checkpoints by name, and objectives."""

    class_choices_list = [
        *(
            optional_frontend_choices() if choices is frontend_choices else choices
            for choices in ASRTask.class_choices_list
        ),
        objective_choices,
        sampler_choices,
    ]
    trainer = DROTrainer

    @classmethod
    def get_parser(cls) -> argparse.ArgumentParser:
        """ESPnet's parser under our command's name, its texts as a terminal shows them."""
        parser = super().get_parser()
        parser.prog, parser.epilog = "asr-dro train", EXAMPLE
        for action in parser._actions:
            action.help = plain_words(action.help)
        return parser

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """ESPnet's options and ours."""
        super().add_task_arguments(parser)
        group = parser.add_argument_group("asr-dro related")
        for name, option in OURS.items():
            how = PARSED[option.kind] | ({"choices": option.choices} if option.choices else {})
            if option.help:  # the slots have none: ESPnet adds them from class_choices_list
                group.add_argument(f"--{name}", **how, default=option.default, help=option.help)

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """ESPnet's optional inputs, ``group_ids``, one integer an utterance, and so, where
        ``speech`` are extracted features, ``num_samples``; ``text_aux``, the units of auxiliary
        targets, as integers."""
        ours = ("group_ids", NUM_SAMPLES, INPUT)
        return (*super().optional_data_names(train, inference), *ours)

    @classmethod
    def main(cls, args: argparse.Namespace | None = None, cmd: Sequence[str] | None = None) -> None:
        """Train in this process, or in one for each GPU."""
        if args is None:
            args = cls.get_parser().parse_args(cmd)
        if not args.multiprocessing_distributed or args.ngpu < 2:
            super().main(args)
            return
        cls._judge(args)  # once, before there are children
        with parent_of_children():
            super().main(args)

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        """Train in one process of perhaps several."""
        if is_child():
            run_main(lambda: cls.train_worker(args))  # a line and an exit code, no traceback
        else:
            cls.train_worker(args)

    @classmethod
    def train_worker(cls, args: argparse.Namespace) -> None:
        """Train, after a look at the settings and at what the experiment directory holds."""
        START.end("options")
        early = EarlyLog()
        with early:
            if not is_child():
                cls._judge(args)
            adopt_wandb(args, project=f"ESPnet_{cls.__name__}")
            args.groups = checks.read_groups(args.groups)
            args.model_conf = checks.model_conf_of(args)
            earlier = cls._look_at_experiment(args)
        if not args.collect_stats:  # which may build no model
            keep_tokenizer(args)
            args.early = (early, earlier, extracted.records_of(args))
        START.end("experiment directory")
        super().main_worker(args)

    @classmethod
    def _judge(cls, args: argparse.Namespace) -> None:
        ssl_weights.keep_own_weights(args)
        checks.check_settings(args)
        checks.fill_fold_length(args)

    @classmethod
    def _look_at_experiment(cls, args: argparse.Namespace) -> dict:
        """Refuse what does not go with an earlier run; its settings, if it is to go on."""
        exp, earlier = Path(args.output_dir), {}
        trains = not (args.collect_stats or args.dry_run)
        if args.resume:
            earlier = checks.earlier_config(exp)
            checks.refuse_other_groups(exp, earlier, args.model_conf.get("groups"))
            checks.refuse_other_accumulation(exp, earlier, args.accum_grad)
        elif trains and checks.is_first_process(args):
            checks.make_room(exp, args.override)
        if trains and args.model_conf.get("objective"):
            args.loss_log = GroupLossLog(exp / FILE_NAME, args.groups, fingerprint_of(args))
        return earlier

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetASRModel:
        """Build the stack that ``args`` describes.

        ``args`` is changed: inferred sizes and the resolved checkpoint are written into it, so
        that ``config.yaml`` alone rebuilds the model, in ESPnet's own tools too.

        Raises:
            UserError: sizes that do not fit, a checkpoint that does not fit its slot.
        """
        early, earlier, records = vars(args).pop("early", (None, {}, {}))  # of train_worker
        if early is not None:
            early.tell()
        pretrained = ssl_weights.apply_ssl_checkpoint(args)
        use_whispers_tokens(args)
        for key, value in resolve(vars(args)).items():
            setattr(args, key, value)
        loss_log = vars(args).pop("loss_log", None)  # no part of config.yaml
        model = super().build_model(args)
        use_blank(model.ctc, model.blank_id)  # of ESPnet's own model too
        ssl_weights.load_pretrained(model, pretrained)
        model.freezing = apply_freezing(model, args)
        if uses_adapter(vars(args)) and not getattr(args, "collect_stats", False):
            begin_adapters(model, args, pretrained, earlier)
        elif getattr(args, "init_exp", None):
            initialise_from(model, args)
        model.loss_log, model.token_type = loss_log, args.token_type
        model.feature_records = records
        if not earlier:  # else its weights come with the checkpoint
            extracted.refuse_other_features(model)
        if earlier:
            checks.warn_of_changes(Path(args.output_dir), earlier, args)
        START.end("model")
        return model

    @classmethod
    def build_iter_factory(cls, *, args: argparse.Namespace, mode: str, **given) -> AbsIterFactory:
        """ESPnet's, with a line on the seconds it took."""
        if mode == "train":
            START.end("optimizer")
        factory = super().build_iter_factory(args=args, mode=mode, **given)
        START.end(f"{mode} plan" if args.iterator_type == "task" else f"{mode} data and plan")
        return factory

    @classmethod
    def build_task_iter_factory(
        cls, args: argparse.Namespace, iter_options: IteratorOptions, mode: str
    ) -> AbsIterFactory:
        """Batches as ``sampler`` plans them (``iterator_type: task``); ESPnet's for the plots."""
        if mode == "plot_att":
            return cls.build_sequence_iter_factory(args, iter_options, mode)
        if args.sampler is None:
            raise UserError("iterator_type: task needs a sampler. Set sampler: group_duration.")

        def build_dataset(*arguments) -> AbsDataset:
            dataset = cls.build_dataset(*arguments)
            START.end(f"{mode} data")
            return dataset

        return build_planned_factory(args, iter_options, mode, build_dataset)


def adopt_wandb(args: argparse.Namespace, project: str) -> None:
    """ESPnet's ``--use_wandb`` becomes a tracker of ours: ESPnet's own start ends the training
    where wandb is not installed, and sends by default."""
    if not args.use_wandb:
        return
    args.use_wandb = False
    args.trackers = [*args.trackers, *(["wandb"] if "wandb" not in args.trackers else [])]
    given = {key: getattr(args, f"wandb_{key}") for key in ("project", "entity", "name", "id")}
    given = {"project": project, **{key: value for key, value in given.items() if value}}
    given["allow_val_change"] = args.wandb_allow_val_change
    own = args.tracker_conf.get("wandb") or {}
    args.tracker_conf = {**args.tracker_conf, "wandb": {**given, **own}}
