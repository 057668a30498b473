"""What is taken for what: characters and words, of each script, and languages."""

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import nsmallest
from itertools import chain

from rapidfuzz.distance import Levenshtein

from asr_dro_plugin.scoring.scores import Utterances
from asr_dro_plugin.text.characters import script_of

MOST = 200  # of each kind and script are kept
ACROSS, OTHER = "ACROSS SCRIPTS", ""
NO_TAG = "none"
Edit = tuple[str, str]  # reference and hypothesis


def confusions(utterances: Utterances) -> dict[str, list[list]]:
    """``chars`` and ``words``: [reference, hypothesis, count], the most frequent first.

    An empty reference is an insertion, an empty hypothesis a deletion.  Of each script as many are
    kept, so that one with much text hides no other.
    """
    triples = zip(utterances.refs, utterances.hyps, utterances.no_space.tolist(), strict=True)
    pairs = [triple for triple in triples if triple[0] != triple[1]]
    chars = Counter(chain.from_iterable(_edits(ref, hyp) for ref, hyp, _ in pairs))
    words = Counter(
        chain.from_iterable(
            _edits(ref, hyp) if is_spaceless else _edits(ref.split(), hyp.split())
            for ref, hyp, is_spaceless in pairs
        )
    )
    return {"chars": _most(chars), "words": _most(words)}


def lid_confusion(utterances: Utterances) -> dict[str, dict[str, int]]:
    """Language -> recognised language or ``none`` -> utterances, both sorted."""
    pairs = zip(utterances.langs, (tag or NO_TAG for tag in utterances.tags), strict=True)
    table: dict[str, dict[str, int]] = {}
    for (lang, tag), count in sorted(Counter(pairs).items()):
        table.setdefault(lang, {})[tag] = count
    return table


def confused_pairs(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str, int, float]]:
    """(spoken, named, count, share of the spoken) of ``lid_confusion``'s errors, by share."""
    found = [
        (lang, named, count, count / sum(row.values()))
        for lang, row in counts.items()
        for named, count in row.items()
        if named != lang and count
    ]
    return sorted(found, key=lambda pair: (-pair[3], -pair[2], pair[:2]))


def script_of_edit(ref: str, hyp: str) -> str:
    """Script of the letters on both sides (``LATIN``); ``ACROSS`` where they differ.

    ``OTHER`` of what has no letter: spaces, digits, marks.
    """
    first, *more = {script_of(char) for char in ref + hyp if char.isalpha()} or {OTHER}
    return ACROSS if more else first


def _edits(ref: Sequence[str], hyp: Sequence[str]) -> list[Edit]:
    return [
        ("" if kind == "insert" else ref[i], "" if kind == "delete" else hyp[j])
        for kind, i, j in Levenshtein.editops(ref, hyp).as_list()
    ]


def _most(counted: Counter[Edit]) -> list[list]:
    """The most frequent first, equals by name, so that the same texts give the same list."""
    parts: dict[str, list] = {}
    for (ref, hyp), count in counted.items():
        parts.setdefault(script_of_edit(ref, hyp), []).append((-count, ref, hyp))
    kept = sorted(chain.from_iterable(nsmallest(MOST, part) for part in parts.values()))
    return [[ref, hyp, -count] for count, ref, hyp in kept]
