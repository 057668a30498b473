"""Long audio in overlapping chunks, whose log probabilities are put together as if in one pass.

Every length is rounded to whole frames of the model, so that frame n of a chunk is frame
start / align_to + n of the recording.  Each chunk has a stride on either side that is heard and not
kept: there the model lacks what lies beyond the chunk.  The arithmetic is that of the transformers
library's ``chunk_length_s``: what is kept follows on without gap or overlap, and a decoder sees one
utterance.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.decoding.abs_decoder import to_numpy
from asr_dro_plugin.decoding.sounding import Sounding
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError

STRIDE_SHARE = 6  # a stride of None is a sixth of the chunk on each side


class ChunkError(UserError, ValueError):
    """Lengths of chunk and strides that do not go together, with each other or with the model."""


class Chunk(NamedTuple):
    """Samples ``start`` to ``end`` of a recording, of whose frames ``first`` to ``last`` are kept.

    Ends are not included; ``last`` is None for the last chunk, which keeps all its frames.
    """

    start: int
    end: int
    first: int
    last: int | None


def refuse_uncounted(exact_frames: bool) -> None:
    """Refuse chunks for a stack whose frames no rule counts."""
    if not exact_frames:
        raise UserError(
            "chunk_length needs a stack whose frames are known by rule, which this one's are "
            "not. Leave it out, or cut the audio first (asr-dro segment)."
        )


def plan_chunks(
    num_samples: int,
    chunk_length_s: float,
    stride_s: tuple[float, float] | None,
    align_to: int,
    sample_rate: int,
) -> list[Chunk]:
    """The chunks of a recording; one that is no longer than a chunk is one, an empty one is none.

    Args:
        num_samples: samples of the recording.
        chunk_length_s: seconds of a chunk, strides included.
        stride_s: seconds heard but not kept on the left and on the right; None is a sixth each.
        align_to: samples a frame of the model.
        sample_rate: Hz.

    Raises:
        ChunkError: nothing of a chunk would be kept; names chunk and strides.
    """
    length, left, right = chunk_frames(chunk_length_s, stride_s, align_to, sample_rate)
    return _chunks(num_samples, length, left, right, align_to)


def chunk_frames(
    chunk_length_s: float, stride_s: tuple[float, float] | None, align_to: int, sample_rate: int
) -> tuple[int, int, int]:
    """Frames of a chunk and of its two strides; arguments and errors as ``plan_chunks``."""
    if stride_s is None:
        stride_s = (chunk_length_s / STRIDE_SHARE,) * 2
    length, left, right = (
        round(seconds * sample_rate / align_to) for seconds in (chunk_length_s, *stride_s)
    )
    if min(left, right) < 0 or length <= left + right:
        raise ChunkError(
            f"chunk_length {chunk_length_s:g} s must be longer than its strides "
            f"{stride_s[0]:g} s and {stride_s[1]:g} s together, by {align_to / sample_rate:g} s or "
            "more, and these not below 0. Give a longer chunk or shorter strides."
        )
    return length, left, right


def _chunks(num_samples: int, length: int, left: int, right: int, align_to: int) -> list[Chunk]:
    """Lengths in frames.  All but the first chunk are longer than both strides, by construction."""
    chunks: list[Chunk] = []
    start = 0
    while num_samples and not (chunks and chunks[-1].last is None):
        first = left if start else 0
        end = start * align_to + length * align_to
        if end >= num_samples:
            chunks.append(Chunk(start * align_to, num_samples, first, None))
        else:
            chunks.append(Chunk(start * align_to, end, first, length - right))
        start += length - left - right
    return chunks


def emission_in_chunks(
    emission_of: Callable[[Sequence[np.ndarray]], Emission],
    samples: np.ndarray,
    frame_shift: float,
    chunk_length_s: float,
    stride_s: tuple[float, float] | None = None,
) -> Emission:
    """The emission of one recording of any length, on the CPU, chunk by chunk.

    Digital silence is not heard (``sounding``); its frames are blank.

    Args:
        emission_of: the model, for a list of utterances.
        samples: (N,) at ``SAMPLE_RATE``, long enough for a frame.
        frame_shift: seconds a frame of the model.
        chunk_length_s, stride_s: as in ``plan_chunks``.
    """
    align_to = round(frame_shift * SAMPLE_RATE)
    sounding = Sounding(samples, align_to)
    found = chunked(emission_of, sounding.heard, align_to, chunk_length_s, stride_s)
    whole = sounding.whole(found.log_probs[0], found.blank_id)
    return replace(found, log_probs=whole[None], lengths=np.array([len(whole)]))


def chunked(
    emission_of: Callable[[Sequence[np.ndarray]], Emission],
    samples: np.ndarray,
    align_to: int,
    chunk_length_s: float,
    stride_s: tuple[float, float] | None = None,
) -> Emission:
    """As ``emission_in_chunks``, with all that the recording holds.

    Args:
        align_to: samples a frame of the model.
    """
    chunks = plan_chunks(len(samples), chunk_length_s, stride_s, align_to, SAMPLE_RATE)
    pieces = []
    for chunk in chunks:
        emission = emission_of([samples[chunk.start : chunk.end]])
        pieces.append(to_numpy(emission.log_probs[0, : int(emission.lengths[0])]))
    whole = stitch(pieces, chunks)
    return replace(emission, log_probs=whole[None], lengths=np.array([len(whole)]))


def stitch(pieces: Sequence[np.ndarray], chunks: Sequence[Chunk]) -> np.ndarray:
    """One (T, V) array of what is kept of each chunk's log probabilities (T_n, V).

    Raises:
        ChunkError: a model gave fewer frames for a chunk than are to be kept of it.
    """
    kept = [piece[chunk.first : chunk.last] for piece, chunk in zip(pieces, chunks, strict=True)]
    for piece, chunk in zip(pieces, chunks):
        if chunk.last is not None and len(piece) < chunk.last:
            raise ChunkError(
                f"The model gives {len(piece)} frames for a chunk of {chunk.end - chunk.start} "
                f"samples, and {chunk.last} are to be kept. Give a longer right stride."
            )
    return np.concatenate(kept)
