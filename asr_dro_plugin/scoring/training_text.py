"""What a model can know of writing: the characters of its training text, or of its tokens."""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import Normalizer, split_tag
from asr_dro_plugin.text.tokens import characters_of_tokens

Counts = Mapping[str, Mapping[str, int]]  # language -> character -> how often


@dataclass(frozen=True)
class TrainingText:
    """Characters as they are compared, which is after normalisation.

    Args:
        counts: language ('' where nobody told) -> character -> how often; empty of tokens.
        spelled: characters that the tokens are made of; None where the text itself is known.
        spells_all: whether the tokens can write any character (bytes).
    """

    counts: Counts
    spelled: frozenset[str] | None = None
    spells_all: bool = False

    def unseen(self, texts: Iterable[str], normalize: Normalizer) -> frozenset[str]:
        """Characters of normalised texts that no language's training text held.

        Of tokens: that they cannot write, nor their parts where normalising composes these.
        """
        found = set().union(*texts) - {" "}
        if self.spells_all:
            return frozenset()
        if self.spelled is None:
            return frozenset(found.difference(*self.counts.values()))
        return frozenset(char for char in found if not self._writes(char, normalize))

    def _writes(self, char: str, normalize: Normalizer) -> bool:
        parts = unicodedata.normalize("NFD", char)
        composed = self.spelled.issuperset(parts) and normalize(parts, "") == char
        return char in self.spelled or composed


def read_training_text(path: str | os.PathLike, normalize: Normalizer) -> TrainingText:
    """The characters of a Kaldi text, by the language of its tags or of ``utt2lang`` beside it.

    Every word is normalised once, however often it stands there.

    Raises:
        UserError: a file that is not there, is damaged or holds no text.
    """
    path = Path(path)
    beside = path.with_name("utt2lang")
    langs = read_table(beside) if beside.is_file() else {}
    words: dict[str, Counter[str]] = defaultdict(Counter)
    for utt_id, text in read_table(path).items():
        tag, rest = split_tag(text)
        words[tag or langs.get(utt_id, "")].update(rest.split())
    counts = {lang: _characters(found, lang, normalize) for lang, found in words.items()}
    if not any(counts.values()):
        raise UserError(f"{path} holds no text. Give the text that the model was trained on.")
    return TrainingText(counts)


def _characters(words: Mapping[str, int], lang: str, normalize: Normalizer) -> Counter[str]:
    counts: Counter[str] = Counter()
    for word, times in words.items():
        for char in normalize(word, lang):
            counts[char] += times
    counts.pop(" ", None)
    return counts


def text_of_tokens(tokens: Iterable[str], normalize: Normalizer) -> TrainingText:
    """The characters that tokens are made of, in the case that is compared; tags are none."""
    chars = {symbol for symbol in characters_of_tokens(tokens) if len(symbol) == 1}
    return TrainingText({}, frozenset(chars).union(*(normalize(char, "") for char in chars)))
