"""Recordings with their pieces: cut at pauses, or along the words of their text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from asr_dro_plugin.audio.read_ahead import Location, SpeechItem, load
from asr_dro_plugin.audio.silence import has_sound
from asr_dro_plugin.audio.vad import find_speech
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.data.segments_dir import Recording, Segment, summary, to_thousandths
from asr_dro_plugin.decoding.align_texts import list_some, notes_of_unknown
from asr_dro_plugin.decoding.segment import (
    Lengths,
    Piece,
    Stretch,
    TextPiece,
    cut,
    cut_words,
    voiced,
    with_quiet_cuts,
)
from asr_dro_plugin.decoding.units import Aligned, row_of
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import SomeLeftOut, UserError


class Listener(Protocol):
    """A model that hears where speech is, and where its words are."""

    silent_ids: Sequence[int]

    def __call__(self, utterance: SpeechItem, text: str, lang: str) -> Aligned:
        """Words with times."""

    def emission(self, samples: np.ndarray) -> Emission:
        """Log probabilities of (N,) samples."""


@dataclass(frozen=True)
class Cutter:
    """Cuts one recording after the other.

    Args:
        pause: shortest pause to cut in, seconds.
        cut_speech: whether longer stretches are cut where it does least harm.
        low_score: a text fits badly whose characters' mean log probability is below this.
        lang: language of a text without a tag.
        model: None for voice activity detection.
    """

    lengths: Lengths
    pause: float
    cut_speech: bool
    low_score: float
    lang: str = ""
    model: Listener | None = None

    def __call__(self, utterance: SpeechItem, text: str | None) -> list[Segment]:
        """The pieces of a recording, along its text if it has one."""
        if text is not None:
            found = self.model(utterance, text, self.lang)
            list_some(notes_of_unknown(utterance.utt_id, found))
            pieces = cut_words(
                found.words, self.lengths, utterance.duration, self.pause, self.cut_speech
            )
            return [self._spoken(piece) for piece in pieces]
        regions = self._speech(utterance.samples)
        stretches = [Stretch(*region) for region in regions]
        if self.cut_speech:
            stretches = with_quiet_cuts(regions, utterance.samples, self.lengths.longest)
        return [_segment(piece) for piece in cut(stretches, self.lengths, utterance.duration)]

    def _speech(self, samples: np.ndarray) -> Sequence[tuple[float, float]]:
        """Stretches of speech, in seconds."""
        if self.model is None:
            return find_speech(samples, min_silence=self.pause, pad=0.0)
        emission = self.model.emission(samples)
        best = row_of(emission).argmax(-1)
        return voiced(best, self.model.silent_ids, emission.frame_shift, self.pause)

    def _spoken(self, found: TextPiece) -> Segment:
        """A piece with its text, which is a fault where it does not seem to be said."""
        faults = found.piece.faults
        if found.score < self.low_score:
            faults += (f"text fits badly ({found.score:.2f})",)
        score = round(found.score, 4)
        return replace(_segment(found.piece), text=found.text, faults=faults, score=score)


def _segment(piece: Piece) -> Segment:
    return Segment(*to_thousandths(piece.start, piece.end), None, piece.faults)


def cut_all(
    paths: Mapping[str, str],
    texts: Mapping[str, str],
    cutter: Callable[[SpeechItem, str | None], list[Segment]],
    strict: bool,
) -> dict[str, Recording]:
    """Every recording (name -> file) with its pieces, or with the fault for which it has none.

    ``cutter`` cuts one, along its text if it has one, or raises ``UserError``; with ``strict`` the
    first fault is the end.
    """
    found: dict[str, Recording] = {}
    with Progress(len(paths), "segment") as bar:
        for name, path in paths.items():
            utterance = load(Location(name, path))
            segments, fault = _cut(utterance, texts.get(name), cutter)
            if fault and strict:
                raise UserError(f"{path}: {fault}")
            found[name] = Recording(path, utterance.duration or None, tuple(segments), fault)
            bar.advance()
    return found


def _cut(utterance: SpeechItem, text: str | None, cutter: Callable) -> tuple[list[Segment], str]:
    """The pieces, or why there are none."""
    if utterance.fault:
        return [], utterance.fault
    if not has_sound(utterance.samples):
        return [], "no speech was found: it has no sound"
    try:
        segments = cutter(utterance, text)
    except UserError as error:
        return [], str(error)
    return segments, "" if segments else "no speech was found"


def report(recordings: Mapping[str, Recording], out: str) -> None:
    """Say what was made, and name on stderr some of what is not as it was wanted.

    Raises:
        SomeLeftOut: pieces are not as wanted, or recordings have none.
    """
    list_some([line for recording in recordings.values() for line in _faults_of(recording)])
    made = summary(recordings)
    print(
        f"{out}: {made['pieces']} pieces, {made['seconds_in_pieces'] / 60:.1f} of "
        f"{made['seconds'] / 60:.1f} minutes"
    )
    counts = []
    if made["with_faults"]:
        counts.append(f"{made['with_faults']} of {made['pieces']} pieces are not as wanted")
    if made["without_pieces"]:
        counts.append(f"{made['without_pieces']} of {made['recordings']} recordings have none")
    if counts:
        raise SomeLeftOut(f"{' and '.join(counts)}; {Path(out) / 'summary.json'} lists them.")


def _faults_of(recording: Recording) -> Iterator[str]:
    """A line for all that is not as it was wanted."""
    if recording.fault:
        yield f"{recording.path}: {recording.fault}"
    for each in recording.segments:
        if each.faults:
            span = f"{each.start:.3f} to {each.end:.3f} s"
            yield f"{recording.path}: {span} {', '.join(each.faults)}"
