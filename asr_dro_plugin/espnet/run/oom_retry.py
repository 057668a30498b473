"""Work on a batch, in more and smaller pieces each time that it does not fit into memory."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.process.randomness import RandomState

Batch = Mapping[str, torch.Tensor | Sequence[str]]

_WORDS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory, of the GPU or of the host, was exhausted."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


def split(batch: Batch, num_pieces: int) -> Iterator[Batch]:
    """Parts of a batch by utterance, sizes as equal as may be; ``utt_id`` is split with it."""
    size = len(batch["utt_id"])
    bounds = [round(size * piece / num_pieces) for piece in range(num_pieces + 1)]
    for start, end in zip(bounds, bounds[1:], strict=False):
        yield {key: value[start:end] for key, value in batch.items()}


def in_fitting_pieces[Result](
    work: Callable[[int], Result], batch: Batch, first: int = 1
) -> tuple[Result, int]:
    """``work(num_pieces)`` with the smallest number of pieces that fits into memory.

    The random generators are put back before each attempt.  What a failed attempt left behind
    (gradients) is for ``work`` to clear at its beginning.

    Args:
        work: does everything with the batch in the number of pieces that it is given.
        first: the number of pieces to begin with.

    Returns:
        The result and the number of pieces.

    Raises:
        UserError: one utterance alone does not fit; it is named.
    """
    start = RandomState.now()
    size = len(batch["utt_id"])
    num_pieces = min(first, size)
    while True:
        try:
            return work(num_pieces), num_pieces
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        # Outside of the handler: it would keep the failed attempt's tensors alive.
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        if num_pieces >= size:
            raise UserError(_too_long(batch, reason))
        num_pieces = min(2 * num_pieces, size)
        start.restore()


def _too_long(batch: Batch, reason: str) -> str:
    """The line for the longest utterance of a batch whose single utterances do not fit."""
    lengths = batch["speech_lengths"].tolist() if "speech_lengths" in batch else []
    longest = max(range(len(lengths)), key=lengths.__getitem__) if lengths else 0
    size = f" ({lengths[longest]} samples)" if lengths else ""
    return (
        f"Utterance {batch['utt_id'][longest]}{size} does not fit into memory even alone "
        f"({reason}). Remove it (stage 4: --max_wav_duration), or take "
        "a smaller model."
    )
