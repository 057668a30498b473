"""Named speech on its way to a model: read in threads while the model computes.

What cannot be read is no exception here: it goes along with its fault, so that the rest is done.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.files import read, resample
from asr_dro_plugin.errors import UserError

NOTHING = np.zeros(0, np.float32)
NUM_THREADS = min(4, os.cpu_count() or 1)
GROUP_FILES, GROUP_BYTES = 16, 1 << 25  # recordings read together, of unknown lengths
AHEAD = 2  # batches in memory beside the one that is computed


@dataclass(frozen=True)
class SpeechItem:
    """Samples at ``SAMPLE_RATE`` with their name.

    Args:
        utt_id: its id, or a file's path.
        samples: (N,) float32 in -1..1; empty where there is a fault.
        lang: its language (ISO 639-3) where it is given from outside.
        offset: seconds of the original audio before the first sample.
        fault: why there is no speech; empty if there is.
    """

    utt_id: str
    samples: np.ndarray = field(default_factory=lambda: NOTHING, repr=False)
    lang: str | None = None
    offset: float = 0.0
    fault: str = ""

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True)
class Location:
    """Where an utterance lies: a path or ark pointer, and a stretch of it in seconds."""

    utt_id: str
    path: str
    start: float | None = None
    end: float | None = None
    lang: str | None = None


def load(location: Location, allow_pipes: bool = False) -> SpeechItem:
    """The utterance at a location, resampled; with a fault where there is no whole speech."""
    try:
        samples, rate = read(location.path, location.start, location.end, allow_pipes)
        samples = resample(samples, rate, SAMPLE_RATE)
    except (UserError, OSError) as error:
        return SpeechItem(location.utt_id, lang=location.lang, fault=" ".join(str(error).split()))
    offset, fault = location.start or 0.0, _fault_of(samples)
    if fault:
        return SpeechItem(location.utt_id, lang=location.lang, offset=offset, fault=fault)
    return SpeechItem(location.utt_id, samples, location.lang, offset)


def _fault_of(samples: np.ndarray) -> str:
    if not len(samples):
        return "holds no samples"
    return "" if np.isfinite(samples).all() else "holds samples that are no numbers"


def read_ahead(
    batches: Iterable[Sequence[Location]],
    read_one: Callable[[Location], SpeechItem] = load,
    num_threads: int = NUM_THREADS,
    ahead: int = AHEAD,
) -> Iterator[list[SpeechItem]]:
    """The batches in order, each read while those before it are used; few are in memory."""
    batches = iter(batches)
    waiting: deque[list[Future]] = deque()
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="read_ahead")
    try:
        for batch in islice(batches, ahead):
            waiting.append([pool.submit(read_one, each) for each in batch])
        while waiting:
            for batch in islice(batches, 1):
                waiting.append([pool.submit(read_one, each) for each in batch])
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_groups(locations: Iterable[Location]) -> Iterator[list[Location]]:
    """Locations to read together: few, or few bytes."""
    group: list[Location] = []
    size = 0
    for location in locations:
        size += os.path.getsize(location.path) if os.path.isfile(location.path) else 0
        group.append(location)
        if size >= GROUP_BYTES or len(group) == GROUP_FILES:
            yield group
            group, size = [], 0
    if group:
        yield group


def batches_of(
    utt_ids: Sequence[str], durations: Mapping[str, float], seconds: float
) -> list[list[str]]:
    """Cut ids, sorted by length, into batches whose padded length is at most ``seconds``."""
    batches: list[list[str]] = []
    for utt_id in utt_ids:
        if batches and durations[batches[-1][0]] * (len(batches[-1]) + 1) <= seconds:
            batches[-1].append(utt_id)
        else:
            batches.append([utt_id])
    return batches
