"""One batch test: whether a YAML's stack can learn a few utterances by heart.

Model, objective and optimizer are built as training builds them, by ESPnet's own ``main_worker``;
what is run in the trainer's place takes a few utterances of a planned batch and trains on them
alone, without what regularises and with one learning rate, until greedy decoding makes no
error.  A stack that cannot do that has a fault, and no amount of data will mend it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.utils.types import float_or_none

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.onebatch.overfitting import OneBatchOptions, Overfitting, interruptible
from asr_dro_plugin.espnet.onebatch.small_batch import first_batch
from asr_dro_plugin.espnet.onebatch.unregularised import (
    plain_model,
    plain_optimizers,
    plain_options,
)
from asr_dro_plugin.espnet.run.trainer import DROTrainer
from asr_dro_plugin.espnet.start.checks import has_checkpoint
from asr_dro_plugin.espnet.task import DROASRTask
from asr_dro_plugin.reporting.onebatch import (
    JSON_NAME,
    PICTURE_NAME,
    OneBatchRun,
    beginning,
    ending,
    write_files,
)
from asr_dro_plugin.stack.frames import frame_counter

# Name, type, default and help of the test's own options.
OPTIONS = (
    ("num_utts", int, 4, "Utterances to learn: the shortest of a planned batch"),
    ("max_updates", int, 1000, "Give up after so many updates of the optimizer"),
    ("max_seconds", float, 600.0, "Give up after so many seconds of training"),
    (
        "learning_rate", float_or_none, None,
        "Instead of the configuration's (its schedule's highest, else its optimizer's)",
    ),
)  # fmt: skip


class OneBatchTrainer(DROTrainer):
    """Learns a few utterances of one batch instead of the training set."""

    options = OneBatchOptions

    @classmethod
    def run(
        cls,
        *,
        model: ESPnetASRModel,
        optimizers: Sequence[torch.optim.Optimizer],
        train_iter_factory: AbsIterFactory,
        trainer_options: OneBatchOptions,
        **_unused,
    ) -> None:
        """Learn, and say whether it was learned; arguments as ESPnet's ``Trainer.run``.

        Raises:
            UserError: it was not.
            KeyboardInterrupt: it was interrupted, and has told what it had.
        """
        options = trainer_options
        frames, config = model.frame_counter, options.config or "the command line"
        told, batch = first_batch(train_iter_factory, model, options.num_utts, frames)
        off = [*options.turned_off, *plain_model(model), *plain_optimizers(optimizers)]
        run = OneBatchRun(config=config, off=off, **_counts(model), **told)
        of_optimizer = ["the optimizer's", optimizers[0].param_groups[0]["lr"]]
        run.rate_from, rate = options.first_rate or of_optimizer
        run.rates.append((0, rate, "first"))
        with interruptible():
            try:
                print("\n".join(beginning(run)), flush=True)
                Overfitting(run, model, optimizers, batch, options).learn()
            except KeyboardInterrupt:
                run.ended = "interrupted"
        cls._finish(run, options.output_dir)

    @staticmethod
    def _finish(run: OneBatchRun, directory: str) -> None:
        write_files(run, directory)
        print("\n".join(ending(run)))
        print(f"Details: {Path(directory) / JSON_NAME}, curves: {PICTURE_NAME}", flush=True)
        if run.ended == "interrupted":
            raise KeyboardInterrupt
        if not run.reached:
            raise UserError(f"{run.config} did not learn one batch; the lines above say more.")


class OneBatchTask(DROASRTask):
    """``DROASRTask`` whose trainer learns one batch; nothing of an experiment is touched."""

    trainer = OneBatchTrainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The training's options and the test's."""
        super().add_task_arguments(parser)
        group = parser.add_argument_group("one batch test")
        for name, kind, default, text in OPTIONS:
            group.add_argument(f"--{name}", type=kind, default=default, help=text)

    @classmethod
    def main(cls, args: argparse.Namespace | None = None, cmd: Sequence[str] | None = None) -> None:
        """Test in this process, on one device."""
        if args is None:
            args = cls.get_parser().parse_args(cmd)
        _refuse_impossible(args)
        args.output_dir = args.output_dir or f"exp/onebatchtest_{Path(args.config or '').stem}"
        args.ngpu, args.multiprocessing_distributed = min(args.ngpu, 1), False
        args.num_workers, args.num_att_plot, args.use_wandb = 0, 0, False
        args.resume = args.collect_stats = args.dry_run = False
        super().main(args)

    @classmethod
    def _look_at_experiment(cls, args: argparse.Namespace) -> dict:
        """Refuse an experiment's own directory; take the regularisation out."""
        if has_checkpoint(Path(args.output_dir)):
            raise UserError(
                f"{args.output_dir} holds a training run, which a one batch test leaves alone. "
                "Give another --output_dir."
            )
        for name in (JSON_NAME, PICTURE_NAME):  # of a test before; this one may be interrupted
            Path(args.output_dir, name).unlink(missing_ok=True)
        args.first_rate = _first_rate(args)
        args.turned_off = plain_options(args)
        return {}

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> ESPnetASRModel:
        """The model that training would begin with, and how many frames it gives."""
        model = super().build_model(args)
        model.frame_counter = frame_counter(vars(args))
        return model

    @classmethod
    def build_iter_factory(cls, *, mode: str, **given) -> AbsIterFactory | None:
        """Of the training data only: nothing is validated."""
        return super().build_iter_factory(mode=mode, **given) if mode == "train" else None


def _counts(model: ESPnetASRModel) -> dict[str, int]:
    """Parameters that learn, and all.

    Raises:
        UserError: nothing can be learned, for every parameter is frozen.
    """
    learning = sum(param.numel() for param in model.parameters() if param.requires_grad)
    if not learning:
        raise UserError("No parameter learns: freeze_param or freeze_cnn freezes them all.")
    return {"learning": learning, "parameters": sum(p.numel() for p in model.parameters())}


def _first_rate(args: argparse.Namespace) -> list:
    """[what says so, the first learning rate]: the option's, else the highest of a schedule that
    names it; [] for the optimizer's."""
    if args.learning_rate is not None:
        return ["--learning_rate", args.learning_rate]
    peak = (args.scheduler_conf or {}).get("max_lr") if args.scheduler is not None else None
    return [] if peak is None else [f"max_lr of {args.scheduler}", float(peak)]


def _refuse_impossible(args: argparse.Namespace) -> None:
    for name, _, _, _ in OPTIONS[:3]:
        if getattr(args, name) <= 0:
            raise UserError(f"--{name} is {getattr(args, name)}, it must be above 0.")
    if args.learning_rate is not None and args.learning_rate < 0:
        raise UserError(f"--learning_rate is {args.learning_rate}, it must not be negative.")
