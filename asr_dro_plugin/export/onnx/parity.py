"""Does the graph compute what torch computes?  Asked of every export before it is given out.

The reference is torch on each utterance alone; the graph is asked for each alone, for all of them
padded in one batch, and for one without its length.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.files import read, resample
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.errors import UserError, in_one_line
from asr_dro_plugin.reporting.read.data_sets import recipe_of, valid_folder
from asr_dro_plugin.runtime.manifest import INPUTS, OUTPUTS

TOLERANCE = 1e-4  # of a natural logarithm, anywhere
NUM_UTTERANCES, MOST_SECONDS = 4, 12.0
BEHIND = 777  # samples of padding behind the longest of a batch
Logs = tuple[np.ndarray, int]


@dataclass(frozen=True)
class Speech:
    """What is compared on: utterances (N,) float32 at ``SAMPLE_RATE``, and what they are."""

    utterances: Sequence[np.ndarray]
    what: str


def speech_of(exp: Path, config: Mapping, fewest: int, longest: float | None) -> Speech:
    """Utterances of the experiment's dev set, else made ones; with one of ``fewest`` samples."""
    most = round(SAMPLE_RATE * min(MOST_SECONDS, longest or MOST_SECONDS)) - BEHIND
    found = _recorded(exp, config, most)
    what = f"{len(found)} utterances of the dev set" if found else "made signals, like speech"
    rng = np.random.default_rng(0)
    found = found or [like_speech(rng, seconds) for seconds in (0.7, 1.9, 3.3)]
    found = [utterance[:most] for utterance in found if len(utterance) >= fewest]
    longer = max(found, key=len, default=like_speech(rng, fewest / SAMPLE_RATE + 1))
    middle = (len(longer) - fewest) // 2
    return Speech([*found, longer[middle : middle + fewest]], what)


def _recorded(exp: Path, config: Mapping, most: int) -> list[np.ndarray]:
    recipe = recipe_of(exp)
    folder = valid_folder(config, recipe)
    if folder is None:
        return []
    places = list(read_table(folder / "wav.scp").values())
    step = max(1, len(places) // NUM_UTTERANCES)
    found = []
    for place in places[::step][:NUM_UTTERANCES]:
        try:
            samples, rate = read(place if Path(place).is_absolute() else str(recipe / place))
        except (OSError, UserError):  # moved away since
            return []
        found.append(resample(samples, rate, SAMPLE_RATE)[:most])
    return found


def like_speech(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """(N,): voiced stretches with harmonics under two resonances, hisses and pauses, over noise."""
    time = np.arange(max(1, round(seconds * SAMPLE_RATE))) / SAMPLE_RATE
    pitch = 120 + 30 * np.sin(2 * math.pi * 0.7 * time + rng.uniform(0, 6))
    phase = 2 * math.pi * np.cumsum(pitch) / SAMPLE_RATE
    voice = np.zeros_like(time)
    for number in range(1, 30):
        heights = (
            math.exp(-(((120 * number - peak) / 250) ** 2))
            for peak in (rng.uniform(400, 800), rng.uniform(1200, 2400))
        )
        voice += (0.02 + sum(heights)) * np.sin(number * phase + rng.uniform(0, 6))
    syllables = np.clip(np.sin(2 * math.pi * 2.1 * time + rng.uniform(0, 6)), 0, 1)
    hiss = rng.standard_normal(len(time)) * (1 - syllables) ** 4
    mixed = 0.05 * voice * syllables + 0.01 * hiss + 1e-3 * rng.standard_normal(len(time))
    return mixed.astype(np.float32)


def reference_of(recogniser, speech: Speech) -> list[Logs]:
    """((T, V), T) of each utterance alone by torch."""
    found = []
    for utterance in speech.utterances:
        emission = recogniser.emission([utterance])
        frames = int(emission.lengths[0])
        found.append((np.asarray(emission.log_probs[0][:frames]), frames))
    return found


def compare(graph: Path, speech: Speech, reference: Sequence[Logs], progress: Progress) -> float:
    """The largest difference of a log probability between a graph and torch.

    Raises:
        UserError: it is above ``TOLERANCE``, or frames are counted otherwise.
    """
    session = session_of(graph)
    worst = 0.0
    for how, rows, found in _answers(session, speech.utterances):
        for row, (log_probs, frames) in zip(rows, found, strict=True):
            expected, count = reference[row]
            if frames != count:
                raise UserError(
                    f"The graph gives {frames} frames where torch gives {count} ({how}): it is not "
                    "written. Report this, with the configuration."
                )
            difference = float(np.abs(log_probs - expected).max(initial=0.0))
            if not difference <= TOLERANCE:  # NaN too
                raise UserError(
                    f"The graph's log probabilities differ from torch's by {difference:.1e} "
                    f"({how}, {speech.what}), more than {TOLERANCE:g}: it is not written. Report "
                    "this, with the configuration."
                )
            worst = max(worst, difference)
        progress.advance(1, f"within {worst:.0e}")
    return worst


def num_comparisons(speech: Speech) -> int:
    """How often ``compare`` advances."""
    return len(speech.utterances) + 2


def session_of(graph: Path):
    """An onnxruntime session on the CPU, one thread, without its remark on optional lengths."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    return onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])


def _answers(session, utterances: Sequence[np.ndarray]) -> Iterator[tuple[str, list[int], list]]:
    """(how it was asked, the utterances that it was asked for, ((T, V), T) of each)."""
    for row, utterance in enumerate(utterances):
        yield "alone", [row], _run(session, [utterance])
    yield "without its length", [0], _run(session, [utterances[0]], with_lengths=False)
    rows = list(range(len(utterances)))
    yield "in one batch", rows, _run(session, utterances, behind=BEHIND)


def _run(
    session, utterances: Sequence[np.ndarray], with_lengths: bool = True, behind: int = 0
) -> list[Logs]:
    lengths = np.array([len(each) for each in utterances], np.int64)
    padded = np.zeros((len(utterances), lengths.max() + behind), np.float32)
    for row, utterance in zip(padded, utterances, strict=True):
        row[: len(utterance)] = utterance
    feed = {INPUTS["speech"]: padded} | ({INPUTS["lengths"]: lengths} if with_lengths else {})
    try:
        log_probs, frames = session.run([OUTPUTS["log_probs"], OUTPUTS["lengths"]], feed)
    except Exception as error:  # onnxruntime's have no class in common
        raise UserError(
            f"The graph does not run on all lengths ({in_one_line(error)}): "
            "it is not written. Report this, with the configuration."
        ) from error
    return [(row[:count], int(count)) for row, count in zip(log_probs, frames, strict=True)]
