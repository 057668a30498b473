"""Recordings of any length, in the order given: stretches of speech, in batches, joined again."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.read_ahead import (
    Location,
    SpeechItem,
    batches_of,
    in_groups,
    load,
    read_ahead,
)
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.transcribing.transcriber import Transcriber
from asr_dro_plugin.transcripts.transcript import Transcript, join_transcripts

AUTO_CHUNK = 30.0  # seconds; what is longer is decoded in chunks, whose memory does not grow
WINDOW = 4  # batches' seconds of audio that are sorted by length together
Regions = Callable[[np.ndarray], Sequence[tuple[float, float]]]


def transcribe_files(
    transcriber: Transcriber, locations: Sequence[Location], vad: bool, allow_pipes: bool
) -> Iterator[Transcript]:
    """A transcript for each file, in order; long ones are decoded in chunks, which is told once.

    Args:
        transcriber: decodes batches; where nothing says how long its chunks are, they are of
            ``AUTO_CHUNK`` seconds.
        locations: the files.
        vad: whether only speech is decoded, found by voice activity detection.
        allow_pipes: whether commands may be run for audio.
    """
    regions_of = None
    if vad:
        from asr_dro_plugin.audio.vad import speech_regions as regions_of
    settings = transcriber.settings
    is_chosen = settings.chunk_length is not None
    if not is_chosen and transcriber.recogniser.exact_frames and transcriber.takes_chunks:
        transcriber.settings = replace(settings, chunk_length=AUTO_CHUNK)
    if len(locations) == 1:
        transcriber.progress = Progress
    groups = read_ahead(in_groups(locations), partial(load, allow_pipes=allow_pipes))
    recordings = (recording for group in groups for recording in group)
    if not is_chosen and not vad:
        recordings = _told_once(recordings, transcriber.settings.chunk_length)
    return transcribe_recordings(transcriber, recordings, regions_of)


def _told_once(
    recordings: Iterable[SpeechItem], chunk_length: float | None
) -> Iterator[SpeechItem]:
    """The recordings; the first that will be cut into chunks is told of."""
    told = chunk_length is None
    for recording in recordings:
        if not told and recording.duration > chunk_length:
            print(f"NOTE: {recording.utt_id} has {recording.duration:.0f} s: what is longer than "
                  f"{chunk_length:g} s is decoded in overlapping chunks (--chunk_length). "
                  "Where it has long silences, --vad true is safer.",
                  file=sys.stderr)  # fmt: skip
            told = True
        yield recording


def transcribe_recordings(
    transcriber: Transcriber, recordings: Iterable[SpeechItem], regions_of: Regions | None = None
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
            utt_id, duration = recording.utt_id, round(recording.duration, 6)
            yield transcripts[0] if whole else join_transcripts(utt_id, duration, transcripts)


def _windows(recordings: Iterable[SpeechItem], seconds: float) -> Iterator[list[SpeechItem]]:
    """Recordings in groups of so many seconds together."""
    window: list[SpeechItem] = []
    total = 0.0
    for recording in recordings:
        window.append(recording)
        total += recording.duration
        if total >= seconds:
            yield window
            window, total = [], 0.0
    if window:
        yield window


def _pieces(recording: SpeechItem, regions_of: Regions | None) -> list[SpeechItem]:
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
    transcriber: Transcriber, pieces: Sequence[SpeechItem], seconds: float
) -> list[Transcript]:
    """Transcripts in the order of the pieces, which are decoded sorted by length."""
    durations = {str(number): piece.duration for number, piece in enumerate(pieces)}
    by_length = sorted(durations, key=durations.get, reverse=True)
    found: dict[int, Transcript] = {}
    for batch in batches_of(by_length, durations, seconds):
        numbers = [int(name) for name in batch]
        found.update(zip(numbers, transcriber([pieces[n] for n in numbers]), strict=True))
    return [found[number] for number in range(len(pieces))]
