"""ESPnet's trainer with its progress made visible."""

import pickle
from collections.abc import Iterable, Iterator

from espnet2.train.reporter import SubReporter
from espnet2.train.trainer import Trainer

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.progress import Progress

NOTE_EVERY = 10  # steps between looks at the loss: a look waits for the GPU


class DROTrainer(Trainer):
    """``Trainer`` that reports steps done of all steps to whoever watches the run."""

    _progress: Progress | None = None

    @staticmethod
    def resume(checkpoint, *args, **kwargs) -> None:
        """Restore a run; see ``Trainer.resume``.

        Raises:
            UserError: a checkpoint that a kill or a full disk has cut off.
        """
        try:
            Trainer.resume(checkpoint, *args, **kwargs)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"{checkpoint} cannot be resumed from ({reason}). Delete it to train anew, or go "
                "on from a saved epoch beside it with --init_exp and another --asr_exp."
            ) from None

    @classmethod
    def run(cls, model, optimizers, schedulers, *args, **kwargs) -> None:
        """Train; see ``Trainer.run``."""
        cls._progress = None
        try:
            super().run(model, optimizers, schedulers, *args, **kwargs)
        finally:
            if cls._progress is not None:
                cls._progress.__exit__(None, None, None)
                cls._progress = None

    @classmethod
    def train_one_epoch(cls, model, iterator, reporter, options, *args, **kwargs) -> bool:
        """One epoch; see ``Trainer.train_one_epoch``."""
        watched = cls._watched(iterator, reporter, options.max_epoch)
        return super().train_one_epoch(
            *args, model=model, iterator=watched, reporter=reporter, options=options, **kwargs
        )

    @classmethod
    def _watched(cls, iterator: Iterable, reporter: SubReporter, max_epoch: int) -> Iterator:
        """``iterator`` itself, each step counted once it has been taken."""
        steps = len(iterator) if hasattr(iterator, "__len__") else 0
        epoch = reporter.epoch
        if cls._progress is None:
            cls._progress = Progress(max_epoch * steps, "train")
            cls._progress.__enter__()
            cls._progress.advance((epoch - 1) * steps)
        for step, batch in enumerate(iterator, 1):
            yield batch
            note = cls._note(epoch, max_epoch, reporter) if step % NOTE_EVERY == 0 else None
            cls._progress.advance(1, note)

    @staticmethod
    def _note(epoch: int, max_epoch: int, reporter: SubReporter) -> str:
        """For example ``epoch 3/30 loss 41.2``: the loss of the latest step."""
        losses = reporter.stats.get("loss")
        loss = f" loss {losses[-1].value:.1f}" if losses and hasattr(losses[-1], "value") else ""
        return f"epoch {epoch}/{max_epoch}{loss}"
