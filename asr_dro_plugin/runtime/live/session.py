"""One live transcription: pieces of sound in, events out.

::

    session = LiveSession.of(Recogniser("for_others"), rate=24000)
    for data in microphone:
        for event in session.feed(data):   # Started, Interim, Stopped, Final
            ...
    for event in session.commit():         # what was said last
        ...

An *item* is what one ``Final`` holds: what lies between two pauses, or between two commits.  The
events depend on the sound alone, not on how it was cut into pieces.

What public reports taught, and is done here: words that windows share are known by their frames,
never by comparing texts, which doubles them (y0sif/whisrs#57) and drops what somebody says twice
(FluidInference/FluidAudio#855); silence at the end empties no final (alphacep/vosk-api#590).
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.settings import check_number
from asr_dro_plugin.decoding.align import TokenSpan
from asr_dro_plugin.runtime.live.frames import (
    ExactFrames,
    LiveFrames,
    Stack,
    WindowFrames,
    cost_of,
)
from asr_dro_plugin.runtime.live.model import LiveModel
from asr_dro_plugin.runtime.live.pcm import PcmStream
from asr_dro_plugin.runtime.live.words import Agreement, joined
from asr_dro_plugin.runtime.recogniser import Recogniser
from asr_dro_plugin.transcripts.transcript import Unit

MARGIN = 5.0  # seconds that are heard at once beside an item's longest
PAD = 0.5  # seconds of silence that are kept before speech
log = logging.getLogger(__name__)
MANY = 1 << 14  # samples that are converted at once, so that a large piece takes little memory


@dataclass(frozen=True)
class Started:
    """Someone began to speak at ``seconds`` of the stream; told where pauses end items."""

    seconds: float


@dataclass(frozen=True)
class Stopped:
    """Nobody speaks from ``seconds`` of the stream on, and the pause is long enough for a final."""

    seconds: float


@dataclass(frozen=True)
class Interim:
    """How far an item is.

    Args:
        words: those that have become stable since the last event; seconds of the stream.
        guess: the words after them, which may still change.
    """

    words: tuple[Unit, ...]
    guess: str


@dataclass(frozen=True)
class Final:
    """An item's text, which stays.

    Args:
        words: words with times, in seconds of the stream, and confidence.
        lang: ISO 639-3, None where the model knows no languages, or said none yet.
        start, end: seconds of the stream between which the item lies.
    """

    words: tuple[Unit, ...]
    lang: str | None
    start: float
    end: float

    @property
    def text(self) -> str:
        """The words with spaces between them."""
        return " ".join(word.text for word in self.words)


Event = Started | Stopped | Interim | Final


@dataclass(frozen=True)
class TurnEnds:
    """When an item is over.

    Args:
        silence: seconds without a symbol that end it; None: a commit alone does.
        threshold: probability of something else than silence that makes a frame speech, 0..1.
        longest: seconds of speech that are heard together at most.  Where no pause comes the sound
            is cut between two words, and with ``silence`` the item ends there.

    Raises:
        UserError: a value outside its range.
    """

    silence: float | None = 0.7
    threshold: float = 0.5
    longest: float = 20.0

    def __post_init__(self) -> None:
        if self.silence is not None:
            check_number("silence", self.silence, least=0.1, most=10)
        check_number("threshold", self.threshold, above=0, most=0.99)
        check_number("longest", self.longest, least=2, most=60)


class LiveSession:
    """See the module.

    Args:
        model: which model, and in which languages.
        rate: of the sound, in Hz.
        turns: when an item is over.
        hop: seconds of sound between two looks at it.
        left: seconds heard again before a cut, where the model cannot be streamed exactly.
        cost: seconds that a second of sound takes the model, of which hops are made longer.

    Attributes:
        is_exact: whether the frames are those of the whole recording.
    """

    def __init__(
        self,
        model: LiveModel,
        rate: int = SAMPLE_RATE,
        turns: TurnEnds | None = None,
        hop: float | None = None,
        left: float = 2.0,
        cost: float = 0.0,
    ) -> None:
        self.reader, self.turns = model.reader, turns or TurnEnds()
        self._pcm = PcmStream(rate)
        self._frames = _frames_of(model.stack, hop, left, cost)
        self.is_exact = isinstance(self._frames, ExactFrames)
        self._lang: str | None = None
        self._agreement = Agreement()
        self._new_item()

    @classmethod
    def of(
        cls,
        recogniser: Recogniser,
        language: str | Sequence[str] | None = None,
        rate: int = SAMPLE_RATE,
        turns: TurnEnds | None = None,
        **options: float,
    ) -> Self:
        """A session with an exported model.

        Args:
            recogniser: the model; any number of sessions may share it.
            language: as in ``Recogniser.stream``.
            rate, turns, options: of the session.

        Raises:
            UserError: a rate that is not taken, a language that the model does not know, or a
                stack whose frames no rule counts.
        """
        decoder, given = recogniser.of_language(language)
        manifest, net = recogniser.manifest, recogniser.model
        field = None if net.depends_on_company else manifest.receptive_field_samples
        model = LiveModel.of(net, field, decoder, given)
        turns = turns or TurnEnds()
        if net.longest:
            turns = replace(turns, longest=min(turns.longest, net.longest - MARGIN))
        return cls(model, rate, turns, **{"cost": cost_of(model.stack), **options})

    def _new_item(self) -> None:
        self._agreement.forget()
        self._settled: list[Unit] = []
        self._spans: list[TokenSpan] = []
        self._start, self._speaking, self._decided = self._frames.seconds(0), False, None
        self._guess = ""

    @property
    def latency(self) -> float:
        """Seconds of sound behind a word that its frames wait for, the hop not counted."""
        return self._frames.latency

    @property
    def heard(self) -> float:
        """Seconds of sound so far."""
        return self._frames.heard

    @property
    def pending(self) -> float:
        """Seconds of sound that no final holds yet."""
        return self._frames.heard - self._start

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take 16-bit samples, little-endian; pieces may have any number of bytes, odd ones too."""
        for start in range(0, len(data), 2 * MANY):
            for _ in self._frames.feed(self._pcm.feed(data[start : start + 2 * MANY])):
                yield from self._look()

    def commit(self) -> Iterator[Event]:
        """All that was said so far is over; ends with a ``Final``, also where nothing was said."""
        for _ in self._frames.feed(self._pcm.end()):
            yield from self._look()
        self._frames.finish()
        yield from self._look()
        end = self._frames.heard
        if self._speaking and self.turns.silence is not None:
            yield Stopped(end)
        yield from self._take(len(self._frames.log_probs))
        yield from self._finals(end)
        self._frames.restart()
        self._new_item()

    def clear(self) -> None:
        """Forget what was said since the last final."""
        self._frames.restart(len(self._pcm.end()))
        self._new_item()

    def _look(self) -> Iterator[Event]:
        """Events of a step."""
        while True:
            seen = self._seen()
            speech = np.flatnonzero(self.reader.is_speech(seen, self.turns.threshold))
            if len(speech) and not self._speaking:
                self._speaking = True
                if self.turns.silence is not None:
                    yield Started(self._frames.seconds(int(speech[0])))
            if (pause := self._pause(speech, len(seen))) is not None:
                yield Stopped(self._frames.seconds(pause))
                yield from self._take(pause + self._num(self.turns.silence) // 2)
            elif len(seen) >= self._num(self.turns.longest):
                yield from self._take(self._between_words(seen))
                if self.turns.silence is None:
                    continue
            else:
                break
            yield from self._finals(self._frames.seconds(0))
            self._new_item()
        self._drop_silence(len(seen))
        yield from self._partial()

    def _seen(self) -> np.ndarray:
        """(T, V): the frames by which an item's end is decided, at most the longest."""
        frames = self._frames
        seen = frames.log_probs[: frames.num_final] if self.is_exact else frames.log_probs
        return seen[: self._num(self.turns.longest)]

    def _num(self, seconds: float) -> int:
        return max(1, round(seconds / self.reader.shift))

    def _pause(self, speech: np.ndarray, num: int) -> int | None:
        """First frame of the first pause after speech that is long enough."""
        if self.turns.silence is None or not self._speaking:
            return None
        starts = speech + 1 if len(speech) else np.zeros(1, int)
        ends = np.append(speech[1:], num)
        long = np.flatnonzero(ends - starts >= self._num(self.turns.silence))
        return int(starts[long[0]]) if len(long) else None

    def _between_words(self, seen: np.ndarray) -> int:
        """Where to cut frames without a pause: the widest gap of the later half between two words,
        else between two symbols, else half way; behind the words that were told."""
        said = (self._agreement.said - self._frames.seconds(0)) / self.reader.shift
        half = min(max(len(seen) // 2, round(said)), len(seen))
        spans = self.reader.spans(seen, 0)
        words = self.reader.words(spans, 0.0, len(seen) * self.reader.shift)
        units = [(self._num(w.start), self._num(w.end)) for w in words]
        for edges in (units, [(span.start, span.end) for span in spans]):
            gaps = [(b - a, (a + b) // 2) for (_, a), (b, _) in zip(edges, edges[1:]) if a >= half]
            if gaps:
                return max(gaps)[1]
        return half

    def _take(self, num: int) -> Iterator[Event]:
        """The next ``num`` frames are the item's and stay; tells of the words that are whole."""
        log_probs = self._frames.log_probs[:num]
        if self._decided is None and len(log_probs):
            self._decided = self.reader.decided(log_probs)
        spans = self.reader.last_spans(log_probs, self._frames.first)
        self._spans = joined(self._spans, spans)
        self._frames.cut(num)
        words = self._words(self._spans)
        if len(words) > 1:
            self._settled += words[:-1]
            border = (words[-1].start - self._frames.offset) / self.reader.shift - 0.5
            self._lang = self.reader.lang_of(self._spans) or self._lang
            self._spans = [span for span in self._spans if span.start > border]
            yield from self._told(self._agreement.settle(words[:-1]), words[-1].text)

    def _words(self, spans: Sequence[TokenSpan]) -> list[Unit]:
        return self.reader.words(spans, self._frames.offset, self._frames.heard)

    def _finals(self, end: float) -> Iterator[Event]:
        rest = self._words(self._spans)
        yield from self._told(self._agreement.settle(rest), "")
        self._lang = self._decided or self.reader.lang_of(self._spans) or self._lang
        words = tuple(_rounded(word) for word in [*self._settled, *rest])
        yield Final(words, self._lang, round(self._start, 4), round(end, 4))

    def _drop_silence(self, num: int) -> None:
        """Of silence before speech only the last is kept, where pauses part items."""
        if self.turns.silence is not None and not self._speaking:
            self._frames.cut(max(0, num - self._num(PAD)))
            self._start = self._frames.seconds(0)

    def _partial(self) -> Iterator[Event]:
        frames, read = self._frames, self.reader.spans
        words = self._words(joined(self._spans, read(frames.log_probs, frames.first)))
        if self.is_exact:
            final = read(frames.log_probs[: frames.num_final], frames.first)
            new = self._agreement.settle(self._words(joined(self._spans, final))[:-1])
        else:
            new = self._agreement(words)
        guess = " ".join(word.text for word in self._agreement.unsaid(words))
        yield from self._told(new, guess)

    def _told(self, words: Sequence[Unit], guess: str) -> Iterator[Event]:
        if words or guess != self._guess:
            self._guess = guess
            yield Interim(tuple(_rounded(word) for word in words), guess)


def _frames_of(stack: Stack, hop: float | None, left: float, cost: float) -> LiveFrames:
    if stack.is_exact:
        try:
            return ExactFrames(stack, hop or 0.32, cost)
        except ValueError as error:
            log.warning("This model is heard in windows, not exactly: %s.", error)
    return WindowFrames(stack, hop or 0.64, left, cost)


def _rounded(word: Unit) -> Unit:
    """To a tenth of a millisecond, as in transcripts of files."""
    return Unit(word.text, *(round(x, 4) for x in (word.start, word.end, word.confidence)))
