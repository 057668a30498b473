"""Greedy (best path) CTC decoding: the likeliest symbol of each frame, collapsed.

Source: Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError

NOT_TEXT = frozenset({"<blank>", "<sos/eos>"})
TAG = re.compile(r"\[[a-z]{3}\]")


def greedy(emission: Emission) -> list[list[int]]:
    """Token ids of each utterance: repeats merged, then blanks removed.

    Only the argmax leaves the accelerator: B x T integers instead of B x T x V floats.

    Raises:
        UserError: an utterance whose own frames hold NaN (a diverged model, or broken audio).
    """
    best, is_nan = _best_path(emission)
    lengths = _to_numpy(emission.lengths)
    inside = np.arange(best.shape[1])[None, :] < lengths[:, None]
    if (is_nan & inside).any():
        index = int(np.flatnonzero((is_nan & inside).any(axis=1))[0])
        raise UserError(
            f"The model gives NaN for item {index} of the batch. "
            "Its parameters or the audio are broken; look at the training log."
        )
    changed = np.ones(best.shape, dtype=bool)
    changed[:, 1:] = best[:, 1:] != best[:, :-1]
    keep = inside & changed & (best != emission.blank_id)
    return [row[mask].tolist() for row, mask in zip(best, keep, strict=True)]


def tokens_to_text(ids: Iterable[int], tokens: Sequence[str], token_type: str) -> str:
    """Text of token ids, words separated by single spaces.

    ``<space>`` (char) and ``▁`` (bpe) become spaces; a language tag such as ``[eng]`` is one
    symbol with a space after it, whether or not the model put one there; ``<blank>`` and
    ``<sos/eos>`` are dropped.  ``<unk>`` stays as it is, as in ESPnet's own output; scoring counts
    it as one wrong character.

    Args:
        ids: token ids without blanks, as ``greedy`` gives them.
        tokens: the symbols by id.
        token_type: ``char``, ``bpe`` (sentencepiece) or ``word``.
    """
    if token_type not in ("char", "bpe", "word"):
        raise UserError(f"token_type '{token_type}' is unknown. Give char, bpe or word.")
    symbols = [tokens[index] for index in ids if tokens[index] not in NOT_TEXT]
    if token_type == "word":
        return " ".join(symbols)
    return " ".join("".join(_spelled(symbol, token_type) for symbol in symbols).split())


def _spelled(symbol: str, token_type: str) -> str:
    if TAG.fullmatch(symbol):
        return f" {symbol} "
    if token_type == "bpe":
        return symbol.replace("▁", " ")
    return " " if symbol == "<space>" else symbol


def _best_path(emission: Emission) -> tuple[np.ndarray, np.ndarray]:
    """Likeliest column of each frame (B, T), and whether its value is NaN (B, T)."""
    log_probs = emission.log_probs
    if isinstance(log_probs, np.ndarray):
        best = log_probs.argmax(-1)
        values = np.take_along_axis(log_probs, best[..., None], -1)[..., 0]
        return best, np.isnan(values)
    values, best = log_probs.detach().max(-1)
    return _to_numpy(best), _to_numpy(values.isnan())


def _to_numpy(array) -> np.ndarray:
    """A numpy array of a numpy array or of a torch tensor on any device."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()
