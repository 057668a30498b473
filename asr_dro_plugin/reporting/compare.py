"""Is one decoding better than another?  A paired test a language, corrected for their number.

Both decoded the same utterances, so each language's difference of CER is resampled over its
utterances (or speakers, recordings).  With many languages some would look different by chance:
Holm's correction keeps the chance of a single false mark at 5 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.read.utterances import Utterance
from asr_dro_plugin.scoring.bootstrap import (
    PairedGroups,
    PairedResult,
    holm,
    paired_groups,
    sampling_units,
)

LEVEL = 0.05
SAMPLES = 1000
# With G languages Holm asks for p values below 0.05 / G, which few samples cannot show: where they
# leave doubt, so many are drawn that the smallest p value is half of that.
FINENESS = 2


@dataclass(frozen=True)
class Difference:
    """Other minus base, in CER 0..1: negative is better than the base.

    ``low`` and ``high`` are None where there is one unit only; ``p_value`` is of this language
    alone; ``significant`` is after Holm's correction.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float
    significant: bool


@dataclass(frozen=True)
class Comparison:
    """One decoding against the base, over the utterances that both have.

    Attributes:
        groups: language -> difference.
        macro: difference of the means over languages.
        utterances: how many both have.
    """

    groups: Mapping[str, Difference]
    macro: Difference
    utterances: int

    def marked(self, better: bool) -> list[str]:
        """Languages that are significantly better, or worse, largest difference first."""
        found = [
            name
            for name, each in self.groups.items()
            if each.significant and (each.difference < 0) == better
        ]
        return sorted(found, key=lambda name: (-abs(self.groups[name].difference), name))


def compare(base: Sequence[Utterance], other: Sequence[Utterance]) -> Comparison:
    """The differences of two decodings of one set.

    Raises:
        UserError: no utterance in common, or references that were counted differently.
    """
    pairs = _pairs(base, other)
    names = sorted(pairs)
    found = _tested([pairs[name] for name in names], SAMPLES)
    each = dict(zip(names, found.groups, strict=True))
    doubtful = [name for name in names if each[name].p_value < LEVEL]
    needed = round(FINENESS * len(names) / LEVEL)
    if needed > SAMPLES and doubtful:
        closer = _tested([pairs[name] for name in doubtful], needed)
        each |= dict(zip(doubtful, closer.groups, strict=True))
    corrected = holm([each[name].p_value for name in names])
    groups = {
        name: _difference(each[name], float(p_value))
        for name, p_value in zip(names, corrected, strict=True)
    }
    macro = _difference(found.macro, found.macro.p_value)
    return Comparison(groups, macro, sum(map(len, pairs.values())))


def _difference(result: PairedResult, corrected: float) -> Difference:
    return Difference(result.difference, result.low, result.high, result.p_value, corrected < LEVEL)


def _pairs(
    base: Sequence[Utterance], other: Sequence[Utterance]
) -> dict[str, list[tuple[Utterance, Utterance]]]:
    """By language, the utterances of both."""
    theirs = {utterance.utt_id: utterance for utterance in other}
    pairs: dict[str, list] = {}
    for utterance in base:
        match = theirs.get(utterance.utt_id)
        if match is None:
            continue
        if match.ref != utterance.ref:
            raise UserError(
                f"The references of '{utterance.utt_id}' differ. Score both with the same "
                "--text_norm and the same reference."
            )
        pairs.setdefault(utterance.group, []).append((utterance, match))
    if not pairs:
        raise UserError("The two decodings have no utterance in common.")
    return pairs


def _tested(rows: Sequence[Sequence[tuple[Utterance, Utterance]]], samples: int) -> PairedGroups:
    """The paired test of each language's utterances."""
    groups = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
    ours, theirs = ([pair[side] for each in rows for pair in each] for side in (0, 1))
    units, _ = sampling_units(groups, [utterance.unit for utterance in ours])
    return paired_groups(
        [utterance.errors for utterance in ours],
        [utterance.errors for utterance in theirs],
        [utterance.ref_chars for utterance in ours],
        groups, units, samples,
    )  # fmt: skip
