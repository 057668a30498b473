"""From transcripts to the texts that are compared: tag off, normalised, spaces where they count."""

import re

from asr_dro_plugin.text.normalizers import Normalizer

TAG = re.compile(r"\[[a-z]{3}\]")
UNKNOWN = re.compile(r"<unk>|⁇")
UNKNOWN_SYMBOL = "\ue000"  # private use: no transcript holds it and no normaliser removes it


def normalized(text: str, lang: str, normalize: Normalizer) -> str:
    """The text that is compared: no tag anywhere, normalised, single spaces between words.

    A tag inside the text is a fault of language identification alone, so it costs no characters.
    """
    return " ".join(normalize(TAG.sub(" ", text), lang).split())


def part_tag(text: str) -> tuple[str | None, str]:
    """Leading language tag, or None, and the text without any tag."""
    found = TAG.match(text)
    tag, rest = (text[1:4], text[5:]) if found else (None, text)
    return tag, TAG.sub(" ", rest).strip(" ")


def mark_unknown(text: str) -> str:
    """Every unknown symbol of a recogniser as one character that equals no other."""
    return UNKNOWN.sub(UNKNOWN_SYMBOL, text)
