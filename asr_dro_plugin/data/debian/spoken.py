"""A recording with its text, and the reasons for which one is no use for recognition."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from asr_dro_plugin.data import corpus
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.speaking_rate import FASTEST

SLOWEST = 2.5  # characters/s; below, text and recording do not belong together
SHORTEST, LONGEST = 0.4, 20.0  # seconds
SCRIPTS = {"Latn": "LATIN", "Cyrl": "CYRILLIC"}  # ISO 15924 -> first word of Unicode's names
_MARKUP = re.compile(r"&#?\w+;|://|\\|[&*_|^~=@#%$/]")


@dataclass(frozen=True)
class Spoken:
    """One recording of a package and its text, on the way to an ``Utterance``.

    ``unit`` is what is said, in whatever language: what must not be in two sets.  ``fault`` is
    what its reader found wrong with the pair, or an empty string.
    """

    lang: str
    corpus: str
    speaker: str
    name: str
    unit: str
    text: str
    audio: Path
    source: str
    fault: str = ""

    @cached_property
    def ids(self) -> tuple[str, str]:
        """Speaker and utterance id as Kaldi has them."""
        return corpus.kaldi_ids(self.lang, self.speaker, f"{self.speaker}-{self.name}")


def decoded(path: Path, raw: bytes, remedy: str = "Take the package's own file.") -> str:
    """The text of a file of a package, which is UTF-8.

    Raises:
        UserError: it is not; names the line.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(f"{path}:{line} is not UTF-8. {remedy}") from None


def fault_of(texts: Iterable[str], sound: Path | None) -> str:
    """Why texts and a recording make no pair, or an empty string."""
    if sound is None:
        return "no recording"
    return {0: "no text", 1: ""}.get(len(set(texts)), "two texts for one recording")


def seconds_of(audio: Path) -> float | None:
    """Seconds by the file's header; None for a missing or damaged one, which ``clean`` counts."""
    try:
        return corpus.audio_duration(str(audio))
    except UserError:
        return None


def reason_to_leave_out(raw: str, text: str, seconds: float | None, script: str = "") -> str:
    """Why a prompt is no use for recognition, or an empty string.

    Args:
        raw: as in the list; text: normalised; seconds: of the recording, None if unknown.
        script: ISO 15924 code that all letters must belong to; other codes than Latn and Cyrl
            are not checked.
    """
    if re.search(r"\d", raw):
        return "has digits"
    if re.search(r"[][(){}<>]", raw):
        return "has brackets"
    if not text:
        return "no text"
    if len(text) == 1:
        return "a single letter"
    if script in SCRIPTS and not all(_is_in(char, SCRIPTS[script]) for char in text):
        return "letters of another script"
    if seconds and not SLOWEST <= len(text) / seconds <= FASTEST:
        return "implausible rate"
    return ""


def _is_in(char: str, script: str) -> bool:
    return not char.isalpha() or unicodedata.name(char, "").startswith(script)


def has_markup(raw: str) -> bool:
    """Whether a text has what nobody reads aloud as it is written: entities, URLs, symbols."""
    return bool(_MARKUP.search(raw))


def mixes_scripts(text: str) -> bool:
    """Whether a word has letters of two scripts: one that looks like another, typed for it."""
    return any(
        len({unicodedata.name(c, "").split(" ")[0] for c in word if c.isalpha()}) > 1
        for word in text.split()
    )


def wrong_length(seconds: float | None) -> str:
    """Why a recording of so many seconds is no sentence, or an empty string."""
    if not seconds:
        return ""
    if seconds < SHORTEST:
        return f"under {SHORTEST:g} s"
    return f"over {LONGEST:g} s" if seconds > LONGEST else ""
