"""Transcripts of a model without CTC: its attention decoder writes them, token by token."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.quiet_cuts import quiet_pieces
from asr_dro_plugin.audio.read_ahead import SpeechItem
from asr_dro_plugin.decoding.abs_decoder import TokenPath
from asr_dro_plugin.decoding.language import FORCED, LanguageChoice
from asr_dro_plugin.espnet.decode.inference import Recogniser
from asr_dro_plugin.espnet.decode.transcriber import (
    NAN_FAULT,
    Transcriber,
    TranscriberSettings,
    finite,
    no_progress,
    without_text,
)
from asr_dro_plugin.espnet.model.attention_greedy import greedy_paths
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript


class AttentionTranscriber(Transcriber):
    """Greedy decoding with the decoder of an encoder-decoder model; words have no times.

    What is longer than the encoder takes (Whisper: 30 s), or than ``chunk_length``, is cut where it
    is quietest, and the pieces' texts are joined; the first piece decides the language.

    Args:
        recogniser: a model with an attention decoder.
        language: which languages may be found.
        settings: batches and chunks.
    """

    def __init__(
        self, recogniser: Recogniser, language: LanguageChoice, settings: TranscriberSettings
    ) -> None:
        self.language = language
        super().__init__(recogniser, None, replace(settings, stride=None), language.only)

    @property
    def longest(self) -> float:
        """Seconds that are decoded at once."""
        given, model = self.settings.chunk_length, self.recogniser.longest
        return min(length for length in (given, model, float("inf")) if length is not None)

    def _is_long(self, utterance: SpeechItem) -> bool:
        return utterance.duration > self.longest

    @torch.inference_mode()
    def _decoded(self, batch: Sequence[SpeechItem]) -> list[Transcript]:
        langs = [each.lang for each in batch]
        encoded = self.recogniser.encoded([each.samples for each in batch])
        allowed = self.language.allowed(len(batch), langs) if self.language.tags else None
        paths = greedy_paths(self.recogniser.model, *encoded, allowed)
        return [self._written(*pair) for pair in zip(batch, paths, strict=True)]

    def _written(self, utterance: SpeechItem, path: TokenPath | None) -> Transcript:
        if path is None:
            return without_text(utterance, NAN_FAULT)
        text, score = self._text(path.ids), finite(path.score)
        lang, words = split_tag(text)
        if self.recogniser.untagged_lang:
            text = words
        lang = lang or utterance.lang or self.lang
        hypothesis = Hypothesis(text, score, score)
        return Transcript(utterance.utt_id, (hypothesis,), lang, round(utterance.duration, 6))

    def _long(self, utterance: SpeechItem) -> Transcript:
        """Piece by piece, in the language of the first."""
        cuts = quiet_pieces(utterance.samples, int(self.longest * SAMPLE_RATE))
        pieces = [replace(utterance, samples=utterance.samples[start:end]) for start, end in cuts]
        pieces = [piece for piece in pieces if not self._too_short(piece)]
        size = max(1, int(self.settings.batch_duration / self.longest))
        batches = [pieces[:1], *(pieces[n : n + size] for n in range(1, len(pieces), size))]
        found: list[Transcript] = []
        language = self.language
        try:
            with (self.progress or no_progress)(len(pieces), utterance.utt_id) as bar:
                for batch in batches:
                    found += self._batch(batch)
                    self.language = self._language_of(found[0])
                    if bar is not None:
                        bar.advance(len(batch))
        finally:
            self.language = language
        return self._joined(utterance, found)

    def _language_of(self, first: Transcript) -> LanguageChoice:
        """That of a recording's first piece, unless each utterance's is given."""
        code = split_tag(first.text)[0]
        keep = code is None or self.language.rule == FORCED
        return self.language if keep else replace(self.language, rule=code)

    def _joined(self, utterance: SpeechItem, found: Sequence[Transcript]) -> Transcript:
        """One transcript of the pieces' texts; a fault of one is a fault of all."""
        if fault := next((each.fault for each in found if each.fault), ""):
            return without_text(utterance, fault)
        texts = [found[0].text, *(split_tag(each.text)[1] for each in found[1:])]
        score = finite(sum(each.hypotheses[0].score for each in found))
        hypothesis = Hypothesis(" ".join(" ".join(texts).split()), score, score)
        return Transcript(
            utterance.utt_id, (hypothesis,), found[0].lang, round(utterance.duration, 6)
        )
