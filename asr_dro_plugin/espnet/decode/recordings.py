"""Recordings of any length, in the order given: stretches of speech, in batches, joined again."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.read_ahead import Utterance, batches_of
from asr_dro_plugin.espnet.decode.transcriber import Transcriber
from asr_dro_plugin.transcripts.join import join_transcripts
from asr_dro_plugin.transcripts.transcript import Transcript

WINDOW = 4  # batches' seconds of audio that are sorted by length together
Regions = Callable[[np.ndarray], Sequence[tuple[float, float]]]


def transcribe_recordings(
    transcriber: Transcriber, recordings: Iterable[Utterance], regions_of: Regions | None = None
) -> Iterator[Transcript]:
    """A transcript for each recording, in order; times are of the original file.

    Args:
        transcriber: decodes batches.
        recordings: read as they are needed.
        regions_of: samples (N,) -> stretches of speech in seconds, which alone are decoded.
    """
    seconds = transcriber.settings.batch_duration
    for window in _windows(recordings, WINDOW * seconds):
        pieces = [
            (number, piece)
            for number, recording in enumerate(window)
            for piece in _pieces(recording, regions_of)
        ]
        found = _in_batches(transcriber, [piece for _, piece in pieces], seconds)
        said: list[list[Transcript]] = [[] for _ in window]
        for (number, _), transcript in zip(pieces, found, strict=True):
            said[number].append(transcript)
        for recording, transcripts in zip(window, said, strict=True):
            whole = regions_of is None or recording.fault
            yield transcripts[0] if whole else _joined(recording, transcripts)


def _windows(recordings: Iterable[Utterance], seconds: float) -> Iterator[list[Utterance]]:
    """Recordings in groups of so many seconds together."""
    window: list[Utterance] = []
    total = 0.0
    for recording in recordings:
        window.append(recording)
        total += recording.duration
        if total >= seconds:
            yield window
            window, total = [], 0.0
    if window:
        yield window


def _pieces(recording: Utterance, regions_of: Regions | None) -> list[Utterance]:
    """Its stretches of speech as utterances, or itself."""
    if regions_of is None or recording.fault:
        return [recording]
    return [
        replace(
            recording,
            samples=recording.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)],
            offset=recording.offset + start,
        )
        for start, end in regions_of(recording.samples)
    ]


def _in_batches(
    transcriber: Transcriber, pieces: Sequence[Utterance], seconds: float
) -> list[Transcript]:
    """Transcripts in the order of the pieces, which are decoded sorted by length."""
    durations = {str(number): piece.duration for number, piece in enumerate(pieces)}
    by_length = sorted(durations, key=durations.get, reverse=True)
    found: dict[int, Transcript] = {}
    for batch in batches_of(by_length, durations, seconds):
        numbers = [int(name) for name in batch]
        found.update(zip(numbers, transcriber([pieces[n] for n in numbers]), strict=True))
    return [found[number] for number in range(len(pieces))]


def _joined(recording: Utterance, transcripts: Sequence[Transcript]) -> Transcript:
    return join_transcripts(recording.utt_id, round(recording.duration, 6), transcripts)
