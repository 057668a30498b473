"""What a scoring gives: the counts of each group, of all, and of every utterance, kept on disk."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.scoring.edit_distance import EditCounts, PairCounts

ONE_GROUP = "all"  # where no languages or other groups are known
COLUMNS = (
    "utt_id", "group", "unit",
    "cer_errors", "cer_sub", "cer_del", "cer_ins", "cer_ref",
    "wer_errors", "wer_sub", "wer_del", "wer_ins", "wer_ref",
    "lid", "ref", "hyp",
)  # fmt: skip


@dataclass(frozen=True)
class Utterances:
    """N utterances, ordered by group and id.

    Args:
        utt_ids: their ids.
        group_names: G names, sorted; ``group_ids`` (N,) says which.
        refs, hyps: the texts as they were compared.
        langs: the language each one is in, as far as tag or group tell.
        tags: the language recognised (a leading tag), or None.
        lid_correct: (N,) bool.
        counts: ``cer``, ``wer`` and, where it was asked for, ``per``.
        no_space: (N,) bool, words are characters there.
    """

    utt_ids: Sequence[str]
    group_names: tuple[str, ...]
    group_ids: np.ndarray
    refs: Sequence[str]
    hyps: Sequence[str]
    langs: Sequence[str]
    tags: Sequence[str | None]
    lid_correct: np.ndarray
    counts: Mapping[str, PairCounts]
    no_space: np.ndarray

    def __len__(self) -> int:
        return len(self.utt_ids)

    def groups(self) -> list[str]:
        """The group's name of each utterance."""
        return [self.group_names[number] for number in self.group_ids.tolist()]

    def unit_names(self, units: Mapping[str, str] | None) -> list[str]:
        """Speaker or recording of each utterance; without a table its own id."""
        return [units[utt_id] for utt_id in self.utt_ids] if units else list(self.utt_ids)


@dataclass(frozen=True)
class GroupScore:
    """Counts of one group, or of all; ``duration`` in seconds or None.

    ``utterance_mean`` is the plain mean of the utterances' rates, by metric.
    """

    cer: EditCounts
    wer: EditCounts
    lid_correct: int
    num_utts: int
    duration: float | None
    per: EditCounts | None = None
    utterance_mean: Mapping[str, float] = field(default_factory=dict)

    @property
    def lid(self) -> float:
        """Share of utterances whose leading tag is their language."""
        return self.lid_correct / self.num_utts


@dataclass(frozen=True)
class Score:
    """Everything counted over one set.

    ``has_lid`` is False where neither references nor hypotheses carry tags: then there is no
    accuracy to speak of, which is not the same as 0 %.

    Args:
        groups: score of each group, sorted by name.
        total: all text pooled.
        missing: references without hypothesis, counted as deletions.
        extra: hypotheses without reference, counted for nothing.
        empty: empty hypotheses of references that are not.
        empty_refs: references that hold no text after normalisation.
        no_space: groups that are compared without spaces.
        normalizer: what both texts went through, as tables call it.
        unknown_phonemes: characters that the phoneme map lacks, and how often they were met.
        text_norm: the normaliser in full, as ``text.recorded`` gives it.
    """

    groups: dict[str, GroupScore]
    total: GroupScore
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    empty: tuple[str, ...]
    empty_refs: tuple[str, ...]
    normalizer: str
    has_lid: bool
    no_space: tuple[str, ...]
    utterances: Utterances
    unknown_phonemes: Mapping[str, int] = field(default_factory=dict)
    text_norm: str = ""

    @property
    def metrics(self) -> tuple[str, ...]:
        """``cer``, ``wer`` and, where they were measured, ``per`` and ``lid``."""
        return (*self.utterances.counts, "lid") if self.has_lid else tuple(self.utterances.counts)

    def rate(self, group: str, metric: str) -> float:
        """One figure of one group: ``cer``, ``wer``, ``per`` (errors), ``lid`` (accuracy), 0..1."""
        value = getattr(self.groups[group], metric)
        return value.rate if isinstance(value, EditCounts) else value

    def macro(self, metric: str) -> float:
        """Plain mean over the groups."""
        return sum(self.rate(group, metric) for group in self.groups) / len(self.groups)

    def worst(self, metric: str) -> str:
        """Group with the most errors or the lowest accuracy; of equals the first by name."""
        sign = -1 if metric == "lid" else 1
        return max(sorted(self.groups), key=lambda group: sign * self.rate(group, metric))


def group_scores(
    utterances: Utterances, durations: Mapping[str, float] | None
) -> tuple[GroupScore, dict[str, GroupScore]]:
    """All text pooled, and each group; ``durations`` is utterance id -> seconds."""
    ids, num_groups = utterances.group_ids, len(utterances.group_names)
    sizes = np.bincount(ids, minlength=num_groups)
    correct = np.bincount(ids, utterances.lid_correct, num_groups).astype(int)
    seconds: list[float | None] = [None] * num_groups
    if durations is not None:
        each = np.array([durations[utt_id] for utt_id in utterances.utt_ids])
        seconds = np.bincount(ids, each, num_groups).tolist()
    edits = {name: c.of_groups(ids, num_groups) for name, c in utterances.counts.items()}
    sums = {name: np.bincount(ids, c.rates, num_groups) for name, c in utterances.counts.items()}
    groups = {
        name: GroupScore(
            lid_correct=int(correct[number]), num_utts=int(sizes[number]),
            duration=seconds[number],
            utterance_mean={key: float(each[number] / sizes[number]) for key, each in sums.items()},
            **{key: values[number] for key, values in edits.items()},
        )
        for number, name in enumerate(utterances.group_names)
    }  # fmt: skip
    total = GroupScore(
        lid_correct=int(correct.sum()), num_utts=len(utterances),
        duration=None if durations is None else sum(seconds),
        utterance_mean={key: float(value.sum() / len(utterances)) for key, value in sums.items()},
        **{key: counts.total() for key, counts in utterances.counts.items()},
    )  # fmt: skip
    return total, groups


def write_utterances(
    path: str | os.PathLike, utterances: Utterances, units: Mapping[str, str] | None = None
) -> None:
    """Write one line an utterance with its counts and texts, parted by tabs, a header first."""
    with atomic_write(path) as stream:
        for row in _rows(utterances, units):
            stream.write("\t".join(map(str, row)) + "\n")


def _rows(utterances: Utterances, units: Mapping[str, str] | None) -> Iterator[Sequence]:
    yield COLUMNS
    kinds = []
    for metric in ("cer", "wer"):
        counts = utterances.counts[metric]
        kinds += [column.tolist() for column in (counts.errors, *counts.columns)]
    yield from zip(
        utterances.utt_ids, utterances.groups(), utterances.unit_names(units), *kinds,
        [tag or "-" for tag in utterances.tags], utterances.refs, utterances.hyps,
        strict=True,
    )  # fmt: skip
