"""What an epoch leaves behind: log lines, curves, model files and links, a checkpoint."""

import logging

from asr_dro_plugin.espnet.run.averaging import (
    average_nbest,
    prune_epochs,
    save_epoch,
    update_best_links,
)
from asr_dro_plugin.espnet.run.run_base import RunBase
from asr_dro_plugin.espnet.run.run_records import RunRecords


class EpochEnd:
    """Files and curves of a run's epochs; only the first rank calls it.

    The order is such that a kill at any point loses nothing: the model of the epoch, then the
    checkpoint that counts the epoch as done, then links and pruning, which resuming repeats.
    """

    def __init__(self, run: RunBase, records: RunRecords) -> None:
        self.run, self.options, self.records = run, run.options, records
        self._warned = False

    @property
    def keep(self) -> list[int]:
        """Sizes of the averages to make, at least one."""
        keep = self.options.keep_nbest_models
        return [keep] if isinstance(keep, int) else (keep or [1])

    def report(self) -> None:
        """The epoch's figures to the log, the pictures and the trackers."""
        reporter = self.run.reporter
        logging.info(reporter.log_message())
        if self.options.use_matplotlib:
            reporter.matplotlib_plot(self.run.output_dir / "images")
        self.records.epoch()

    def save_model(self, epoch: int) -> None:
        """Write ``<epoch>epoch.pth``."""
        save_epoch(self.run.output_dir, self.run.model_state(), epoch)

    def report_group_weights(self) -> None:
        """How the objective fared in this epoch; its losses for a run that refers to this one."""
        log, loss_log = self.run.group_log, getattr(self.run.model, "loss_log", None)
        if not log:
            return
        if loss_log is not None:
            loss_log.add(self.run.position.steps, log)
        if not log["num_updates"][0]:
            return
        bound = log["stability"][0] if log["stability"] else None
        logging.info(
            "Group weights: %d updates, %d changes held back by the cap, running mean of the group "
            "losses %.4g%s", log["num_updates"][0], log["num_clipped"][0], log["mean_loss"][0],
            "" if bound is None else f", stability {bound:.3g} (settles below 2)",
        )  # fmt: skip
        if bound is not None and bound >= 2 and not self._warned:
            self._warned = True
            logging.warning(
                "The step size is too large for these losses (stability %.3g, which must stay "
                "below 2): the group weights will swing. Lower step_size or step_size_rel, or "
                "raise the smoothing.", bound,
            )  # fmt: skip

    def tidy(self, epoch: int) -> None:
        """Links to the best epochs, averages on the way, and no more models than asked for."""
        criteria, reporter = self.options.best_model_criterion, self.run.reporter
        improved = update_best_links(self.run.output_dir, reporter, criteria, epoch)
        if improved:
            logging.info("The best model has been updated: %s", ", ".join(improved))
        else:
            logging.info("There are no improvements in this epoch")
        interval = self.options.nbest_averaging_interval
        if interval > 0 and epoch % interval == 0:
            self.average(suffix=f"till{epoch}epoch")
        removed = prune_epochs(self.run.output_dir, reporter, criteria, self.keep, epoch)
        if removed:
            names = ", ".join(str(path) for path in removed)
            logging.info("The model files were removed: %s", names)

    def average(self, suffix: str | None = None) -> None:
        """The mean of the n best epochs of each criterion."""
        criteria = self.options.best_model_criterion
        average_nbest(self.run.output_dir, self.run.reporter, criteria, self.keep, suffix)
