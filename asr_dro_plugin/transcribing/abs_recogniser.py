"""The contract of a recogniser: speech in, an ``Emission`` of numpy arrays out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.decoding.chunks import chunked, refuse_uncounted
from asr_dro_plugin.emissions import Emission


class OutOfMemory(Exception):
    """A batch that does not fit into the device's memory; a smaller one may."""


class AbsRecogniser(ABC):
    """A model in evaluation mode with what is needed to read its output.

    Attributes:
        tokens: the V symbols in column order.
        token_type: ``char``, ``bpe``, ``word`` or ``hugging_face``.
        blank_id: the blank's column.
        frame_shift: seconds from one frame to the next.
        exact_frames: whether a rule counts the frames, without which nothing is put together from
            chunks.
        min_samples: the fewest samples at ``SAMPLE_RATE`` that give a frame.
        longest: seconds that the model takes at once; None where it takes any.
        depends_on_company: whether an utterance's log probabilities depend on what is in the batch
            with it, and on where it is cut.
    """

    tokens: Sequence[str]
    token_type: str
    blank_id: int
    frame_shift: float
    exact_frames: bool
    min_samples: int
    longest: float | None
    depends_on_company: bool = False

    @abstractmethod
    def emission(self, speech: Sequence[np.ndarray]) -> Emission:
        """Log probabilities of utterances.

        Args:
            speech: B float32 arrays (num_samples,) at ``SAMPLE_RATE``, in -1..1, each of
                ``min_samples`` or more, of any length.

        Returns:
            numpy arrays, (B, T, V) float32 and (B,).

        Raises:
            OutOfMemory: the batch is too large for the device.
        """

    def is_too_long(self, speech: Sequence[np.ndarray]) -> bool:
        """Whether one of the utterances is longer than the model takes at once."""
        return bool(self.longest) and max(map(len, speech)) > self.longest * SAMPLE_RATE

    def emission_in_chunks(self, speech: Sequence[np.ndarray]) -> Emission:
        """``emission`` of each by itself, none longer than ``longest`` at once.

        Raises:
            UserError: the frames cannot be counted.
        """
        refuse_uncounted(self.exact_frames)
        shift = self.frame_shift
        length = shift * int(self.longest / shift + 1e-6)  # chunks are of whole frames
        hop = round(shift * SAMPLE_RATE)
        return stacked([chunked(self.emission, samples, hop, length) for samples in speech])


def stacked(emissions: Sequence[Emission]) -> Emission:
    """Emissions of one utterance each as one of all, padded with zeros."""
    rows = [each.log_probs[0] for each in emissions]
    lengths = np.array([len(row) for row in rows])
    log_probs = np.zeros((len(rows), lengths.max(), rows[0].shape[1]), np.float32)
    for number, row in enumerate(rows):
        log_probs[number, : len(row)] = row
    return replace(emissions[0], log_probs=log_probs, lengths=lengths)


def padded(speech: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(B, N) float32 with zeros behind each utterance, and (B,) int64 its samples."""
    lengths = np.array([len(samples) for samples in speech], np.int64)
    rows = np.zeros((len(speech), int(lengths.max())), np.float32)
    for row, samples in zip(rows, speech, strict=True):
        row[: len(samples)] = samples
    return rows, lengths
