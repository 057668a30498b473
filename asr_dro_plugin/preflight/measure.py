"""What a training would meet, language by language, measured from tables alone.

Nothing is decoded, built or fetched.  ``preflight/report.py`` judges and writes what is found.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.data.utt_tables import UttTables
from asr_dro_plugin.stack.frames import FrameCounter
from asr_dro_plugin.stack.limits import TOO_LONG, TOO_MANY_LABELS, Limits
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.text.tokens import UNK, characters_of_tokens
from asr_dro_plugin.text.whisper_tokens import is_whisper_list

EXAMPLES = 5
TABLES = ("text", "utt2lang", "utt2category", "utt2num_samples")


def labels_and_repeats(ids: Sequence[int]) -> tuple[int, int]:
    """Number of labels, and of neighbours that are equal, which CTC must part by a blank.

    A path needs one frame for each (Graves et al. 2006), else the loss is infinite.
    """
    return len(ids), sum(a == b for a, b in zip(ids, ids[1:], strict=False))


@dataclass
class Few:
    """A count and the first few of what was counted."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, utt_id: str) -> None:
        """Count one utterance."""
        self.count += 1
        if len(self.first) < EXAMPLES:
            self.first.append(utt_id)


@dataclass
class Facts:
    """One language of one set.

    Attributes:
        seconds: of each utterance.
        longest_utt, longest_seconds: the utterance that lasts longest.
        num_tokens: labels of all texts; num_unk of them are ``<unk>``.
        num_chars: characters without tags and spaces.
        unalignable: too few frames for CTC.
        too_long, too_many_labels: beyond the limits of the stack.
        empty: texts without a character.
        unknown: characters that no token spells.
        unseen: characters that the training text lacks.
    """

    seconds: list[float] = field(default_factory=list)
    longest_utt: str = ""
    longest_seconds: float = 0.0
    num_tokens: int = 0
    num_unk: int = 0
    num_chars: int = 0
    unalignable: Few = field(default_factory=Few)
    too_long: Few = field(default_factory=Few)
    too_many_labels: Few = field(default_factory=Few)
    empty: Few = field(default_factory=Few)
    unknown: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)

    @property
    def num_utts(self) -> int:
        """How many utterances."""
        return len(self.seconds)

    def as_dict(self) -> dict:
        """For JSON: figures in place of the list of lengths."""
        found = asdict(self) | {
            "num_utts": self.num_utts,
            "hours": sum(self.seconds) / 3600,
            "median_seconds": statistics.median(self.seconds),
        }
        for key in ("unknown", "unseen"):
            found[key] = dict(getattr(self, key).most_common())
        del found["seconds"]
        return found


@dataclass
class SetFacts:
    """One set: its tables, its role (train, valid, test), and what training would take of it.

    ``usable`` are the ids, in the tables' order, with their samples, and ``num_labels`` with their
    labels; ``dropped`` are the others, with the reason; ``characters`` those of all texts.
    """

    data: UttTables
    role: str
    languages: dict[str, Facts] = field(default_factory=dict)
    usable: dict[str, int] = field(default_factory=dict)
    num_labels: dict[str, int] = field(default_factory=dict)
    dropped: DropLedger = field(default_factory=DropLedger)
    characters: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """That of its directory."""
        return self.data.path.name

    def as_dict(self) -> dict:
        """For JSON."""
        languages = {lang: facts.as_dict() for lang, facts in self.languages.items()}
        return {"set": self.name, "role": self.role, "languages": languages}


class Ruler:
    """Measures sets for one stack and one list of tokens.

    Args:
        to_ids: text -> ids.
        tokens: the list.
        frames: how many frames CTC sees.
        limits: of the stack.
    """

    def __init__(
        self,
        to_ids: Callable[[str], Sequence[int]],
        tokens: Sequence[str],
        frames: FrameCounter,
        limits: Limits,
    ) -> None:
        self.tokens, self.frames, self.limits = tokens, frames, limits
        self._to_ids = to_ids
        self._unk = tokens.index(UNK) if UNK in tokens else -1
        # Whisper's pieces spell every byte
        self.known = None if is_whisper_list(tokens) else frozenset(characters_of_tokens(tokens))

    def measure(self, data: UttTables, role: str, seen: Collection[str] | None = None) -> SetFacts:
        """All figures of one set.

        Args:
            data: its tables.
            role: train, valid or test.
            seen: the characters of the training text, for the other sets.
        """
        found = SetFacts(data, role)
        samples = np.array([int(data.tables["utt2num_samples"][u]) for u in data.utt_ids], int)
        frames = np.asarray(self.frames.num_frames(samples)).tolist()
        for utt_id, length, num_frames in zip(data.utt_ids, samples.tolist(), frames, strict=True):
            # ESPnet strips every kind of white space at the end of a text line
            text = data.tables["text"][utt_id].rstrip()
            found.languages.setdefault(data.lang(utt_id), Facts())
            self._count(found, utt_id, length, num_frames, self._to_ids(text))
            self._spell(found, utt_id, text, seen)
        found.languages = dict(sorted(found.languages.items()))
        return found

    def _count(
        self, found: SetFacts, utt_id: str, num_samples: int, num_frames: int, ids: Sequence[int]
    ) -> None:
        """Lengths of one utterance; whether it can be trained on."""
        facts = found.languages[found.data.lang(utt_id)]
        seconds = num_samples / SAMPLE_RATE
        if seconds > facts.longest_seconds:
            facts.longest_utt, facts.longest_seconds = utt_id, seconds
        facts.seconds.append(seconds)
        labels, repeats = labels_and_repeats(ids)
        facts.num_tokens += labels
        facts.num_unk += sum(index == self._unk for index in ids) if self._unk >= 0 else 0
        faults = list(self.limits.faults(num_samples, num_frames, labels, repeats))
        sets = {TOO_LONG: facts.too_long, TOO_MANY_LABELS: facts.too_many_labels}
        for reason, _ in faults:
            sets.get(reason, facts.unalignable).add(utt_id)
        if faults:
            found.dropped.add(utt_id, found.data.lang(utt_id), *faults[0])
        else:
            found.usable[utt_id], found.num_labels[utt_id] = num_samples, labels

    def _spell(self, found: SetFacts, utt_id: str, text: str, seen: Collection[str] | None) -> None:
        """Characters of one text, those that are unknown and unseen among them."""
        facts = found.languages[found.data.lang(utt_id)]
        words = "".join(split_tag(text)[1].split())
        facts.num_chars += len(words)
        if not words:
            facts.empty.add(utt_id)
        distinct = set(words)
        found.characters |= distinct
        for kind, reference in (("unknown", self.known), ("unseen", seen)):
            new = distinct - reference if reference is not None else ()
            for char in new:
                getattr(facts, kind)[char] += words.count(char)
