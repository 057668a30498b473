"""Why a language fails: its character errors parted among four causes, which add up to all of them.

In this order, so that no error counts twice:

lid     language identification: the errors less those of the same model told each utterance's
        language.  Negative where being told makes it worse.
The other three part the errors that are left (of the text decoded with the language given, where
there is one) along the alignment that scoring counts them in:
unseen  a reference character that training never saw is substituted or deleted.  A text of known
        characters has at least one error for each of them: the floor of the CER.
text    the reference breaks the script or the speaking rate of its language: the other errors in a
        word with a letter of another script and the space before it (in languages without spaces:
        at the letter), and in an utterance at a rate that nobody speaks at.
rest    all other errors.

An inserted character breaks with either neighbour.  What was not measured is None, and its errors
are among those of the causes below it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr_dro_plugin.scoring.broken_text import Marks, broken_texts
from asr_dro_plugin.scoring.edit_distance import EditCounts
from asr_dro_plugin.scoring.scores import Score, Utterances


class Cause(NamedTuple):
    """A column's head, what the share is, and what helps where it is large."""

    head: str
    meaning: str
    advice: str


CAUSES = {
    "lid": Cause(
        "naming",
        "errors that go where the language is given (less than 0: giving it hurts)",
        "Give the language where it is known (--lang); else more speakers of the languages that "
        "are taken for each other.",
    ),
    "unseen": Cause(
        "unseen",
        "reference characters that training never saw: the floor",
        "No training mends it: add text with these characters, or map them (text_norm): digits "
        "to words, rare letters and other cases to known ones.",
    ),
    "text": Cause(
        "text",
        "errors where the reference breaks its language's script or speaking rate",
        "Mend or drop these references, and look for their like in the training set.",
    ),
    "rest": Cause(
        "rest",
        "what is left: hearing and spelling",
        "More speech or a pretrained model for hearing, a language model for spelling.",
    ),
}
MOST_LISTED = 20  # characters and utterances of a language


@dataclass(frozen=True)
class Causes:
    """Errors by cause of each group, and of all under ``total``; what stands behind them.

    Args:
        groups: group -> cause -> errors, None where it was not measured.
        total: cause -> errors of all groups, None where of one it was not measured.
        unseen: group -> unseen characters of its references -> how often.
        broken: group -> (utterance, how its text breaks, errors), most errors first.
        has_lid: whether languages are named at all.
    """

    groups: Mapping[str, Mapping[str, int | None]]
    total: Mapping[str, int | None]
    unseen: Mapping[str, Mapping[str, int]]
    broken: Mapping[str, Sequence[tuple[str, str, int]]]
    has_lid: bool


def causes_of(
    score: Score,
    forced: Score | None = None,
    unseen: Collection[str] | None = None,
    durations: Mapping[str, float] | None = None,
    scripts: Mapping[str, str] | None = None,
    trained: Mapping[str, Mapping[str, int]] | None = None,
) -> Causes:
    """Part a score's character errors.

    Args:
        score: of the free decoding.
        forced: of hypotheses of the same references, decoded with each one's language given; a
            group that lacks some keeps the errors of naming among the others.
        unseen: characters that training never saw, of those in the references; None: not known.
        durations: utterance -> seconds; None: no speaking rates.
        scripts: language -> ISO 15924 code.
        trained: language -> character -> count of the training text, which tells scripts too.
    """
    utterances = score.utterances
    told = _told(score, forced)
    hyps = utterances.hyps
    if forced is not None:
        hyps = [
            theirs if is_told else ours
            for ours, theirs, is_told in zip(hyps, forced.utterances.hyps, told, strict=True)
        ]
    faults = broken_texts(utterances, durations or {}, scripts or {}, trained or {})
    rows = [
        _parted(ref, hyp, unseen or (), marks)
        for ref, hyp, (_, marks) in zip(utterances.refs, hyps, faults, strict=True)
    ]
    columns = np.array(rows, dtype=int).reshape(-1, 3)
    naming = utterances.counts["cer"].errors - columns.sum(1)
    groups = _by_group(utterances, [naming, *columns.T], told, unseen is not None)
    return Causes(
        groups, _total(groups, score.total.cer.errors), _counted(utterances, unseen or ()),
        _listed(utterances, faults, columns[:, 1].tolist()), score.has_lid,
    )  # fmt: skip


def share(errors: int | None, cer: EditCounts) -> float | None:
    """Errors per reference character; of a group without text per error, as its CER is 1."""
    if errors is None:
        return None
    return errors / cer.ref if cer.ref else errors / max(cer.errors, 1)


def rest_of(whole: float, parts: Iterable[float | None]) -> float:
    """What is left of all errors, or of the CER; parts that were not measured are in it."""
    return whole - sum(part for part in parts if part is not None)


def _told(score: Score, forced: Score | None) -> np.ndarray:
    """(N,) whether the whole group of an utterance was decoded with its language given."""
    utterances = score.utterances
    if forced is None:
        return np.zeros(len(utterances), bool)
    absent = set(forced.missing) - set(score.missing)
    lacks = np.array([utt_id in absent for utt_id in utterances.utt_ids], bool)
    return ~np.isin(utterances.group_ids, utterances.group_ids[lacks])


def _parted(
    ref: str, hyp: str, unseen: Collection[str], marks: Marks | None
) -> tuple[int, int, int]:
    """Errors of one pair: unseen characters, broken text, the rest."""
    found = [0, 0, 0]
    for kind, place, _ in Levenshtein.editops(ref, hyp).as_list() if ref != hyp else ():
        if kind != "insert" and ref[place] in unseen:
            found[0] += 1
        elif marks and _is_broken(kind, place, marks):
            found[1] += 1
        else:
            found[2] += 1
    return tuple(found)


def _is_broken(kind: str, place: int, marks: Marks) -> bool:
    beside = marks[max(place - 1, 0) : place + 1] if kind == "insert" else marks[place : place + 1]
    return any(beside)


def _by_group(
    utterances: Utterances, columns: Sequence[np.ndarray], told: np.ndarray, knows_text: bool
) -> dict[str, dict[str, int | None]]:
    """Sums of the causes' columns (N,); what was not measured is None."""
    ids, num_groups = utterances.group_ids, len(utterances.group_names)
    sums = [np.bincount(ids, column, num_groups).astype(int).tolist() for column in columns]
    groups = {
        name: dict(zip(CAUSES, row, strict=True))
        for name, *row in zip(utterances.group_names, *sums, strict=True)
    }
    untold = np.bincount(ids, ~told, num_groups) > 0
    for row, is_untold in zip(groups.values(), untold, strict=True):
        row["lid"] = None if is_untold else row["lid"]
        row["unseen"] = row["unseen"] if knows_text else None
    return groups


def _total(groups: Mapping[str, Mapping[str, int | None]], errors: int) -> dict[str, int | None]:
    total: dict[str, int | None] = {}
    for cause in ("lid", "unseen", "text"):
        column = [row[cause] for row in groups.values()]
        total[cause] = None if None in column else sum(column)
    return total | {"rest": rest_of(errors, total.values())}


def _counted(utterances: Utterances, unseen: Collection[str]) -> dict[str, dict[str, int]]:
    """Group -> unseen characters of its references, the most frequent first."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in utterances.group_names}
    for group, ref in zip(utterances.groups(), utterances.refs, strict=True):
        counts[group].update(char for char in ref if char in unseen)
    return {
        group: dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))[:MOST_LISTED])
        for group, found in counts.items()
        if found
    }


def _listed(
    utterances: Utterances, faults: Sequence[tuple[str, Marks | None]], errors: Sequence[int]
) -> dict[str, list[tuple[str, str, int]]]:
    """Group -> utterances whose text breaks and costs errors, the costliest first."""
    listed: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    rows = zip(utterances.groups(), utterances.utt_ids, faults, errors, strict=True)
    for group, utt_id, (words, _), count in rows:
        if words and count:
            listed[group].append((utt_id, words, count))
    return {
        group: sorted(found, key=lambda row: (-row[2], row[0]))[:MOST_LISTED]
        for group, found in listed.items()
    }
