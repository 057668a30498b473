"""Latin letters of a text in any script by uroman (Hermjakob, May and Knight 2018).

A unit is a small letter, a digit, or ``<space>`` between words.
"""

import importlib.metadata
import importlib.util
import unicodedata

from asr_dro_plugin.errors import UserError, how_to_install
from asr_dro_plugin.text.normalizers import lower_no_punct
from asr_dro_plugin.text.tokens import SPACE

PACKAGE = "uroman"


def version() -> str:
    """Of the package.

    Raises:
        UserError: it is not here.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise UserError(
            f"Latin letters need {PACKAGE}, which is not here: {how_to_install('romanised')}"
        )
    return importlib.metadata.version(PACKAGE)


class Romaniser:
    """Reads its tables once (some 2 s); a line takes some 0.7 ms."""

    def __init__(self) -> None:
        version()
        import uroman

        self._uroman = uroman.Uroman()

    def __call__(self, text: str, lang: str) -> list[str]:
        """Units of a text whose language is an ISO 639-3 code."""
        return units_of(self._uroman.romanize_string(text, lcode=lang))


def units_of(latin: str) -> list[str]:
    """What uroman wrote, as units: accents that it left go, and so does what is no letter."""
    plain = unicodedata.normalize("NFD", lower_no_punct(latin))
    kept = (char for char in plain if char == " " or unicodedata.category(char)[0] in "LN")
    return [SPACE if char == " " else char for char in "".join(kept).strip()]
