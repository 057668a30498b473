"""Emissions of a whole set in one file on the disk, for work that decodes them many times."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from asr_dro_plugin.emissions import Emission

FILE = "log_probs.float16"


class EmissionStore:
    """Log probabilities in half precision (three digits; 2 bytes a frame and symbol).

    Memory stays flat: a batch is in it at a time.

    Args:
        folder: where the file is written; it is the caller's to remove.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.path = Path(folder) / FILE
        self.path.touch()
        self._places: list[tuple[str, int, int]] = []  # utterance, first frame, frames
        self._like: Emission | None = None

    def __len__(self) -> int:
        return len(self._places)

    @property
    def num_frames(self) -> int:
        """Frames of all utterances."""
        return sum(length for _, _, length in self._places)

    def add(self, utt_ids: Sequence[str], emission: Emission) -> None:
        """Append a batch."""
        arrays = (emission.log_probs, emission.lengths)
        log_probs, lengths = (a if isinstance(a, np.ndarray) else a.cpu().numpy() for a in arrays)
        begin = self.num_frames
        with self.path.open("ab") as stream:
            for utt_id, frames, length in zip(utt_ids, log_probs, lengths.tolist(), strict=True):
                stream.write(frames[:length].astype(np.float16).tobytes())
                self._places.append((utt_id, begin, length))
                begin += length
        empty = np.zeros((0, 0, log_probs.shape[2]), np.float32)
        self._like = Emission(
            empty, np.zeros(0, int), emission.frame_shift, emission.blank_id, emission.tokens
        )

    def batches(self, seconds: float) -> Iterator[tuple[list[str], Emission]]:
        """Utterances, longest first, in batches of at most so many padded seconds."""
        if self._like is None:
            return
        most = seconds / self._like.frame_shift
        batch: list[tuple[str, int, int]] = []
        for place in sorted(self._places, key=lambda place: (-place[2], place[0])):
            if batch and batch[0][2] * (len(batch) + 1) > most:
                yield self._read(batch)
                batch = []
            batch.append(place)
        yield self._read(batch)

    def _read(self, batch: list[tuple[str, int, int]]) -> tuple[list[str], Emission]:
        vocab = self._like.log_probs.shape[2]
        lengths = np.array([length for _, _, length in batch])
        log_probs = np.zeros((len(batch), int(lengths.max()), vocab), np.float32)
        for row, (_, begin, length) in enumerate(batch):
            values = np.fromfile(self.path, np.float16, length * vocab, offset=2 * begin * vocab)
            log_probs[row, :length] = values.reshape(length, vocab)
        like = self._like
        return [utt_id for utt_id, _, _ in batch], Emission(
            log_probs, lengths, like.frame_shift, like.blank_id, like.tokens
        )
