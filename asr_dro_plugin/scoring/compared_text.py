"""From transcripts to the texts that are compared: tag off, normalised, spaces where they count.

Normalising texts one by one takes longer than counting their edits.  Transcripts of a recipe are
normalised already, and of most others a normaliser only replaces characters: numpy finds the first
kind and does the second (``character_rules``), and the normaliser is left with the rest.
"""

import re
from collections.abc import Iterator, Sequence

from asr_dro_plugin.scoring.character_rules import CharacterRules
from asr_dro_plugin.text.normalizers import Normalizer, kind_of

TAG = re.compile(r"\[[a-z]{3}\]")
PLAIN_TAG = re.compile(r"\[[a-z]{3}\] ")
UNKNOWN = re.compile(r"<unk>|⁇")
UNKNOWN_SYMBOL = "\ue000"  # private use: no transcript holds it and no normaliser removes it
BLOCK = 4_000  # texts looked at together


def normalized(text: str, lang: str, normalize: Normalizer) -> str:
    """The text that is compared: no tag anywhere, normalised, single spaces between words.

    A tag inside the text is a fault of language identification alone, so it costs no characters.
    """
    return " ".join(normalize(TAG.sub(" ", text), lang).split())


def part_tag(text: str) -> tuple[str | None, str]:
    """Leading language tag, or None, and the text without any tag."""
    if "[" not in text:
        return None, text
    found = TAG.match(text)
    tag, rest = (text[1:4], text[5:]) if found else (None, text)
    return tag, (TAG.sub(" ", rest) if "[" in rest else rest).strip(" ")


def mark_unknown(text: str) -> str:
    """Every unknown symbol of a recogniser as one character that equals no other."""
    return UNKNOWN.sub(UNKNOWN_SYMBOL, text) if "<" in text or "⁇" in text else text


def part_tags(texts: Sequence[str]) -> tuple[list[str | None], list[str]]:
    """``part_tag`` of N texts: leading tags, and the texts without tags."""
    tags: list[str | None] = [None] * len(texts)
    words = list(texts)
    known: dict[str, str | None] = {}  # beginning -> its tag, if it is "[eng] "
    for place in [place for place, text in enumerate(texts) if "[" in text]:
        text = texts[place]
        begin = text[:6]
        if begin not in known:
            known[begin] = begin[1:4] if PLAIN_TAG.fullmatch(begin) else None
        tag, rest = known[begin], text[6:].strip(" ")
        tags[place], words[place] = (tag, rest) if tag and "[" not in rest else part_tag(text)
    return tags, words


def normalize_all(texts: Sequence[str], langs: Sequence[str], normalize: Normalizer) -> list[str]:
    """``normalized`` of N texts, each in its language; texts that it would not change stay."""
    done = list(texts)
    for places in _alike(langs, normalize):
        rules = CharacterRules(normalize, langs[places[0]])
        for begin in range(0, len(places), BLOCK):
            block = places[begin : begin + BLOCK]
            numbers = rules.to_mend(_at(texts, block))
            if not numbers:
                continue
            changed = [block[number] for number in numbers]
            mended = rules.mend(_at(texts, changed))
            for place, text in zip(changed, mended, strict=True):
                one = normalized(texts[place], langs[place], normalize) if text is None else text
                done[place] = one
    return done


def _at(texts: Sequence[str], places: Sequence[int]) -> Sequence[str]:
    """The texts at some places; those of a range are a slice."""
    if isinstance(places, range):
        return texts[places.start : places.stop]
    return [texts[place] for place in places]


def _alike(langs: Sequence[str], normalize: Normalizer) -> Iterator[Sequence[int]]:
    """Places of the texts whose languages are normalised alike."""
    kinds = {lang: kind_of(normalize, lang) for lang in set(langs)}
    distinct = set(kinds.values())
    if len(distinct) == 1:
        yield range(len(langs))
        return
    for kind in distinct:
        yield [place for place, lang in enumerate(langs) if kinds[lang] == kind]
