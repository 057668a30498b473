"""What is taken for what: characters, words and languages."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rapidfuzz.distance import Levenshtein

from asr_dro_plugin.scoring.utterances import Utterances

MOST = 200  # of each kind are kept
NO_TAG = "none"


def confusions(utterances: Utterances) -> dict[str, list[list]]:
    """``chars`` and ``words``: [reference, hypothesis, count], the most frequent first.

    An empty reference is an insertion, an empty hypothesis a deletion.
    """
    chars: Counter[tuple[str, str]] = Counter()
    words: Counter[tuple[str, str]] = Counter()
    pairs = zip(utterances.refs, utterances.hyps, utterances.no_space.tolist(), strict=True)
    for ref, hyp, is_spaceless in pairs:
        if ref == hyp:
            continue
        chars.update(_edits(ref, hyp))
        words.update(_edits(ref, hyp) if is_spaceless else _edits(ref.split(), hyp.split()))
    return {"chars": _most(chars), "words": _most(words)}


def lid_confusion(utterances: Utterances) -> dict[str, dict[str, int]]:
    """Language -> recognised language or ``none`` -> utterances, both sorted."""
    pairs = zip(utterances.langs, (tag or NO_TAG for tag in utterances.tags), strict=True)
    table: dict[str, dict[str, int]] = {}
    for (lang, tag), count in sorted(Counter(pairs).items()):
        table.setdefault(lang, {})[tag] = count
    return table


def _edits(ref: Sequence[str], hyp: Sequence[str]) -> Iterator[tuple[str, str]]:
    for kind, i, j in Levenshtein.editops(ref, hyp).as_list():
        yield ("" if kind == "insert" else ref[i]), ("" if kind == "delete" else hyp[j])


def _most(counted: Counter[tuple[str, str]]) -> list[list]:
    return [[ref, hyp, count] for (ref, hyp), count in _ordered(counted.items())[:MOST]]


def _ordered(items: Iterable[tuple[tuple[str, str], int]]) -> list[tuple[tuple[str, str], int]]:
    """The most frequent first, equals by name, so that the same texts give the same list."""
    return sorted(items, key=lambda item: (-item[1], item[0]))
