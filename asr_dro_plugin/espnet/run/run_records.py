"""What a run writes for its readers beside the log and the models: figures, examples, versions."""

import time
from collections.abc import Mapping

from asr_dro_plugin.espnet.run.augmentation import AugmentationLog
from asr_dro_plugin.espnet.run.run_base import RunBase
from asr_dro_plugin.espnet.run.tracker_adapters import start_trackers
from asr_dro_plugin.espnet.run.trackers import Trackers
from asr_dro_plugin.espnet.start.versions import Costs, record_versions
from asr_dro_plugin.experiment.metrics import Record


class RunRecords:
    """The trackers of a run and what else is recorded; only the first rank has any."""

    def __init__(self, run: RunBase) -> None:
        self.run, self.trackers, self.augmentation = run, Trackers({}), AugmentationLog(run)
        self.costs: Costs | None = None

    def start(self) -> None:
        """Start the trackers from where the run stands; note the versions of what trains."""
        run, options, unfinished = self.run, self.run.options, self.run.unfinished
        if not run.ranks.is_first:
            return
        names = [n for n in options.trackers if n != "tensorboard" or options.use_tensorboard]
        batches = unfinished["sub_reporter"]["total_count"] if unfinished else 0
        self.trackers = start_trackers(
            run.output_dir, names, options.tracker_conf, run.position.epoch, batches
        )
        record_versions(run.output_dir, run.position.updates)
        self.costs = Costs(run.output_dir)

    def figures(
        self, phase: str, values: Mapping[str, float], batches: int, whole: bool = False
    ) -> None:
        """Give figures to the trackers, those of training with what was left out so far: steps
        without a finite gradient, utterances without a finite loss.

        Args:
            batches: of all epochs; ``whole``: means of the epoch, not of the latest batches.
        """
        position = self.run.position
        if phase == "train":
            passed_over = sum(self.run.bad_losses.by_group.values())
            values = {
                **values, "skipped_steps": self.run.skipped.total, "passed_over": passed_over
            }  # fmt: skip
        self.trackers.scalars(
            Record(phase, position.epoch, position.updates, batches, whole, time.time(), values)
        )

    def epoch(self) -> None:
        """The figures of the epoch that the reporter has finished."""
        reporter = self.run.reporter
        batches = reporter.get_value("train", "total_count")
        for phase in ("train", "valid"):
            self.figures(phase, reporter.values_of(phase), batches, whole=True)
        if self.costs is not None:
            self.costs.record()

    def close(self) -> None:
        """The run is over, however it ended."""
        self.trackers.close()
        if self.costs is not None:
            self.costs.record()

    @property
    def summary_writer(self):
        """TensorBoard's writer of training, for ESPnet's attention plots; None without it."""
        board = self.trackers.active.get("tensorboard")
        return board.writers["train"] if board is not None else None
