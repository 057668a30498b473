"""The training part of one epoch, from whichever batch it was left at."""

import logging
import time
from collections.abc import Iterator, Sequence

from espnet2.train.reporter import SubReporter

from asr_dro_plugin.base.phase_timer import START
from asr_dro_plugin.espnet.batches.loaders import batches_from, next_batch, num_batches
from asr_dro_plugin.espnet.process.signals import start_workers
from asr_dro_plugin.espnet.run.reporter import latest_values
from asr_dro_plugin.espnet.run.run_base import RunBase
from asr_dro_plugin.espnet.run.run_records import RunRecords
from asr_dro_plugin.espnet.run.run_saving import RunSaving

NOTE_EVERY = 10  # steps between looks at the loss for the progress bar


class TrainingEpoch:
    """Runs the batches of an epoch; everything that outlives it is the run's."""

    def __init__(
        self, run: RunBase, sub: SubReporter, records: RunRecords, saving: RunSaving
    ) -> None:
        self.run, self.sub, self.records, self.saving = run, sub, records, saving
        self._step_began = time.perf_counter()

    def train(self, unfinished: dict) -> None:
        """Train on the batches that are left.

        Args:
            unfinished: state of a stopped epoch, whose generators go on where they were.
        """
        run = self.run
        if not unfinished:
            self._tell_group_weights()
        iterator = batches_from(run.train_iter_factory, run.position.epoch, run.position.batch)
        left = num_batches(iterator)
        total = None if left is None else left + run.position.batch
        run.begin_progress(total)
        source = start_workers(iterator)
        if unfinished:
            # Only now: making the iterator has drawn from the generators, as it had then.
            unfinished["random"].restore()
        run.model.train()
        self._train_batches(source, self._log_interval(total))

    def _tell_group_weights(self) -> None:
        """Where q acts on the sampling, the epoch's plan is drawn from q as it stands now."""
        objective = self.run.objective
        if getattr(objective, "acts_on", "loss") != "loss":
            self.run.train_iter_factory.group_weights = objective.group_weights.tolist()

    def _log_interval(self, total: int | None) -> int:
        given = self.run.options.log_interval
        if given is not None:
            return given
        return max(total // 20, 10) if total is not None else 100

    def _train_batches(self, source: Iterator, log_interval: int) -> None:
        run = self.run
        batches = self.sub.measure_iter_time(source, "iter_time")
        self._step_began = time.perf_counter()
        while True:
            self.saving.between_batches()
            item = next_batch(batches)
            (num_left,) = run.ranks.sum_host([item is not None])
            if not num_left:
                return
            self._step(*(item or ([], {})))
            if run.position.batch % log_interval == 0:
                self._log(log_interval)

    def _step(self, utt_ids: Sequence[str], batch: dict) -> None:
        """One batch, and the optimizer step where it is the last of an accumulation."""
        run = self.run
        run.seen.add(utt_ids, batch)
        if run.options.no_forward_run:
            run.position.has_updated = True
        else:
            self._learn(utt_ids, batch)
        run.position.batch += 1
        run.position.steps += 1
        self.sub.next()
        START.end("first step", last=True)
        run.advance(self._note() if run.position.batch % NOTE_EVERY == 0 else "")

    def _learn(self, utt_ids: Sequence[str], batch: dict) -> None:
        run, sub = self.run, self.sub
        run.freeze()
        group_ids = batch["group_ids"].reshape(-1).tolist() if "group_ids" in batch else []
        run.updater.note_batch(utt_ids, group_ids)
        result = run.stepper.backward(utt_ids, batch, sub.measure_time)
        stats, weight = result.stats, result.weight
        if run.ranks.world_size > 1:
            stats, weight = run.ranks.mean_stats(stats, weight)
        sub.register(stats, weight)
        run.bad_losses.add(result.bad_B, utt_ids, group_ids)
        if (run.position.batch + 1) % run.options.accum_grad == 0:
            self._update()

    def _update(self) -> None:
        run, sub = self.run, self.sub
        run.stepper.agree_on_failure()
        before = run.updater.updates
        sub.register(run.updater.update(sub.get_total_count(), sub.measure_time))
        run.position.updates = run.updater.updates
        run.position.has_updated |= run.updater.updates > before
        now = time.perf_counter()
        sub.register({**run.updater.learning_rates(), "train_time": now - self._step_began})
        self._step_began = now

    def _log(self, log_interval: int) -> None:
        run = self.run
        logging.info(self.sub.log_message(-log_interval))
        values = latest_values(self.sub, log_interval)
        self.records.figures("train", values, self.sub.get_total_count())
        run.bad_losses.report(run.groups, run.ranks.gather)

    def _note(self) -> str:
        """For example ``epoch 3/30 loss 41.2``: the loss of the latest step."""
        losses = self.sub.stats.get("loss")
        loss = f" loss {losses[-1].value:.1f}" if losses else ""
        return f"epoch {self.run.position.epoch}/{self.run.options.max_epoch}{loss}"
