"""Is one decoding better than another?  A paired test a language, corrected for their number.

Both decoded the same utterances, so each language's difference of CER is resampled over its
utterances (or speakers, recordings).  With many languages some would look different by chance:
Holm's correction keeps the chance of a single false mark at 5 %.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.score_files import NORMAL_95
from asr_dro_plugin.reporting.utterances import Utterance
from asr_dro_plugin.resampling import paired_test

LEVEL = 0.05
FEW_SAMPLES, MANY_SAMPLES = 1000, 20000
LOOK_CLOSER = 0.1  # p of the few samples below which the many are drawn
SEED = 0


@dataclass(frozen=True)
class Difference:
    """Other minus base, in CER 0..1: negative is better than the base.

    ``p_value`` is of this language alone; ``significant`` is after Holm's correction.
    """

    difference: float
    low: float
    high: float
    p_value: float
    significant: bool = False


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
    found = {group: _difference(rows) for group, rows in sorted(pairs.items())}
    kept = holm({group: each.p_value for group, each in found.items()})
    groups = {
        group: Difference(each.difference, each.low, each.high, each.p_value, group in kept)
        for group, each in found.items()
    }
    return Comparison(
        groups, macro_difference(list(groups.values())), sum(map(len, pairs.values()))
    )


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


def _difference(rows: Sequence[tuple[Utterance, Utterance]]) -> Difference:
    """Paired test of one language; the many samples only where the few leave doubt."""
    ours, theirs = (np.array([pair[side].errors for pair in rows]) for side in (0, 1))
    refs = np.array([pair[0].ref_chars for pair in rows])
    units = _units([pair[0] for pair in rows])
    for samples in (FEW_SAMPLES, MANY_SAMPLES):
        found = paired_test(ours, theirs, refs, units, samples, SEED)
        if found.p_value > LOOK_CLOSER:
            break
    return Difference(found.difference, found.low, found.high, found.p_value)


def _units(utterances: Sequence[Utterance]) -> np.ndarray | None:
    """Numbers of speakers or recordings; None where each utterance stands for itself."""
    names = [utterance.unit for utterance in utterances]
    distinct = sorted(set(names))
    if len(distinct) == len(names):
        return None
    number = {name: index for index, name in enumerate(distinct)}
    return np.array([number[name] for name in names])


def holm(p_values: Mapping[str, float]) -> set[str]:
    """Names whose null hypothesis is rejected at 5 % over all of them together.

    Source: S. Holm 1979, Scandinavian Journal of Statistics 6:65.
    """
    ranked = sorted(p_values.items(), key=lambda item: (item[1], item[0]))
    kept = set()
    for position, (name, p_value) in enumerate(ranked):
        if p_value > LEVEL / (len(ranked) - position):
            break
        kept.add(name)
    return kept


def macro_difference(each: Sequence[Difference]) -> Difference:
    """Of the mean over languages, which are independent of each other: their variances add."""
    difference = sum(one.difference for one in each) / len(each)
    errors = [(one.high - one.low) / 2 / NORMAL_95 for one in each]
    error = math.sqrt(sum(value**2 for value in errors)) / len(each)
    p_value = math.erfc(abs(difference) / error / math.sqrt(2)) if error else float(not difference)
    half = NORMAL_95 * error
    return Difference(difference, difference - half, difference + half, p_value, p_value < LEVEL)
