"""Whisper's features against transformers', and each utterance's against its company's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.features.whisper_mel import WhisperLogMel


def batch_of(lengths, seed=0):
    """Noise with a loud end, (B, N) with zeros behind, and (B,)."""
    rng = np.random.default_rng(seed)
    speech = torch.zeros(len(lengths), max(lengths))
    for row, length in zip(speech, lengths, strict=True):
        samples = 0.1 * rng.standard_normal(length)
        samples[-50:] *= 5
        row[:length] = torch.from_numpy(samples.astype(np.float32))
    return speech, torch.tensor(lengths)


@pytest.mark.parametrize("mels", [80, 128])
def test_features_are_transformers(mels):
    from transformers import WhisperFeatureExtractor

    theirs = WhisperFeatureExtractor(feature_size=mels, chunk_length=2)
    speech, lengths = batch_of([16000, 25001, 40000])  # the last one is cut at 2 s
    rows = [row[:n].numpy() for row, n in zip(speech, lengths, strict=True)]
    expected = theirs(rows, sampling_rate=16000, return_tensors="pt").input_features
    features, frames = WhisperLogMel(mels, 200)(speech, lengths)
    assert torch.allclose(features.transpose(1, 2), expected, atol=1e-5)
    assert frames.tolist() == [200] * 3


def test_every_utterance_is_30_s_unless_told_otherwise():
    features, frames = WhisperLogMel()(*batch_of([8000]))
    assert features.shape == (1, 3000, 80) and frames.tolist() == [3000]


@settings(deadline=None, max_examples=30)
@given(lengths=st.lists(st.integers(1, 9000), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_without_padding_an_utterance_does_not_depend_on_its_company(lengths, seed):
    mel = WhisperLogMel(do_pad_trim=False)
    speech, num_samples = batch_of(lengths, seed)
    together, frames = mel(speech, num_samples)
    for row, length in enumerate(lengths):
        alone, (count,) = mel(speech[row : row + 1, :length], num_samples[row : row + 1])
        assert frames[row] == count == alone.shape[1] == max(length // 160, 1)
        assert torch.allclose(together[row, :count], alone[0], atol=1e-5)


def test_speech_that_is_longer_than_the_model_takes_is_an_error():
    mel = WhisperLogMel(max_frames=100, do_pad_trim=False)
    with pytest.raises(ValueError, match="1.5 s of speech, and Whisper takes 1 s"):
        mel(*batch_of([24000]))


def test_half_precision_changes_no_feature():
    mel, inputs = WhisperLogMel(80, 100), batch_of([16000])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mel(*inputs)[0]
    assert torch.equal(found, mel(*inputs)[0])


def test_silence_is_no_nan():
    features, _ = WhisperLogMel(80, 100)(torch.zeros(1, 1600), torch.tensor([1600]))
    assert features.isfinite().all()


def test_the_weights_of_a_model_have_no_filters():
    assert not WhisperLogMel().state_dict()
