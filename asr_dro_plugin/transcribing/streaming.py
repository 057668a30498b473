"""A recording of any length, transcribed while it is read, a step at a time.

Its transcript is that of ``Transcriber`` for what is no longer than a chunk.  What is longer is
heard in chunks (``hearing``), cut between words (``stretches``), and each stretch is decoded as it
comes: the best path is the same as of the whole, a search (beam, language model) begins anew in
each stretch.  The language of a long recording is that of most votes of its chunks so far, for the
transcript that of all.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.read_ahead import SpeechItem
from asr_dro_plugin.audio.regions import RegionPiece
from asr_dro_plugin.audio.waiting import Waiting
from asr_dro_plugin.decoding.abs_decoder import AbsDecoder, TokenPath
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.text.normalizers import add_tag, split_tag
from asr_dro_plugin.transcribing.abs_recogniser import OutOfMemory
from asr_dro_plugin.transcribing.hearing import Hearing
from asr_dro_plugin.transcribing.stretches import FrameStretch, Stretches
from asr_dro_plugin.transcribing.transcriber import NAN_FAULT, Transcriber, without_text
from asr_dro_plugin.transcripts.transcript import (
    Hypothesis,
    Transcript,
    Unit,
    join_transcripts,
)


@dataclass(frozen=True)
class SoFar:
    """How far a recording is transcribed.

    Attributes:
        seconds_done: of the recording that have been read.
        duration: of the recording; None where only its end will tell.
        text: what is final so far, without a language tag.
        words: those that are final since the piece before, in seconds of the recording.
        transcript: of the whole, in the last piece; else None.
    """

    seconds_done: float
    duration: float | None
    text: str
    words: tuple[Unit, ...] = ()
    transcript: Transcript | None = None


def stream(
    transcriber: Transcriber,
    regions: Iterable[RegionPiece],
    utt_id: str,
    duration: float | None = None,
    has_chars: bool = False,
) -> Iterator[SoFar]:
    """Transcribe a recording while its regions come in.

    Args:
        transcriber: with a decoder; long regions are cut where its settings have a chunk_length.
        regions: pieces of regions, in order; of ``audio.regions``.
        utt_id: the recording's name.
        duration: its seconds, where they are known.
        has_chars: whether characters have times, too; they are most of a transcript's memory.

    Yields:
        A piece after each step of the model, and after some seconds of silence; the last one has
        the transcript.
    """
    found: list[Transcript] = []
    said = ""
    region, done = None, 0.0
    for heard in regions:
        done = heard.seconds_done
        if region is None and not len(heard.samples):
            yield SoFar(done, duration, said)
            continue
        region = region or Region(transcriber, heard.offset, utt_id, has_chars)
        steps = region.end(heard.samples) if heard.is_last else region.add(heard.samples)
        for words in steps:
            text = " ".join(filter(None, (said, region.text)))
            yield SoFar(done, duration, text, words)
        if heard.is_last:
            found.append(region.transcript())
            said = " ".join(filter(None, (said, split_tag(found[-1].text)[1])))
            region = None
    whole = _whole(found, utt_id, round(done, 6))
    yield SoFar(done, duration if duration is not None else done, said, (), whole)


def _whole(found: Sequence[Transcript], utt_id: str, duration: float) -> Transcript:
    if not duration:
        return without_text(SpeechItem(utt_id), "holds no samples")
    if len(found) == 1:
        return replace(found[0], duration=duration)
    return join_transcripts(utt_id, duration, found)


class Region:
    """One region of speech: samples in, words out.

    Args:
        transcriber: the model and its decoder.
        offset: seconds of the recording before the region.
        utt_id: the recording.
        has_chars: whether characters have times, too.

    Attributes:
        text: what is final so far, without a tag.
    """

    def __init__(
        self, transcriber: Transcriber, offset: float, utt_id: str, has_chars: bool = False
    ) -> None:
        self._work, self._offset, self._utt_id = transcriber, offset, utt_id
        self._has_chars = has_chars
        self._first = Waiting()  # until it is known to be long
        self._long: LongRegion | None = None
        self._short: Transcript | None = None

    @property
    def text(self) -> str:
        if self._long is not None:
            return self._long.joined.text
        return split_tag(self._short.text)[1] if self._short else ""

    def add(self, samples: np.ndarray) -> Iterator[tuple[Unit, ...]]:
        """Take more samples; gives the words that are new and final, once a step."""
        if self._long is not None:
            yield from self._long.add(samples)
            return
        self._first.add(samples)
        length = self._work.settings.chunk_length
        if length is not None and self._first.size > length * SAMPLE_RATE:
            work = self._work
            self._long = LongRegion(work, self._offset, self._utt_id, self._has_chars)
            yield from self._long.add(self._first.take(self._first.size))

    def end(self, samples: np.ndarray) -> Iterator[tuple[Unit, ...]]:
        """Take the last samples."""
        yield from self.add(samples)
        if self._long is not None:
            yield from self._long.end()
            return
        samples = self._first.take(self._first.size)
        (found,) = self._work([SpeechItem(self._utt_id, samples, None, self._offset)])
        self._short = found if self._has_chars else _without_chars(found)
        yield self._short.best.words

    def transcript(self) -> Transcript:
        """Of the region, once it is ended."""
        return self._short if self._long is None else self._long.transcript()


class LongRegion:
    """A region that is longer than a chunk."""

    def __init__(
        self, transcriber: Transcriber, offset: float, utt_id: str, has_chars: bool
    ) -> None:
        self._work, self._offset, self._utt_id = transcriber, offset, utt_id
        recogniser, settings = transcriber.recogniser, transcriber.settings
        self._hearing = Hearing(recogniser, settings.chunk_length, settings.stride, self._heed)
        self._stretches = Stretches(
            recogniser.tokens, recogniser.token_type, recogniser.blank_id, recogniser.frame_shift,
            self._best_of,
        )  # fmt: skip
        self._votes: np.ndarray | None = None
        self._num_samples, self._fault, self._has_begun = 0, "", False
        self.joined = Joined(has_chars)

    def add(self, samples: np.ndarray) -> Iterator[tuple[Unit, ...]]:
        self._num_samples += len(samples)
        yield from self._steps(self._hearing.add(samples), is_end=False)

    def end(self) -> Iterator[tuple[Unit, ...]]:
        yield from self._steps(self._hearing.end(), is_end=True)

    def _steps(self, found: Iterator[np.ndarray], is_end: bool) -> Iterator[tuple[Unit, ...]]:
        if self._fault:
            return
        try:
            for frames in found:
                if np.isnan(frames).any():
                    self._fault = NAN_FAULT
                    return
                yield self._decoded(self._stretches.add(frames))
        except OutOfMemory:
            self._fault = f"too long for the memory (chunks of {self._chunk_length:g} s)"
            return
        if is_end:
            yield self._decoded(self._stretches.end())

    @property
    def _chunk_length(self) -> float:
        return self._work.settings.chunk_length

    def _heed(self, piece: np.ndarray) -> None:
        """Count a chunk's votes for the languages."""
        language = getattr(self._work.decoder, "language", None)
        if language is not None and len(piece) and not np.isnan(piece).any():
            votes = language.vote(piece)
            if votes is not None:
                self._votes = votes if self._votes is None else self._votes + votes

    def _best_of(self, frames: np.ndarray) -> np.ndarray:
        """The likeliest symbol of each frame, tags and the blank's penalty as in decoding."""
        decoder, code = self._work.decoder, self._language
        language, weights = decoder.language, getattr(decoder, "weights", None)
        if language.tags:
            frames = language.without_tags(frames[None])[0]
        if weights is not None and weights.penalise:
            frames = frames.copy()
            penalty = weights.penalties([code or language.only or self._work.lang])[0]
            frames[:, self._work.recogniser.blank_id] -= penalty
        return frames.argmax(axis=1)

    @property
    def _language(self) -> str | None:
        """The language of most votes so far, where there is one to be decided."""
        if self._votes is None:
            return None
        return self._work.decoder.language.of_most_votes(self._votes)

    def _decoded(self, stretches: Iterator[FrameStretch]) -> tuple[Unit, ...]:
        """The words of stretches, which are joined to those before."""
        words: list[Unit] = []
        blank_id = self._work.recogniser.blank_id
        for stretch in stretches:
            if stretch.log_probs[:, blank_id].any():  # else it is certain of the blank throughout
                words += self.joined.add(self._hypothesis(stretch), stretch.amid_word)
                self._has_begun = True
        return tuple(words)

    def _hypothesis(self, stretch: FrameStretch) -> Hypothesis:
        recogniser, code = self._work.recogniser, self._language
        decoder: AbsDecoder = self._work.decoder
        decoder = decoder if code is None else decoder.of_one_language(code)
        emission = Emission(
            stretch.log_probs[None], np.array([len(stretch.log_probs)]), recogniser.frame_shift,
            recogniser.blank_id, recogniser.tokens,
        )  # fmt: skip
        path: TokenPath = decoder(emission, [self._work.lang])[0][0]
        found = self._work.hypothesis(path)
        if not self._work.settings.times:
            return found
        start = self._offset + stretch.start * recogniser.frame_shift
        end = self._offset + self._num_samples / SAMPLE_RATE
        ids = path.ids
        if self._has_begun:  # the tag is said at the recording's beginning alone
            ids = [index for index in ids if index not in decoder.language.tags.values()]
        return self._work.timed(found, ids, stretch.log_probs, start, end, self._utt_id)

    def transcript(self) -> Transcript:
        """Of the region, once it is ended."""
        seconds = round(self._num_samples / SAMPLE_RATE, 6)
        fault = self._fault
        if not self._hearing.has_sound:
            logging.warning("%s has no sound: its text is empty.", self._utt_id)
        elif not fault and not self._hearing.num_heard:
            fault = "too short for the model"
        if fault or not self._hearing.has_sound:
            empty = without_text(SpeechItem(self._utt_id), fault)
            return replace(empty, duration=seconds)
        hypothesis, tag = self.joined.hypothesis()
        code = self._language or tag
        if code and tag:
            hypothesis = replace(hypothesis, text=add_tag(code, hypothesis.text))
        return Transcript(self._utt_id, (hypothesis,), code or self._work.lang, seconds)


@dataclass
class Joined:
    """Hypotheses of stretches as one."""

    has_chars: bool
    text: str = ""
    _tag: str | None = None
    _words: list[Unit] = field(default_factory=list)
    _chars: list[Unit] = field(default_factory=list)
    _totals: list[float | None] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def add(self, found: Hypothesis, amid_word: bool) -> tuple[Unit, ...]:
        """Put the text of the next stretch behind; its words."""
        tag, text = split_tag(found.text)
        self._tag = self._tag or tag
        joint = "" if amid_word or not (self.text and text) else " "
        self.text += joint + text
        scores = (found.score, found.am_score, found.lm_score)
        self._totals = [
            None if None in pair else sum(pair) for pair in zip(self._totals, scores, strict=True)
        ]
        self._words += found.words
        if self.has_chars:
            self._chars += found.chars
        return found.words

    def hypothesis(self) -> tuple[Hypothesis, str | None]:
        """All of it, without the tag, which comes beside."""
        units = tuple(self._words), tuple(self._chars)
        return Hypothesis(self.text, *self._totals, *units), self._tag


def _without_chars(found: Transcript) -> Transcript:
    best = replace(found.best, chars=())
    return replace(found, hypotheses=(best, *found.hypotheses[1:]))
