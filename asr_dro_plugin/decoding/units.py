"""Words and characters with times and confidence, from the frames of their tokens.

What a time means: CTC says a token in one or a few frames near its sound and blanks elsewhere.  A
character begins with its token's first frame and ends with its last one; a word begins with its
first token's first frame and ends with its last token's last frame.  Nothing is stretched to the
next word, so an end tends to be early by a few frames, and no time is interpolated.  A piece or a
word that is one token has one time, which all its characters share.
"""

import math
from collections.abc import Iterator, Sequence

from asr_dro_plugin.decoding.align import TokenSpan
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.text.tokens import BLANK, SOS_EOS, SPACE, TOKEN_TYPES, UNK, WORD_START
from asr_dro_plugin.transcripts.transcript import Unit

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
        return Unit(text, min(offset + start, limit), min(offset + end, limit), _confidence(mean))

    words = _words(spans, tokens, token_type)
    return tuple(map(unit, words)), tuple(unit([char]) for word in words for char in word)


def _confidence(log_prob: float) -> float:
    return min(1.0, math.exp(log_prob))  # rounding may leave a log probability above 0


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
