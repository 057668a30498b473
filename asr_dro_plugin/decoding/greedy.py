"""Greedy (best path) CTC decoding: the likeliest symbol of each frame, collapsed.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from asr_dro_plugin.decoding.abs_decoder import (
    AbsDecoder,
    TokenPath,
    arrays_of,
    frames_inside,
    refuse_nan,
    to_numpy,
)
from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.decoding.weights import LanguageWeights
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.tokens import BLANK, SOS_EOS, SPACE, TOKEN_TYPES, WORD_START
from asr_dro_plugin.text.whisper_tokens import joined_bytes, spelled_bytes

NOT_TEXT = frozenset({BLANK, SOS_EOS})
TAG = re.compile(r"\[[a-z]{3}\]")


@dataclass(frozen=True)
class GreedyDecoder(AbsDecoder):
    """The likeliest symbol of each frame, collapsed; the score is that path's log probability.

    Where ``language`` is not free, or ``weights`` penalise the blank, the tags are taken out of the
    frames, and the decided one stands in front.
    """

    language: LanguageChoice
    weights: LanguageWeights = LanguageWeights()

    def __call__(
        self, emission: Emission, langs: Sequence[str | None] | None = None
    ) -> list[list[TokenPath]]:
        if self.language.is_free and not self.weights.penalise:
            return best_paths(emission)
        log_probs, lengths = arrays_of(emission)
        tags = self.language.decide(log_probs, lengths, langs)
        text = self.language.without_tags(log_probs)
        penalty = self.weights.penalties(self.language.named(tags, langs, len(text)))
        text[:, :, emission.blank_id] -= penalty[:, None]
        read = replace(emission, log_probs=text, lengths=lengths)
        return tagged(best_paths(read), tags)


def tagged(found: list[list[TokenPath]], tags: np.ndarray | None) -> list[list[TokenPath]]:
    """The same with each utterance's tag before its ids; None changes nothing."""
    if tags is None:
        return found
    return [
        [replace(path, ids=(int(tag), *path.ids)) for path in paths]
        for paths, tag in zip(found, tags, strict=True)
    ]


def best_paths(emission: Emission) -> list[list[TokenPath]]:
    """One hypothesis an utterance; its score is the log probability of the likeliest path.

    Only each frame's maximum leaves the accelerator.

    Raises:
        UserError: as ``greedy``.
    """
    rows, scores = _collapsed(emission)
    return [
        [TokenPath(tuple(ids), score, am_score=score)]
        for ids, score in zip(rows, scores.tolist(), strict=True)
    ]


def greedy(emission: Emission) -> list[list[int]]:
    """Token ids of each utterance: repeats merged, then blanks removed.

    Only the argmax leaves the accelerator: B x T integers instead of B x T x V floats.

    Raises:
        UserError: an utterance whose own frames hold NaN (a diverged model, or broken audio).
    """
    return _collapsed(emission)[0]


def _collapsed(emission: Emission) -> tuple[list[list[int]], np.ndarray]:
    """Ids of the likeliest paths, and their log probabilities (B,)."""
    best, values = _best_path(emission)
    inside = frames_inside(best, to_numpy(emission.lengths))
    refuse_nan(np.isnan(values), inside)
    changed = np.ones(best.shape, dtype=bool)
    changed[:, 1:] = best[:, 1:] != best[:, :-1]
    keep = inside & changed & (best != emission.blank_id)
    rows = [row[mask].tolist() for row, mask in zip(best, keep, strict=True)]
    return rows, np.where(inside, values, 0.0).sum(axis=1, dtype=np.float64)


def _best_path(emission: Emission) -> tuple[np.ndarray, np.ndarray]:
    """Likeliest column of each frame (B, T), and its log probability (B, T)."""
    log_probs = emission.log_probs
    if isinstance(log_probs, np.ndarray):
        best = log_probs.argmax(-1)
        return best, np.take_along_axis(log_probs, best[..., None], -1)[..., 0]
    values, best = log_probs.detach().max(-1)
    return to_numpy(best), to_numpy(values)


def tokens_to_text(ids: Iterable[int], tokens: Sequence[str], token_type: str) -> str:
    """Text of token ids, words separated by single spaces.

    ``<space>`` (char) and ``▁`` (bpe) become spaces; a language tag such as ``[eng]`` is one
    symbol with a space after it, whether or not the model put one there; ``<blank>`` and
    ``<sos/eos>`` are dropped.  ``<unk>`` stays as it is, as in ESPnet's own output; scoring counts
    it as one wrong character.

    Args:
        ids: token ids without blanks, as ``greedy`` gives them.
        tokens: the symbols by id.
        token_type: ``char``, ``bpe`` (sentencepiece), ``word`` or ``hugging_face`` (bytes).
    """
    symbols = [tokens[index] for index in ids]
    return speller(symbols, token_type)(range(len(symbols)))


def speller(tokens: Sequence[str], token_type: str) -> Callable[[Iterable[int]], str]:
    """``tokens_to_text`` for many utterances: each symbol's spelling is looked up once.

    Raises:
        UserError: an unknown ``token_type``.
    """
    if token_type not in TOKEN_TYPES:
        known = ", ".join(TOKEN_TYPES)
        raise UserError(f"token_type '{token_type}' is unknown. Give one of {known}.")
    if token_type == "hugging_face":
        parts = [spelled_bytes(symbol) for symbol in tokens]
        return lambda ids: joined_bytes(parts[index] for index in ids)
    spellings = [_spelled(symbol, token_type) for symbol in tokens]
    return lambda ids: " ".join("".join(spellings[index] for index in ids).split())


def _spelled(symbol: str, token_type: str) -> str:
    if symbol in NOT_TEXT:
        return ""
    if token_type == "word" or TAG.fullmatch(symbol):
        return f" {symbol} "
    if token_type == "bpe":
        return symbol.replace(WORD_START, " ")
    return " " if symbol == SPACE else symbol
