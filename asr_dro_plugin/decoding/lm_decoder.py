"""Prefix beam search with an n-gram: the tag first, then text under the language model.

The text of a language model holds no language tag and begins with a word.  So the tag is decided
from the frames, its columns and the space after it are given to the blank, and both are put back
in front of what was found.
"""

from collections.abc import Sequence

import numpy as np

from asr_dro_plugin.decoding.abs_decoder import AbsDecoder, TokenPath
from asr_dro_plugin.decoding.language import LanguageChoice, fold, leading_spaces
from asr_dro_plugin.decoding.lm_models import LanguageModels
from asr_dro_plugin.decoding.search_frames import to_numpy
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.tokens import SPACE


class LmDecoder(AbsDecoder):
    """The likeliest text under both models: acoustic log probability plus the n-gram's bonus.

    Args:
        language: decides the tag.
        models: the searches, by language.
    """

    def __init__(self, language: LanguageChoice, models: LanguageModels) -> None:
        self.language, self.models = language, models
        if self.language.tags and self.language.rule != "forced":
            allowed = self.language.allowed(1, None)[0]
            tags = list(self.language.tags)
            models.check([lang for lang, may in zip(tags, allowed, strict=True) if may])

    def __call__(
        self, emission: Emission, langs: Sequence[str | None] | None = None
    ) -> list[list[TokenPath]]:
        log_probs, lengths = to_numpy(emission)
        tags = self.language.decide(log_probs, lengths, langs)
        text, heads = self._text(log_probs, lengths, tags)
        found: list[list[TokenPath]] = [[] for _ in heads]
        for name, rows in self._by_model(tags, langs, len(heads)).items():
            paths = self.models.search(name)(text[rows], lengths[rows])
            for row, of_row in zip(rows, paths, strict=True):
                found[row] = [_behind(heads[row], path) for path in of_row]
        return found

    def _text(self, log_probs, lengths, tags) -> tuple[np.ndarray, list[tuple[int, ...]]]:
        """Frames without tags, and the ids that stand before each text."""
        blank_id, tokens = self.language.blank_id, self.language.tokens
        no_text = ~self.models.spelling.is_text
        no_text[blank_id] = False
        if tags is None:
            text = log_probs.copy()
            text[:, :, no_text] = -np.inf
            return text, [()] * len(log_probs)
        text = self.language.without_tags(log_probs)
        spaces = [tokens.index(SPACE)] if SPACE in tokens else []
        leading = leading_spaces(text, lengths, tokens, blank_id)
        has_space = (leading[:, :, None] & _is_best(text, spaces)).any((1, 2))
        text = fold(text, spaces, blank_id, leading)
        text[:, :, no_text] = -np.inf
        heads = [
            (int(tag), *(spaces if spaced else ()))
            for tag, spaced in zip(tags, has_space, strict=True)
        ]
        return text, heads

    def _by_model(self, tags, langs, num: int) -> dict[str | None, list[int]]:
        """Rows by the language whose model they need."""
        if self.models.config["lm"] == "joint":
            return {None: list(range(num))} if num else {}
        names = {column: lang for lang, column in self.language.tags.items()}
        given = langs if tags is None else [names[int(tag)] for tag in tags]
        if given is None or None in given:
            raise UserError(
                "lm is language, but the model has no language tags and the language of an "
                "utterance is not given. Add utt2lang to the data, or set lm joint."
            )
        self.models.check(sorted(set(given)))
        rows: dict[str | None, list[int]] = {}
        for row, lang in enumerate(given):
            rows.setdefault(lang, []).append(row)
        return rows


def _is_best(log_probs: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """(B, T, n): whether each of ``columns`` is a frame's likeliest symbol."""
    return log_probs.argmax(-1)[:, :, None] == np.array(columns, int)


def _behind(head: tuple[int, ...], path: TokenPath) -> TokenPath:
    """The path with the ids of ``head`` before it; no space stands before nothing."""
    ids = (*head, *path.ids) if path.ids else head[:1]
    return TokenPath(ids, path.score, path.am_score, path.lm_score)
