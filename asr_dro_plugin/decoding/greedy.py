"""Greedy (best path) CTC decoding: the likeliest symbol of each frame, collapsed.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2.
"""

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from asr_dro_plugin.decoding.abs_decoder import TokenPath
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.tokens import BLANK, SOS_EOS, SPACE, TOKEN_TYPES, WORD_START
from asr_dro_plugin.text.whisper_tokens import joined_bytes, spelled_bytes

NOT_TEXT = frozenset({BLANK, SOS_EOS})
TAG = re.compile(r"\[[a-z]{3}\]")


def best_paths(emission: Emission) -> list[list[TokenPath]]:
    """One hypothesis an utterance; its score is the log probability of the likeliest path.

    Only each frame's maximum leaves the accelerator.

    Raises:
        UserError: as ``greedy``.
    """
    best, values = _best_path(emission)
    inside = _inside(emission)
    scores = np.where(inside, values, 0.0).sum(axis=1, dtype=np.float64).tolist()
    rows = _collapsed(emission, best, values, inside)
    return [
        [TokenPath(tuple(ids), score, am_score=score)]
        for ids, score in zip(rows, scores, strict=True)
    ]


def greedy(emission: Emission) -> list[list[int]]:
    """Token ids of each utterance: repeats merged, then blanks removed.

    Only the argmax leaves the accelerator: B x T integers instead of B x T x V floats.

    Raises:
        UserError: an utterance whose own frames hold NaN (a diverged model, or broken audio).
    """
    return _collapsed(emission, *_best_path(emission), _inside(emission))


def _collapsed(
    emission: Emission, best: np.ndarray, values: np.ndarray, inside: np.ndarray
) -> list[list[int]]:
    """Repeats merged, then blanks removed; ``inside`` (B, T) is what belongs to an utterance."""
    broken = (np.isnan(values) & inside).any(axis=1)
    if broken.any():
        raise UserError(
            f"The model gives NaN for item {int(broken.argmax())} of the batch. "
            "Its parameters or the audio are broken; look at the training log."
        )
    changed = np.ones(best.shape, dtype=bool)
    changed[:, 1:] = best[:, 1:] != best[:, :-1]
    keep = inside & changed & (best != emission.blank_id)
    return [row[mask].tolist() for row, mask in zip(best, keep, strict=True)]


def _inside(emission: Emission) -> np.ndarray:
    """Which frames (B, T) belong to an utterance."""
    lengths = _to_numpy(emission.lengths)
    return np.arange(emission.log_probs.shape[1])[None, :] < lengths[:, None]


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
    _check_token_type(token_type)
    if token_type == "hugging_face":
        return joined_bytes(spelled_bytes(tokens[index]) for index in ids)
    return _joined([_spelled(tokens[index], token_type) for index in ids])


def speller(tokens: Sequence[str], token_type: str) -> Callable[[Iterable[int]], str]:
    """``tokens_to_text`` for many utterances: each symbol's spelling is looked up once.

    Raises:
        UserError: an unknown ``token_type``.
    """
    _check_token_type(token_type)
    if token_type == "hugging_face":
        parts = [spelled_bytes(symbol) for symbol in tokens]
        return lambda ids: joined_bytes(parts[index] for index in ids)
    spellings = [_spelled(symbol, token_type) for symbol in tokens]
    return lambda ids: _joined([spellings[index] for index in ids])


def _check_token_type(token_type: str) -> None:
    if token_type not in TOKEN_TYPES:
        known = ", ".join(TOKEN_TYPES)
        raise UserError(f"token_type '{token_type}' is unknown. Give one of {known}.")


def _joined(spellings: Iterable[str]) -> str:
    return " ".join("".join(spellings).split())


def _spelled(symbol: str, token_type: str) -> str:
    if symbol in NOT_TEXT:
        return ""
    if token_type == "word" or TAG.fullmatch(symbol):
        return f" {symbol} "
    if token_type == "bpe":
        return symbol.replace(WORD_START, " ")
    return " " if symbol == SPACE else symbol


def _best_path(emission: Emission) -> tuple[np.ndarray, np.ndarray]:
    """Likeliest column of each frame (B, T), and its log probability (B, T)."""
    log_probs = emission.log_probs
    if isinstance(log_probs, np.ndarray):
        best = log_probs.argmax(-1)
        return best, np.take_along_axis(log_probs, best[..., None], -1)[..., 0]
    values, best = log_probs.detach().max(-1)
    return _to_numpy(best), _to_numpy(values)


def _to_numpy(array) -> np.ndarray:
    """A numpy array of a numpy array or of a torch tensor on any device."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()
