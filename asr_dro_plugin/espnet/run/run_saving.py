"""When and how a training run saves itself, and how it goes on from what it saved."""

import logging

from asr_dro_plugin.errors import TrainingStopped
from asr_dro_plugin.espnet.process.randomness import RandomState
from asr_dro_plugin.espnet.process.training_state import Position, restore, state_of
from asr_dro_plugin.espnet.run.reporter import sub_reporter_state
from asr_dro_plugin.espnet.run.run_base import RunBase
from asr_dro_plugin.espnet.start.adapters import left_out_of


class RunSaving:
    """The checkpoints of one run: every ``save_interval_steps``, on signals, at epoch ends."""

    def __init__(self, run: RunBase) -> None:
        self.run = run
        self.last_saved = -1

    def between_batches(self) -> None:
        """Save where the interval or a signal asks for it.

        Raises:
            TrainingStopped: a signal asked to stop; everything is on the disk.
            DiskFull: an earlier checkpoint could not be written.
        """
        run, request = self.run, self.run.request
        run.on_first_rank(run.store.check)
        stop, save = run.ranks.sum_host([request.stop is not None, request.save])
        if not (stop or save or self._is_due()) or not self._may_save():
            return
        request.save = False
        self.save(wait=bool(stop))
        if stop:
            position = run.position
            raise TrainingStopped(
                f"A signal stopped training at epoch {position.epoch}, batch {position.batch}. "
                f"All of it is saved in {run.output_dir}; the same command goes on from there."
            )

    def _is_due(self) -> bool:
        interval, steps = self.run.options.save_interval_steps, self.run.position.steps
        return bool(interval) and steps > 0 and steps % interval == 0 and steps != self.last_saved

    def _may_save(self) -> bool:
        """Alone always; several ranks hold gradients of their own until the optimizer step."""
        run, position = self.run, self.run.position
        at_update = position.batch % run.options.accum_grad == 0
        return run.ranks.world_size == 1 or at_update or position.is_trained

    def save(self, wait: bool = False, epoch_is_over: bool = False) -> None:
        """Write a checkpoint of this moment, in the background unless ``wait``."""
        run = self.run
        run.bad_losses.report(run.groups, run.ranks.gather)
        if run.ranks.world_size > 1:
            self._first_rank_takes_all()
        position = run.position
        if epoch_is_over:
            position = Position(position.epoch + 1, steps=position.steps, updates=position.updates)
        randoms = run.ranks.gather(RandomState.now().state_dict())
        seen = run.seen_by_all()
        unfinished = None if epoch_is_over else self._unfinished(randoms)
        factory = run.train_iter_factory
        if run.ranks.is_first:
            state = state_of(
                run,
                run.model_state(),
                position,
                seen=seen.state_dict(),
                iterator=factory.state_dict() if hasattr(factory, "state_dict") else None,
                num_split=run.stepper.num_split,
                unfinished=unfinished,
            )
        run.on_first_rank(lambda: run.store.save(state, position.steps, sync=wait))
        self.last_saved = position.steps

    def _unfinished(self, randoms: list[dict]) -> dict:
        run = self.run
        return {
            "random": randoms,
            "sub_reporter": sub_reporter_state(run.sub),
            "group_log": run.group_log,
        }

    def _first_rank_takes_all(self) -> None:
        """Left-over gradients are summed into the first rank's; running statistics are its own."""
        run = self.run
        run.ranks.share_buffers(run.model)
        run.ranks.sum_gradients(run.model.parameters(), run.options.ddp_comm_hook)
        if not run.ranks.is_first:
            run.model.zero_grad(set_to_none=True)

    def resume(self) -> None:
        """Go on from the newest whole checkpoint, if that is asked for and there is one."""
        run, options = self.run, self.run.options
        if not options.resume:
            return
        loaded = run.store.load("cpu")  # what belongs on a GPU is copied there by its owner
        if loaded is None:
            return
        state, path = loaded
        run.position, ours = restore(run, state, left_out_of(run.model))
        run.updater.updates = run.position.updates
        self.last_saved = run.position.steps
        if ours:
            self._resume_ours(ours)
        if not run.ranks.is_first:
            run.model.zero_grad(set_to_none=True)
        logging.info(
            "The training was resumed using %s: epoch %d, batch %d; %d steps done", path,
            run.position.epoch, run.position.batch, run.position.steps,
        )  # fmt: skip

    def _resume_ours(self, ours: dict) -> None:
        """What ESPnet's own checkpoints do not hold."""
        run = self.run
        if run.ranks.is_first:
            run.seen.load_state_dict(ours["seen"])
        if ours["iterator"] is not None and hasattr(run.train_iter_factory, "load_state_dict"):
            run.train_iter_factory.load_state_dict(ours["iterator"])
        run.stepper.num_split = ours["num_split"]
        unfinished = ours["unfinished"]
        if unfinished is not None:
            run.unfinished = {**unfinished, "random": self._own_random(unfinished["random"])}

    def _own_random(self, randoms: list[dict]) -> RandomState:
        ranks = self.run.ranks
        same = len(randoms) == ranks.world_size
        if not same:
            logging.warning(
                "The checkpoint is of %d processes, this run has %d: it goes on with other random "
                "numbers and batches.", len(randoms), ranks.world_size,
            )  # fmt: skip
        return RandomState.from_state_dict(randoms[ranks.rank if same else 0])
