"""Transcripts of a model without CTC: its attention decoder writes them, token by token."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.quiet_cuts import quiet_pieces
from asr_dro_plugin.audio.read_ahead import SpeechItem
from asr_dro_plugin.decoding.abs_decoder import TokenPath
from asr_dro_plugin.decoding.language import FORCED, LanguageChoice
from asr_dro_plugin.decoding.runaway import WritingLimits
from asr_dro_plugin.decoding.sounding import Sounding
from asr_dro_plugin.espnet.decode.inference import EspnetRecogniser, memory_of_the_device
from asr_dro_plugin.espnet.model.attention_greedy import greedy_paths
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.transcribing.transcriber import (
    NAN_FAULT,
    Transcriber,
    TranscriberSettings,
    finite,
    no_progress,
    without_text,
)
from asr_dro_plugin.transcripts.transcript import (
    Hypothesis,
    Transcript,
    first_ended_early,
    main_language,
)

# Utterances that the decoder remembers: Whisper has keys and values of 30 s for the shortest one,
# 37 MB in the base model and 490 MB in the large one.
AT_ONCE = 16


class AttentionTranscriber(Transcriber):
    """Greedy decoding with the decoder of an encoder-decoder model; words have no times.

    What is longer than the encoder takes (Whisper: 30 s), or than ``chunk_length``, is cut where it
    is quietest, and the pieces' texts are joined, in the language that most of them have.

    Args:
        recogniser: a model with an attention decoder.
        language: which languages may be found.
        settings: batches and chunks.
        limits: when a text is ended that does not end by itself.
    """

    def __init__(
        self,
        recogniser: EspnetRecogniser,
        language: LanguageChoice,
        settings: TranscriberSettings,
        limits: WritingLimits | None = None,
    ) -> None:
        self.language, self.limits = language, limits
        super().__init__(recogniser, None, replace(settings, stride=None), language.only)

    @property
    def longest(self) -> float:
        """Seconds that are decoded at once."""
        given, model = self.settings.chunk_length, self.recogniser.longest
        return min(length for length in (given, model, float("inf")) if length is not None)

    def _is_long(self, utterance: SpeechItem) -> bool:
        return utterance.duration > self.longest

    @memory_of_the_device()
    @torch.inference_mode()
    def _decoded(self, batch: Sequence[SpeechItem]) -> list[Transcript]:
        parts = (batch[first : first + AT_ONCE] for first in range(0, len(batch), AT_ONCE))
        return [transcript for part in parts for transcript in self._decoded_at_once(part)]

    def _decoded_at_once(self, batch: Sequence[SpeechItem]) -> list[Transcript]:
        langs = [each.lang for each in batch]
        encoded = self.recogniser.encoded([each.samples for each in batch])
        allowed = self.language.allowed(len(batch), langs) if self.language.tags else None
        seconds = [each.duration for each in batch]
        paths = greedy_paths(
            self.recogniser.model, *encoded, allowed, durations=seconds, limits=self.limits
        )
        return [self._written(*pair) for pair in zip(batch, paths, strict=True)]

    def _written(self, utterance: SpeechItem, path: TokenPath | None) -> Transcript:
        if path is None:
            return without_text(utterance, NAN_FAULT)
        text, score = self._text(path.ids), finite(path.score)
        lang, words = split_tag(text)
        if self.recogniser.untagged_lang:
            text = words
        lang = lang or utterance.lang or self.lang
        hypothesis, seconds = Hypothesis(text, score, score), round(utterance.duration, 6)
        return Transcript(
            utterance.utt_id, (hypothesis,), lang, seconds, ended_early=path.ended_early
        )

    def _long(self, utterance: SpeechItem) -> Transcript:
        """Piece by piece, digital silence left out, in the language of most seconds."""
        heard = Sounding(utterance.samples, 1).heard
        if fault := self._too_short(replace(utterance, samples=heard)):
            return without_text(utterance, fault)
        cuts = quiet_pieces(heard, int(self.longest * SAMPLE_RATE))
        pieces = [replace(utterance, samples=heard[start:end]) for start, end in cuts]
        pieces = [piece for piece in pieces if not self._too_short(piece)]
        found = self._decoded_in(self.language, pieces, utterance.utt_id)
        choice = self._language_of(found)
        others = [n for n, each in enumerate(found) if choice and each.lang != choice.rule]
        again = self._decoded_in(choice, [pieces[n] for n in others], utterance.utt_id)
        for number, transcript in zip(others, again, strict=True):
            found[number] = transcript
        return self._joined(utterance, found)

    def _decoded_in(
        self, choice: LanguageChoice | None, pieces: Sequence[SpeechItem], name: str
    ) -> list[Transcript]:
        """Transcripts of pieces in the languages of ``choice``."""
        if not pieces:
            return []
        size = max(1, int(self.settings.batch_duration / self.longest))
        found: list[Transcript] = []
        given, self.language = self.language, choice
        try:
            with (self.progress or no_progress)(len(pieces), name) as bar:
                for first in range(0, len(pieces), size):
                    batch = pieces[first : first + size]
                    found += self._batch(batch)
                    if bar is not None:
                        bar.advance(len(batch))
        finally:
            self.language = given
        return found

    def _language_of(self, found: Sequence[Transcript]) -> LanguageChoice | None:
        """That of most of a recording's seconds, unless each utterance's is given."""
        code = main_language(found)
        if code not in self.language.tags or self.language.rule == FORCED:
            return None
        return replace(self.language, rule=code)

    def _joined(self, utterance: SpeechItem, found: Sequence[Transcript]) -> Transcript:
        """One transcript of the pieces' texts; a fault of one is a fault of all."""
        if fault := next((each.fault for each in found if each.fault), ""):
            return without_text(utterance, fault)
        texts = [found[0].text, *(split_tag(each.text)[1] for each in found[1:])]
        score = finite(sum(each.hypotheses[0].score for each in found))
        hypothesis = Hypothesis(" ".join(" ".join(texts).split()), score, score)
        lang, seconds = found[0].lang, round(utterance.duration, 6)
        why = first_ended_early(found)
        return Transcript(utterance.utt_id, (hypothesis,), lang, seconds, ended_early=why)
