"""ESPnet's trainer as its task knows it; the work is done by ``training_run.TrainingRun``."""

import argparse
import dataclasses
import logging
from collections.abc import Mapping, Sequence

from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.trainer import Trainer, TrainerOptions
from espnet2.utils.build_dataclass import build_dataclass

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.process.distributed import Ranks
from asr_dro_plugin.espnet.run.seen_data import read_corpora
from asr_dro_plugin.espnet.run.training_run import TrainingRun


@dataclasses.dataclass
class DROTrainerOptions(TrainerOptions):
    """ESPnet's options and ours.

    Attributes:
        save_interval_steps: batches between checkpoints within an epoch; 0 is none.
        keep_checkpoints: newest checkpoints to keep, at least two.
        max_skipped_steps: optimizer steps in a row without a finite gradient that end training.
        probe_memory: try the longest planned batch before the first step.
        sanity_batches: batches of validation to try before the first step.
        augmentation_examples, augmentation_interval: see ``augmentation.AugmentationLog``.
        trackers, tracker_conf: see ``tracker_adapters``.
        train_data_path_and_name_and_type: ESPnet's, to find ``utt2corpus``.
    """

    save_interval_steps: int
    keep_checkpoints: int
    max_skipped_steps: int
    probe_memory: bool
    sanity_batches: int
    augmentation_examples: int
    augmentation_interval: int
    trackers: Sequence
    tracker_conf: Mapping
    train_data_path_and_name_and_type: Sequence


class DROTrainer(Trainer):
    """``Trainer`` that loses nothing and knows groups; see ``TrainingRun``.

    ESPnet's ``run`` is one function that saves in place and only at the end of an epoch: it is
    replaced as a whole, its options and files are kept.
    """

    options = DROTrainerOptions

    @classmethod
    def build_options(cls, args: argparse.Namespace) -> DROTrainerOptions:
        """Options from the task's arguments."""
        return build_dataclass(cls.options, args)

    @classmethod
    def run(
        cls,
        *,
        plot_attention_iter_factory: AbsIterFactory | None,
        trainer_options: DROTrainerOptions,
        distributed_option: DistributedOption,
        **parts,
    ) -> None:
        """Train; arguments as ESPnet's ``Trainer.run``, of which ``parts`` are ``RunBase``'s."""
        refuse_unsupported(trainer_options, distributed_option)
        data = trainer_options.train_data_path_and_name_and_type or ()
        texts = [path for path, name, _ in data if name == "text"]
        TrainingRun(
            options=trainer_options,
            ranks=Ranks(distributed_option.distributed),
            utt2corpus=read_corpora(texts[0]) if texts else None,
            after_validation=cls._plotter(plot_attention_iter_factory),
            **parts,
        ).train()

    @classmethod
    def _plotter(cls, factory: AbsIterFactory | None):
        """ESPnet's attention plots of an epoch, where there are any."""
        if factory is None:
            return None

        def plot(run: TrainingRun) -> None:
            with run.reporter.observe("att_plot") as sub:
                cls.plot_attention(
                    model=run.model,
                    output_dir=run.output_dir / "att_ws",
                    summary_writer=run.records.summary_writer,
                    iterator=factory.build_iter(run.position.epoch),
                    reporter=sub,
                    options=run.options,
                )

        return plot


def refuse_unsupported(options: DROTrainerOptions, distributed: DistributedOption) -> None:
    """Settings of ESPnet's trainer that this one has no use for.

    Raises:
        UserError: one that would change what is trained.
    """
    if options.sharded_ddp:
        raise UserError("sharded_ddp needs fairscale, which is unmaintained. Set it to false.")
    if distributed.ngpu > 1 and not distributed.distributed:
        raise UserError(
            f"--ngpu {distributed.ngpu} needs a process a GPU: --multiprocessing_distributed true."
        )
    if options.create_graph_in_tensorboard:
        logging.warning("create_graph_in_tensorboard is ignored by this trainer.")
    if "wandb" in options.trackers and options.wandb_model_log_interval > 0:
        logging.warning("wandb_model_log_interval is ignored: models are not sent to wandb.")
