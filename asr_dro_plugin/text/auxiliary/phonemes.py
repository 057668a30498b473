"""Phonemes as units: espeak-ng's own, without stress.

A unit is what espeak-ng itself writes as one phoneme, so nothing here guesses where an affricate,
a diphthong or a long vowel ends: ``tʃ``, ``aɪ``, ``iː`` and ``rʲ`` are one unit each, tones stay
with their vowel (``ɑu2``).  Stress (ˈ ˌ), the hyphens of liaison and the marks of another voice
(``(en)``) go; word boundaries, which are not heard, go too.  Phonemes of espeak-ng served as
targets across languages in Xu et al. 2021 (arXiv:2109.11680).
"""

import re
import unicodedata
from collections import Counter
from itertools import groupby

from asr_dro_plugin.text.auxiliary.espeak import Espeak
from asr_dro_plugin.text.auxiliary.letters import letters_of
from asr_dro_plugin.text.auxiliary.voices import Voice

OTHER_VOICE = re.compile(r"\([a-z][a-z0-9-]*\)")
_NO_PHONEME = re.compile(r"[ˈˌ-]")
_BETWEEN = re.compile(r"[_\s]+")


def units_of(said: str) -> list[str]:
    """What ``Espeak.phonemes`` gives, as units in NFC."""
    plain = OTHER_VOICE.sub(" ", _NO_PHONEME.sub("", said))
    return list(filter(None, _BETWEEN.split(unicodedata.normalize("NFC", plain))))


class Phonemizer:
    """Phonemes of one language's texts; the voice is that of ``espeak``, which is in use.

    Attributes:
        foreign: words that kept their letters, counted: in a script that the voice does not know,
            or not in Latin and yet read with another voice, which then reads the names of letters.
    """

    def __init__(self, espeak: Espeak, voice: Voice) -> None:
        self.espeak, self.voice = espeak, voice
        self.foreign: Counter[str] = Counter()

    def __call__(self, text: str) -> list[str]:
        """Units of a normalised text.  Words side by side are read together, as they are said."""
        units: list[str] = []
        for is_known, run in groupby(text.split(), self.voice.knows):
            words = list(run)
            units += self._read(words) if is_known else self._kept(words)
        return units

    def _read(self, words: list[str]) -> list[str]:
        said = self.espeak.phonemes(" ".join(words))
        if "Latn" in self.voice.scripts or not OTHER_VOICE.search(said):
            return units_of(said)
        if len(words) == 1:
            return self._kept(words)
        return [unit for word in words for unit in self._read([word])]

    def _kept(self, words: list[str]) -> list[str]:
        self.foreign.update(words)
        return [letter for word in words for letter in letters_of(word)]
