"""Words and characters with times and confidence, from the frames of their tokens; given texts.

What a time means: CTC says a token in one or a few frames near its sound and blanks elsewhere.  A
character begins with its token's first frame and ends with its last one; a word begins with its
first token's first frame and ends with its last token's last frame.  Nothing is stretched to the
next word, so an end tends to be early by a few frames, and no time is interpolated.  A piece or a
word that is one token has one time, which all its characters share.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from asr_dro_plugin.decoding.abs_decoder import to_numpy
from asr_dro_plugin.decoding.align import TokenSpan, align_tokens, mean_score
from asr_dro_plugin.decoding.unknown_words import between_neighbours, ids_with_stars, with_star
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import Normalizer, add_tag, none, split_tag
from asr_dro_plugin.text.tokens import (
    BLANK,
    SOS_EOS,
    SPACE,
    TOKEN_TYPES,
    UNK,
    WORD_START,
    build_tokenizer,
    tags_in,
)
from asr_dro_plugin.transcripts.transcript import Unit

MAX_NAMED = 10  # characters in a message
Spelled = tuple[str, TokenSpan]  # a character, a space or a whole symbol, and where it is said


def units_of(
    spans: Sequence[TokenSpan],
    tokens: Sequence[str],
    token_type: str,
    frame_shift: float,
    offset: float = 0.0,
    duration: float | None = None,
) -> tuple[tuple[Unit, ...], tuple[Unit, ...]]:
    """Words and characters of an alignment.

    The words joined by spaces are the text of ``tokens_to_text`` without its leading language tag;
    the characters are those of the words.  ``<unk>`` stays, as one character.

    Args:
        spans: the alignment of one utterance.
        tokens: the symbols by id.
        token_type: char, bpe or word.
        frame_shift: seconds a frame.
        offset: seconds of the original audio before the first frame.
        duration: seconds of the original audio, which no time exceeds (a model's last frame may).

    Returns:
        (words, characters).  The confidence of a character is the geometric mean of its token's
        probabilities over its frames, that of a word the geometric mean over its characters: 1 is
        certain; it is the model's belief, and says nothing of how often it is right.
    """
    if token_type not in TOKEN_TYPES:
        raise UserError(f"token_type '{token_type}' is unknown. Give {', '.join(TOKEN_TYPES)}.")

    def unit(said: Sequence[Spelled]) -> Unit:
        start, end = said[0][1].start * frame_shift, said[-1][1].end * frame_shift
        mean = sum(span.score for _, span in said) / len(said)
        limit = math.inf if duration is None else duration
        text = "".join(text for text, _ in said)
        confidence = min(1.0, math.exp(mean))  # rounding may leave a log probability above 0
        return Unit(text, min(offset + start, limit), min(offset + end, limit), confidence)

    words = _words(spans, tokens, token_type)
    return tuple(map(unit, words)), tuple(unit([char]) for word in words for char in word)


def _words(
    spans: Sequence[TokenSpan], tokens: Sequence[str], token_type: str
) -> list[list[Spelled]]:
    """The characters of each word; a leading language tag is left out."""
    words: list[list[Spelled]] = [[]]
    for text, span in _spelled(spans, tokens, token_type):
        if text.isspace():
            words.append([])
        else:
            words[-1].append((text, span))
    words = [word for word in words if word]
    has_tag = words and split_tag("".join(text for text, _ in words[0]))[0]
    return words[1:] if has_tag else words


def _spelled(
    spans: Sequence[TokenSpan], tokens: Sequence[str], token_type: str
) -> Iterator[Spelled]:
    """Characters, spaces and whole symbols in order."""
    for span in spans:
        for part in _parts(tokens[span.id], token_type):
            yield part, span


def _parts(symbol: str, token_type: str) -> list[str]:
    if symbol in (BLANK, SOS_EOS):
        return []
    is_whole = symbol == UNK or split_tag(symbol)[0]
    if token_type == "word":
        return [*([symbol] if is_whole else symbol), " "]
    if is_whole:
        return [symbol] if symbol == UNK else [" ", symbol, " "]
    if token_type == "bpe":
        return list(symbol.replace(WORD_START, " "))
    return [" " if symbol == SPACE else symbol]


@dataclass(frozen=True)
class Aligned:
    """Words as the text has them and characters as the model has them, with times.

    ``score`` is the mean over the tokens of their log probabilities (each its mean over its
    frames): 0 is certain; a text that is not said lies several units lower.  ``unknown`` are words
    that the model has no tokens for, with what they have none of: they have the time between their
    neighbours, no characters, no part in the score and the confidence 0.
    """

    words: tuple[Unit, ...]
    chars: tuple[Unit, ...]
    score: float
    unknown: Mapping[str, str] = field(default_factory=dict)


class TextAligner:
    """Places texts in emissions of a model with these symbols, spelled as ``token_type`` says.

    ``bpemodel`` is its sentencepiece model, for bpe; ``normalize`` brings a text into the form of
    the model's training text.
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
            UserError: the model has tokens for no word of the text, or it does not fit.
        """
        tag, rest = split_tag(text)
        lang = tag or lang
        words = rest.split()
        spoken = [self.normalize(word, lang).split() for word in words]
        unknown = [self._unknown(" ".join(parts)) for parts in spoken]
        known = [not lacks for lacks in unknown]
        if not all(known):
            self._refuse_all_unknown(spoken, unknown)
        log_probs = row_of(emission)
        spans = self._spans(log_probs, self._words(lang, spoken, known), emission.blank_id)
        shift = emission.frame_shift
        parts, chars = units_of(spans, self.tokens, self.token_type, shift, offset, duration)
        counts = [len(own) * is_known for own, is_known in zip(spoken, known, strict=True)]
        end = offset + min(len(log_probs) * shift, math.inf if duration is None else duration)
        timed = between_neighbours(_timed(words, counts, parts, offset), known, offset, end)
        lacking = {w: lacks for w, lacks in zip(words, unknown, strict=True) if lacks}
        return Aligned(tuple(timed), chars, mean_score(spans), lacking)

    def _unknown(self, text: str) -> str:
        """What of a normalised word the model has no token for, sorted; empty for nothing."""
        if not text:
            return ""
        return " ".join(map(repr, sorted({s for s in self.tokenize(text) if s not in self.ids})))

    def _refuse_all_unknown(self, spoken: Sequence[Sequence[str]], unknown: Sequence[str]) -> None:
        if any(parts and not lacks for parts, lacks in zip(spoken, unknown, strict=True)):
            return
        lacking = sorted({symbol for lacks in unknown for symbol in lacks.split()})
        more = f" and {len(lacking) - MAX_NAMED} more" if len(lacking) > MAX_NAMED else ""
        remedy = (
            "Write it as in the training text (for example --text_norm lower_no_punct)."
            if self.normalize is none
            else "Give the --exp of a model of its script, or map its characters (docs/data.md)."
        )
        raise UserError(
            f"The model has tokens for no word of the text, which has "
            f"{' '.join(lacking[:MAX_NAMED])}{more}. {remedy}"
        )

    def _words(
        self, lang: str, spoken: Sequence[Sequence[str]], known: Sequence[bool]
    ) -> list[tuple[str, bool]]:
        """Normalised words and whether they are known; first the tag, if the model has it."""
        words = [(" ".join(p), is_known) for p, is_known in zip(spoken, known, strict=True) if p]
        has_tag = words and f"[{lang}]" in self.tags
        return [(add_tag(lang, ""), True), *words] if has_tag else words

    def _spans(
        self, log_probs: np.ndarray, words: Sequence[tuple[str, bool]], blank_id: int
    ) -> list[TokenSpan]:
        """Where the tokens of the known words are said."""
        star = log_probs.shape[1]
        if not all(is_known for _, is_known in words):
            log_probs = with_star(log_probs)
        between = self._ids(" ") if self.token_type == "char" and SPACE in self.ids else []
        ids = ids_with_stars(words, self._ids, between, star)
        return [span for span in align_tokens(log_probs, ids, blank_id) if span.id != star]

    def _ids(self, text: str) -> list[int]:
        """Tokens of a text of known words; that of the space may be missing."""
        symbols = self.tokenize(text)
        if unknown := sorted({symbol for symbol in symbols if symbol not in self.ids}):
            named = " ".join(map(repr, unknown))
            raise UserError(f"The text has {named}, for which the model has no token.")
        return [self.ids[symbol] for symbol in symbols]


def row_of(emission: Emission) -> np.ndarray:
    """(T, V): the log probabilities of an emission's first utterance."""
    return to_numpy(emission.log_probs[0, : int(emission.lengths[0])])


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
