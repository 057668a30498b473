"""Two decodings of one set, by the paired test of ``asr-dro score --compare``."""

from collections.abc import Sequence

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.read.utterances import ScoredUtterance
from asr_dro_plugin.scoring.paired import Differences, differences


def compare(base: Sequence[ScoredUtterance], other: Sequence[ScoredUtterance]) -> Differences:
    """The differences of CER, other minus base, over the utterances of both.

    Raises:
        UserError: no utterance in common, or references that were counted differently.
    """
    theirs = {utterance.utt_id: utterance for utterance in other}
    pairs = [(each, theirs[each.utt_id]) for each in base if each.utt_id in theirs]
    if not pairs:
        raise UserError("The two decodings have no utterance in common.")
    for one, two in pairs:
        if one.ref != two.ref:
            raise UserError(
                f"The references of '{one.utt_id}' differ. Score both with the same "
                "--text_norm and the same reference."
            )
    ours, others = zip(*pairs, strict=True)
    return differences(
        ([each.errors for each in ours], [each.errors for each in others]),
        [each.ref_chars for each in ours],
        [each.group for each in ours],
        [each.unit for each in ours],
    )
