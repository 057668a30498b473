"""Whose voices the sets hold: speakers of each language, and whether sets share them."""

import re
from collections.abc import Sequence

from asr_dro_plugin.reporting.read.data_sets import DataSet

PERTURBED = re.compile(r"^sp[\d.]+-")  # what speed perturbation writes before a speaker
LISTED = 10  # languages above which a range is told


def speakers_of(data_set: DataSet) -> dict[str, frozenset[str]]:
    """Language -> its speakers, sorted; empty where they are not known.

    A changed speed makes no new voice; where every utterance is its own speaker none is known.
    """
    found: dict[str, set[str]] = {}
    for lang, speaker in zip(data_set.langs, data_set.speakers, strict=False):
        found.setdefault(lang, set()).add(PERTURBED.sub("", speaker))
    return {lang: frozenset(speakers) for lang, speakers in sorted(found.items())}


def known_voices(tested: DataSet, trained: DataSet) -> tuple[int, int] | None:
    """How many of the speakers tested training has heard, and of how many; None if not known."""
    mine, theirs = (speakers_of(each) for each in (tested, trained))
    if not mine or not theirs:
        return None
    voices, heard = (frozenset().union(*each.values()) for each in (mine, theirs))
    return len(voices & heard), len(voices)


def one_voice_each(*sets: DataSet) -> bool:
    """Whether every language of every set has one speaker alone."""
    of_sets = [speakers_of(each) for each in sets]
    return all(each and max(map(len, each.values())) == 1 for each in of_sets)


def voices_lines(sets: Sequence[DataSet], trained: DataSet | None) -> list[str]:
    """A line a set: how many speakers of which language, and how many of them training heard.

    Where the voices are the same, a line says what that means.
    """
    lines = [_line(each, trained) for each in sets]
    tested = [each for each in sets if trained and each.name != trained.name]
    if any((known_voices(each, trained) or (0, 0))[0] for each in tested):
        lines.append(
            "voices that training has heard: the figures say little of other speakers, and LID is "
            "partly speaker identification"
        )
    return lines


def _line(data_set: DataSet, trained: DataSet | None) -> str:
    of_lang = speakers_of(data_set)
    if not of_lang:
        return f"speakers of {data_set.name}: not known (no utt2spk, or one an utterance)"
    words = f"speakers of {data_set.name}: {_counts(of_lang)}"
    known = known_voices(data_set, trained) if trained and trained.name != data_set.name else None
    if known is None:
        return words
    shared, all_of_them = known
    which = {0: "none is", all_of_them: "all are"}.get(shared, f"{shared} of {all_of_them} are")
    return f"{words}; {which} in {trained.name} too"


def _counts(of_lang: dict[str, frozenset[str]]) -> str:
    counts = [len(speakers) for speakers in of_lang.values()]
    if max(counts) == 1:
        return "one voice a language"
    if len(counts) <= LISTED:
        return ", ".join(f"{lang} {len(speakers)}" for lang, speakers in of_lang.items())
    middle = sorted(counts)[len(counts) // 2]
    return f"{min(counts)} to {max(counts)} a language, median {middle}"
