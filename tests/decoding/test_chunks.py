"""Chunks stitched in log-probability space are what one pass over the whole recording gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.decoding.chunks import ChunkError, emission_in_chunks, plan_chunks, stitch
from asr_dro_plugin.emissions import Emission

RATE = 16000


def local_model(samples, hop, window):
    """(T, 3): what a stack of unpadded convolutions sees, frame by frame and nothing else."""
    frames = max((len(samples) - window) // hop + 1, 0)
    rows = [samples[n * hop : n * hop + window] for n in range(frames)]
    return np.array([(row.sum(), row[0], row[-1]) for row in rows], np.float32).reshape(-1, 3)


def test_forty_seconds_in_chunks_of_sixteen():
    chunks = plan_chunks(40 * RATE, 16, None, 320, RATE)
    assert [chunk.start for chunk in chunks] == [0, 170880, 341760, 512640]
    assert [chunk.end for chunk in chunks] == [256000, 426880, 597760, 640000]
    samples = np.zeros(40 * RATE, np.float32)
    pieces = [local_model(samples[chunk.start : chunk.end], 320, 400) for chunk in chunks]
    assert [len(piece) for piece in pieces] == [799, 799, 799, 397]
    kept = [len(piece[chunk.first : chunk.last]) for piece, chunk in zip(pieces, chunks)]
    assert kept == [667, 534, 534, 264]
    assert [chunk.first * 320 for chunk in chunks] == [0, 42560, 42560, 42560]
    assert len(stitch(pieces, chunks)) == 1999 == len(local_model(samples, 320, 400))


def test_strides_that_leave_nothing_of_a_chunk_are_refused_with_both_lengths():
    with pytest.raises(ValueError, match=r"chunk_length 1 s .* 0\.6 s and 0\.6 s"):
        plan_chunks(40 * RATE, 1, (0.6, 0.6), 320, RATE)
    with pytest.raises(ChunkError):  # an endless loop otherwise
        plan_chunks(40 * RATE, 1, (0.5, 0.5), 320, RATE)
    with pytest.raises(ChunkError, match="not below 0"):
        plan_chunks(40 * RATE, 1, (-0.1, 0.5), 320, RATE)


@settings(deadline=None, max_examples=150)
@given(
    hop=st.sampled_from([160, 320, 640]),
    chunk=st.integers(4, 40),
    strides=st.tuples(st.integers(0, 6), st.integers(1, 6)),
    chunks=st.floats(0.0, 3.0),
    rest=st.integers(0, 639),
)
def test_stitched_log_probs_equal_one_pass_bit_for_bit(hop, chunk, strides, chunks, rest):
    if chunk <= sum(strides):
        chunk += sum(strides)
    num_samples = int(chunks * chunk * hop) + rest
    samples = np.random.default_rng(rest).standard_normal(num_samples).astype(np.float32)
    seconds = [length * hop / RATE for length in (chunk, *strides)]
    plan = plan_chunks(num_samples, seconds[0], tuple(seconds[1:]), hop, RATE)
    pieces = [local_model(samples[c.start : c.end], hop, hop + 80) for c in plan]
    whole = local_model(samples, hop, hop + 80)
    together = stitch(pieces, plan) if plan else whole
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together, whole)


@pytest.mark.parametrize("num_samples", [1, 319, 320, 40000, 42560])
def test_audio_shorter_than_a_stride_is_one_whole_chunk(num_samples):
    assert plan_chunks(num_samples, 16, None, 320, RATE) == [(0, num_samples, 0, None)]


def test_no_audio_is_no_chunk():
    assert plan_chunks(0, 16, None, 320, RATE) == []


def test_lengths_are_whole_frames_of_the_model():
    for align_to in (160, 320, 640):
        chunks = plan_chunks(10 * RATE + 7, 1.0111, (0.1234, 0.2), align_to, RATE)
        assert all(chunk.start % align_to == 0 for chunk in chunks)
        assert all(chunk.end % align_to == 0 for chunk in chunks[:-1])
        assert chunks[-1].end == 10 * RATE + 7


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_long_recordings_emission_is_that_of_one_pass(library):
    def model(speech):
        """Batches of one, padded by a frame that must not count."""
        log_probs = local_model(speech[0], 320, 400)
        padded = np.concatenate([log_probs, np.full((1, 3), np.nan, np.float32)])[None]
        lengths = np.array([len(log_probs)])
        if library == "torch":
            torch = pytest.importorskip("torch")
            padded, lengths = torch.from_numpy(padded), torch.from_numpy(lengths)
        return Emission(padded, lengths, 0.02, 1, ["a", "_", "b"])

    samples = np.random.default_rng(0).standard_normal(5 * RATE + 123).astype(np.float32)
    emission = emission_in_chunks(model, samples, 0.02, 1.0, (0.2, 0.1))
    np.testing.assert_array_equal(emission.log_probs[0], local_model(samples, 320, 400))
    assert emission.lengths.tolist() == [emission.log_probs.shape[1]]
    assert (emission.blank_id, emission.frame_shift) == (1, 0.02)


def test_a_model_that_gives_too_few_frames_for_a_chunk_is_no_silent_shift():
    chunks = plan_chunks(RATE, 0.5, (0.0, 0.0), 320, RATE)
    pieces = [local_model(np.ones(c.end - c.start, np.float32), 320, 400) for c in chunks]
    with pytest.raises(ChunkError, match="gives 24 frames for a chunk of 8000 samples, and 25"):
        stitch(pieces, chunks)
