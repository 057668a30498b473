"""From named speech to transcripts: emission, decoder, text, times; long audio in chunks."""

import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.read_ahead import SpeechItem
from asr_dro_plugin.audio.silence import has_sound, silences
from asr_dro_plugin.decoding.abs_decoder import AbsDecoder, TokenPath, frames_inside
from asr_dro_plugin.decoding.align import align_tokens
from asr_dro_plugin.decoding.chunks import plan_chunks, refuse_uncounted, stitch
from asr_dro_plugin.decoding.greedy import speller
from asr_dro_plugin.decoding.sounding import SHORTEST, Sounding
from asr_dro_plugin.decoding.units import units_of
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.transcribing.abs_recogniser import AbsRecogniser, OutOfMemory
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, Unit

IMPOSSIBLE = -1e9
NAN_FAULT = "the model gives NaN for it"
SILENT_SHARE = 0.2  # of an utterance: more of it without signal moves its normalisation


@dataclass(frozen=True)
class TranscriberSettings:
    """What ``decode_*.yaml`` says beside the decoder; see ``decoding.options``."""

    batch_duration: float = 60.0
    times: bool = False
    chunk_length: float | None = None
    stride: tuple[float, float] | None = None

    @classmethod
    def of(cls, config: Mapping) -> "TranscriberSettings":
        """The settings among a decoding configuration's keys."""
        return cls(**{key: config[key] for key in cls.__dataclass_fields__ if key in config})


class Transcriber:
    """Turns utterances into transcripts; one that cannot be decoded gets its fault, no exception.

    Args:
        recogniser: the model.
        decoder: what reads its emissions; None where ``_decoded`` is another's.
        settings: batches, times and chunks.
        lang: the language that is forced on every utterance, for transcripts of a model that
            writes no tag.

    Raises:
        UserError: chunks for a stack whose frames cannot be counted.

    Attributes:
        takes_chunks: whether long audio may be decoded in chunks.
        progress: ``Progress`` or its like, to show the chunks of a long recording.
    """

    takes_chunks = True

    def __init__(
        self,
        recogniser: AbsRecogniser,
        decoder: AbsDecoder | None,
        settings: TranscriberSettings | None = None,
        lang: str | None = None,
    ) -> None:
        self.recogniser, self.decoder, self.lang = recogniser, decoder, lang
        self.progress: Callable[[int, str], AbstractContextManager] | None = None
        self.settings = settings or TranscriberSettings()
        self._text = speller(recogniser.tokens, recogniser.token_type)
        if self.settings.chunk_length:
            refuse_uncounted(recogniser.exact_frames)

    def __call__(self, utterances: Sequence[SpeechItem]) -> list[Transcript]:
        """Transcripts in the order of the utterances, which are decoded as one batch.

        Those longer than ``chunk_length`` are decoded each for itself, its chunks in batches.
        """
        made: dict[int, Transcript] = {}
        batch: list[int] = []
        for number, utterance in enumerate(utterances):
            if fault := utterance.fault or self._too_short(utterance):
                made[number] = without_text(utterance, fault)
            elif not has_sound(utterance.samples):
                logging.warning("%s has no sound: its text is empty.", utterance.utt_id)
                made[number] = without_text(utterance, "")
            elif self._is_long(utterance):
                made[number] = self._long(utterance)
            else:
                batch.append(number)
        made.update(zip(batch, self._batch([utterances[n] for n in batch]), strict=True))
        return [made[number] for number in range(len(utterances))]

    def _too_short(self, utterance: SpeechItem) -> str:
        """Why the stack makes not one frame of it, which alone would be an error, and in a batch
        noise; empty if it does."""
        if len(utterance.samples) >= self.recogniser.min_samples:
            return ""
        return f"too short for the model ({utterance.duration:.3f} s)"

    def _is_long(self, utterance: SpeechItem) -> bool:
        """Longer than a chunk, or with so much digital silence that it is decoded as such."""
        length = self.settings.chunk_length
        if length is None:
            return False
        return utterance.duration > length or self._is_mostly_silent(utterance.samples)

    def _is_mostly_silent(self, samples: np.ndarray) -> bool:
        pauses = sum(end - start for start, end in silences(samples, SHORTEST))
        return pauses > SILENT_SHARE * len(samples)

    def _batch(self, batch: Sequence[SpeechItem]) -> list[Transcript]:
        """Decode together; what does not fit into the device's memory in halves."""
        if not batch:
            return []
        try:
            return self._decoded(batch)
        except OutOfMemory:
            pass  # outside of the handler, which holds what did not fit
        if len(batch) == 1:
            seconds = batch[0].duration
            return [without_text(batch[0], f"too long for the memory ({seconds:.1f} s)")]
        half = len(batch) // 2
        return self._batch(batch[:half]) + self._batch(batch[half:])

    def _decoded(self, batch: Sequence[SpeechItem]) -> list[Transcript]:
        emission = self.recogniser.emission([each.samples for each in batch])
        return self._read(emission, batch, self.decoder)

    def _long(self, utterance: SpeechItem) -> Transcript:
        """The log probabilities of all chunks put together, then decoded once, in one language."""
        shift, blank_id = self.recogniser.frame_shift, self.recogniser.blank_id
        hop = round(shift * SAMPLE_RATE)
        sounding = Sounding(utterance.samples, hop)
        heard = sounding.heard
        if fault := self._too_short(replace(utterance, samples=heard)):
            return without_text(utterance, fault)
        length, stride = self.settings.chunk_length, self.settings.stride
        chunks = plan_chunks(len(heard), length, stride, hop, SAMPLE_RATE)
        pieces = self._in_batches([heard[c.start : c.end] for c in chunks], utterance.utt_id)
        whole = sounding.whole(stitch(pieces, chunks), blank_id)
        lengths = np.array([len(whole)])
        emission = Emission(whole[None], lengths, shift, blank_id, self.recogniser.tokens)
        return self._read(emission, [utterance], self._decoder_of(pieces))[0]

    def _in_batches(self, speech: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
        """Log probabilities (T, V) of each chunk."""
        size = max(1, int(self.settings.batch_duration / self.settings.chunk_length))
        pieces: list[np.ndarray] = []
        with (self.progress or no_progress)(len(speech), name) as bar:
            for first in range(0, len(speech), size):
                batch = speech[first : first + size]
                pieces += self._pieces(batch)
                if bar is not None:
                    bar.advance(len(batch))
        return pieces

    def _decoder_of(self, pieces: Sequence[np.ndarray]) -> AbsDecoder | None:
        """The decoder, of the one language that all pieces of a recording decide together."""
        language = getattr(self.decoder, "language", None)
        code = language and language.decide_over(pieces)
        return self.decoder if code is None else self.decoder.of_one_language(code)

    def _pieces(self, speech: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Log probabilities (T, V) of each chunk, none of a rest that makes no frame."""
        heard = [len(samples) >= self.recogniser.min_samples for samples in speech]
        emission = self.recogniser.emission([s for s, is_one in zip(speech, heard) if is_one])
        rows = zip(emission.log_probs, emission.lengths.tolist(), strict=True)
        found = [row[:length] for row, length in rows]
        return [found.pop(0) if is_one else emission.log_probs[0, :0] for is_one in heard]

    def _read(
        self, emission: Emission, batch: Sequence[SpeechItem], decoder: AbsDecoder | None
    ) -> list[Transcript]:
        """Transcripts of a batch's emission; NaN is the fault of its utterance."""
        made = [without_text(utterance, NAN_FAULT) for utterance in batch]
        sound = [number for number, is_nan in enumerate(_is_nan(emission)) if not is_nan]
        if len(sound) < len(batch):
            log_probs, lengths = emission.log_probs[sound], emission.lengths[sound]
            emission = replace(emission, log_probs=log_probs, lengths=lengths)
        if sound:
            found = decoder(emission, [batch[number].lang or self.lang for number in sound])
            for row, (number, paths) in enumerate(zip(sound, found, strict=True)):
                made[number] = self._transcript(batch[number], paths, emission, row)
        return made

    def _transcript(
        self, utterance: SpeechItem, paths: Sequence[TokenPath], emission: Emission, row: int
    ) -> Transcript:
        hypotheses = [self.hypothesis(path) for path in paths]
        if self.settings.times:
            hypotheses[0] = self._timed(hypotheses[0], paths[0].ids, utterance, emission, row)
        lang = split_tag(hypotheses[0].text)[0] or utterance.lang or self.lang
        return Transcript(utterance.utt_id, tuple(hypotheses), lang, round(utterance.duration, 6))

    def hypothesis(self, path: TokenPath) -> Hypothesis:
        """A path as text."""
        scores = map(finite, (path.score, path.am_score, path.lm_score))
        return Hypothesis(self._text(path.ids), *scores)

    def _timed(
        self,
        hypothesis: Hypothesis,
        ids: Sequence[int],
        utterance: SpeechItem,
        emission: Emission,
        row: int,
    ) -> Hypothesis:
        log_probs = emission.log_probs[row, : int(emission.lengths[row])]
        start = utterance.offset
        end = start + utterance.duration
        return self.timed(hypothesis, ids, log_probs, start, end, utterance.utt_id)

    def timed(
        self,
        hypothesis: Hypothesis,
        ids: Sequence[int],
        log_probs: np.ndarray,
        start: float,
        end: float,
        name: str,
    ) -> Hypothesis:
        """The hypothesis with words and characters, in seconds of the original audio.

        Args:
            hypothesis: of the token ``ids``.
            log_probs: (T, V), the frames in which they are said.
            start: seconds of the original audio at which the first frame begins.
            end: seconds of the original audio in all, beyond which no time lies.
            name: of the audio, for the warning that they cannot be said in these frames.
        """
        recogniser = self.recogniser
        try:
            spans = align_tokens(log_probs, ids, recogniser.blank_id)
        except UserError as error:
            logging.warning("%s: words without times (%s)", name, error)
            return hypothesis
        tokens = recogniser.tokens, recogniser.token_type
        words, chars = units_of(spans, *tokens, recogniser.frame_shift, start, end)
        return replace(hypothesis, words=_rounded(words), chars=_rounded(chars))


def _rounded(units: Iterable[Unit]) -> tuple[Unit, ...]:
    """The same to a tenth of a millisecond: a frame has ten or more."""
    return tuple(
        Unit(u.text, *(round(x, 4) for x in (u.start, u.end, u.confidence))) for u in units
    )


def no_progress(_total: int, _title: str) -> AbstractContextManager:
    return contextlib.nullcontext()


def without_text(utterance: SpeechItem, fault: str) -> Transcript:
    """An empty transcript that says why; no fault is nothing to be said."""
    duration = round(utterance.duration, 6) if len(utterance.samples) else None
    return Transcript(utterance.utt_id, (Hypothesis("", 0.0),), None, duration, fault)


def finite(score: float | None) -> float | None:
    """The score, or a very bad one for minus infinity, which JSON cannot say."""
    return score if score is None or math.isfinite(score) else IMPOSSIBLE


def _is_nan(emission: Emission) -> list[bool]:
    """Whether an utterance's own frames hold NaN; a softmax makes a frame NaN as a whole."""
    nan = np.isnan(emission.log_probs[:, :, 0])
    return (nan & frames_inside(nan, emission.lengths)).any(axis=1).tolist()
