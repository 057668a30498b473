"""What the sets of a corpus share: recordings, which make a test worthless, speakers and sentences.

Two recordings are the same if they are one file, or files of one size whose bytes are the same.
Pieces of one recording are the same where their times overlap; that others share it is a note.
"""

import hashlib
import itertools
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from asr_dro_plugin.base.files import sha256_of
from asr_dro_plugin.data.corpus import Utterance
from asr_dro_plugin.errors import UserError

SAMPLED = 4096  # bytes at each of three places, before two files of one size are read whole
TOUCH = 0.05  # seconds by which neighbouring pieces may overlap
Sets = Mapping[str, Sequence[Utterance]]
Pair = tuple[Utterance, Utterance]


@dataclass(frozen=True)
class Overlap:
    """What two sets share.

    Attributes:
        names: of the two sets.
        same: pairs of utterances of the same sound, one of each set.
        num_recordings, num_speakers, num_sentences: shared by both; recordings of which the sets
            have different pieces, named speakers, and texts of the second set.
    """

    names: tuple[str, str]
    same: tuple[Pair, ...]
    num_recordings: int
    num_speakers: int
    num_sentences: int


def overlaps(sets: Sets) -> Iterator[Overlap]:
    """What each two sets share, those that share nothing left out."""
    recordings = _by_recording(sets)
    for one, other in itertools.combinations(sets, 2):
        shared = [found for found in recordings if found.get(one) and found.get(other)]
        same = [pair for found in shared for pair in _same(found[one], found[other])]
        found = Overlap(
            (one, other),
            tuple(same),
            len(shared),
            len(_speakers(sets[one]) & _speakers(sets[other])),
            len({utt.text for utt in sets[one]} & {utt.text for utt in sets[other]}),
        )
        if found.num_recordings or found.num_speakers or found.num_sentences:
            yield found


def refuse_same_sound(found: Sequence[Overlap], where: str, option: str) -> None:
    """Raise where two sets have the same sound.

    Args:
        found: as ``overlaps`` gives it.
        where: the corpus, for messages.
        option: what allows it.

    Raises:
        UserError: counts by pair of sets, and the first cases with their places.
    """
    if not any(each.same for each in found):
        return
    told = "; ".join(described(each) for each in found if each.same)
    raise UserError(
        f"{where}: {told}. What is trained on says nothing in a test: take these out of one set, "
        f"or allow it with {option} true."
    )


def described(found: Overlap) -> str:
    """How many utterances of the same sound two sets have, and the first."""
    first, second = found.same[0]
    files = first.audio if first.audio == second.audio else f"{first.audio} = {second.audio}"
    places = " and ".join(utt.source or utt.utt_id for utt in (first, second))
    count = len({utt.utt_id for _, utt in found.same})
    what = "recording of {1} is" if count == 1 else "recordings of {1} are"
    return f"{count} {what.format(*found.names)} in {found.names[0]} too ({files}, {places})"


def notes(found: Sequence[Overlap]) -> Iterator[str]:
    """What else two sets share, a line for each two."""
    for each in found:
        counts = {
            "recordings": 0 if each.same else each.num_recordings,
            "speakers": each.num_speakers,
            "sentences": each.num_sentences,
        }
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        if told:
            yield f"{each.names[0]} and {each.names[1]} share {told}"


def _speakers(utterances: Sequence[Utterance]) -> set[str]:
    """Those that are named: where nobody is, each utterance is its own speaker."""
    return {utt.speaker for utt in utterances if utt.speaker != utt.utt_id}


def _by_recording(sets: Sets) -> list[dict[str, list[Utterance]]]:
    """For each recording that more than one set has: set -> its utterances of it."""
    files: dict[str, dict[str, list[Utterance]]] = defaultdict(lambda: defaultdict(list))
    for name, utterances in sets.items():
        for utt in utterances:
            files[os.path.realpath(utt.audio)][name].append(utt)
    found = []
    for group in _alike(list(files), lambda path: set(files[path])):
        joined: dict[str, list[Utterance]] = defaultdict(list)
        for path in group:
            for name, utterances in files[path].items():
                joined[name] += utterances
        if len(joined) > 1:
            found.append(joined)
    return found


def _alike(paths: Sequence[str], sets_of) -> list[list[str]]:
    """The files grouped by content; those that need not be read, for their size, are alone."""
    groups = [list(paths)]
    for key in (os.path.getsize, _sample, sha256_of):
        groups = [part for group in groups for part in _parted(group, key, sets_of)]
    return groups


def _parted(group: list[str], key, sets_of) -> list[list[str]]:
    """A group by a key of its files, unless all of it is of one set: then nobody asks."""
    if len(group) < 2 or len(set().union(*map(sets_of, group))) < 2:
        return [[path] for path in group]
    parts = defaultdict(list)
    for path in group:
        parts[key(path)].append(path)
    return list(parts.values())


def _sample(path: str) -> str:
    """A hash of the beginning, the middle and the end of a file."""
    digest, size = hashlib.sha256(), os.path.getsize(path)
    with open(path, "rb") as stream:
        for place in (0, size // 2, max(0, size - SAMPLED)):
            stream.seek(place)
            digest.update(stream.read(SAMPLED))
    return digest.hexdigest()


def _same(one: Sequence[Utterance], other: Sequence[Utterance]) -> Iterator[Pair]:
    """Pairs of utterances of one recording whose times overlap, the first for each of ``other``."""
    for second in other:
        start, end = _span(second)
        for first in one:
            if min(end, _span(first)[1]) - max(start, _span(first)[0]) > TOUCH:
                yield first, second
                break


def _span(utt: Utterance) -> tuple[float, float]:
    start = utt.start or 0.0
    return start, start + (utt.duration or float("inf"))
