"""A text that is known, in a model's output: its tokens, its words' times, how well it fits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.decoding.align import align_tokens, mean_score
from asr_dro_plugin.decoding.units import units_of
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import Normalizer, add_tag, none, split_tag
from asr_dro_plugin.text.tokens import BLANK, SOS_EOS, SPACE, UNK, build_tokenizer, tags_in
from asr_dro_plugin.transcripts.transcript import Unit

MAX_NAMED = 10  # characters in a message


@dataclass(frozen=True)
class Aligned:
    """Words as the text has them and characters as the model has them, with times.

    ``score`` is the mean over the tokens of their log probabilities (each its mean over its
    frames): 0 is certain; a text that is not said lies several units lower.
    """

    words: tuple[Unit, ...]
    chars: tuple[Unit, ...]
    score: float


class TextAligner:
    """Places texts in emissions of one model.

    Args:
        tokens: the model's symbols by id.
        token_type: char, bpe or word.
        bpemodel: its sentencepiece model, for bpe.
        normalize: what brings a text into the form of the model's training text.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        token_type: str,
        bpemodel: str | None = None,
        normalize: Normalizer = none,
    ) -> None:
        self.tokens, self.token_type, self.normalize = tokens, token_type, normalize
        self.tags = set(tags_in(tokens))
        self.ids = {token: index for index, token in enumerate(tokens)}
        symbols = [t for t in tokens if len(t) > 1 and t not in (BLANK, UNK, SOS_EOS, SPACE)]
        self.tokenize = build_tokenizer(token_type, symbols, bpemodel)

    def __call__(
        self,
        emission: Emission,
        text: str,
        lang: str = "",
        offset: float = 0.0,
        duration: float | None = None,
    ) -> Aligned:
        """Times of a text's words in the first utterance of an emission.

        Args:
            emission: the model's output.
            text: what is said; a leading language tag goes along where the model knows it.
            lang: ISO 639-3 code of a text without a tag; empty leaves the tag out.
            offset: seconds of the original audio before the first frame.
            duration: seconds of the original audio.

        Raises:
            UserError: the text has characters that the model has not, or does not fit.
        """
        tag, rest = split_tag(text)
        lang = tag or lang
        words = rest.split()
        spoken = [self.normalize(word, lang).split() for word in words]
        ids = self._ids(lang, " ".join(part for parts in spoken for part in parts))
        log_probs = row_of(emission)
        spans = align_tokens(log_probs, ids, emission.blank_id)
        shift = emission.frame_shift
        parts, chars = units_of(spans, self.tokens, self.token_type, shift, offset, duration)
        counts = [len(parts) for parts in spoken]
        return Aligned(tuple(_timed(words, counts, parts, offset)), chars, mean_score(spans))

    def _ids(self, lang: str, text: str) -> list[int]:
        """Tokens of a normalised text, with its tag if the model has it and there is a text."""
        if text and f"[{lang}]" in self.tags:
            text = add_tag(lang, text)
        symbols = self.tokenize(text)
        unknown = sorted({symbol for symbol in symbols if symbol not in self.ids})
        if unknown:
            named = " ".join(repr(symbol) for symbol in unknown[:MAX_NAMED])
            more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
            raise UserError(
                f"The text has {named}{more}, for which the model has no token. Write it as in "
                "the training text (for example --text_norm lower_no_punct)."
            )
        return [self.ids[symbol] for symbol in symbols]


def row_of(emission: Emission) -> np.ndarray:
    """(T, V): the log probabilities of an emission's first utterance."""
    row = emission.log_probs[0, : int(emission.lengths[0])]
    return row if isinstance(row, np.ndarray) else row.cpu().numpy()


def _timed(
    words: Sequence[str], counts: Sequence[int], parts: Sequence[Unit], offset: float
) -> list[Unit]:
    """One unit for each word of the text, of its ``counts`` parts as the model has them.

    A word without any (a dash) has no length and lies at the end of the one before.
    """
    timed, at, end = [], 0, offset
    for word, count in zip(words, counts, strict=True):
        own = parts[at : at + count]
        at += count
        start, end = (own[0].start, own[-1].end) if own else (end, end)
        confidence = float(np.prod([part.confidence for part in own])) ** (1 / max(count, 1))
        timed.append(Unit(word, start, end, confidence))
    return timed
