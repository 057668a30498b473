"""CER, WER, PER and language-identification accuracy per group, macro, worst and total.

Rates are of the corpus: errors of all utterances over reference units of all utterances.  ``total``
is that over everything (micro); ``macro`` is the plain mean of the groups' rates.  ML-SUPERB's
convention, the mean of the utterances' rates, is counted beside it as ``utterance_mean``.

CER counts Unicode code points of the normalised text, single spaces between words included; WER
counts words between spaces.  Languages written without spaces lose theirs on both sides first, and
their WER counts characters: where a space stands there is no fact of the language.
"""

from collections.abc import Collection, Mapping, Sequence
from operator import eq

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.compared_text import (
    UNKNOWN,
    mark_unknown,
    normalize_all,
    normalized,
    part_tags,
)
from asr_dro_plugin.scoring.edit_distance import EditCounts, count_edits
from asr_dro_plugin.scoring.ids import check_ids, lacking, looked_up
from asr_dro_plugin.scoring.pair_counts import PairCounts, chosen, count_pairs, count_strings
from asr_dro_plugin.scoring.phonemes import PhonemeMap
from asr_dro_plugin.scoring.scores import GroupScore, Score, group_scores
from asr_dro_plugin.scoring.utterances import Utterances
from asr_dro_plugin.text.normalizers import Normalizer, get_normalizer, label_of, recorded

__all__ = ["UNKNOWN", "GroupScore", "Score", "compare", "normalized", "score"]
ONE_GROUP = "all"


def score(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    languages: Mapping[str, str] | None = None,
    normalizer: str = "lower_no_punct",
    durations: Mapping[str, float] | None = None,
    no_space: Collection[str] = (),
    phoneme_map: PhonemeMap | None = None,
) -> Score:
    """Score hypotheses against references, utterance id by utterance id.

    A reference without hypothesis counts as all deletions and a wrong language; a hypothesis
    without reference is listed and counts for nothing; empty texts are legal on either side.

    Args:
        references: utterance id -> transcript, with or without its ``[iso]`` tag.
        hypotheses: utterance id -> recognised text, the same way.
        languages: utterance id -> language (or any other group), which decides the row and, unless
            the references' tags do, the expected tag; None: one group, ``all``.
        normalizer: as ``text.normalizers.get_normalizer`` takes it, applied to both sides after
            the tag is off.
        durations: utterance id -> seconds.
        no_space: languages written without spaces.
        phoneme_map: counts the phoneme error rate too.

    Raises:
        UserError: no reference; an id without language or duration; a reference whose tag
            contradicts its language; hypotheses that share no id with the references.
    """
    normalize = get_normalizer(normalizer)
    check_ids(references, hypotheses, languages, durations)
    utterances, has_lid = _counted(
        references, hypotheses, languages, normalize, no_space, phoneme_map
    )
    total, by_group = group_scores(utterances, durations)
    is_empty, empty_refs = _empty(utterances)
    spaceless = np.unique(utterances.group_ids[utterances.no_space]).tolist()
    return Score(
        groups=by_group,
        total=total,
        missing=lacking(hypotheses, list(references)),
        extra=lacking(references, list(hypotheses)),
        empty=tuple(sorted((is_empty - empty_refs) & hypotheses.keys())),
        empty_refs=tuple(sorted(empty_refs)),
        normalizer=label_of(normalizer),
        text_norm=recorded(normalizer),
        has_lid=has_lid,
        no_space=tuple(utterances.group_names[number] for number in spaceless),
        utterances=utterances,
        unknown_phonemes=dict(phoneme_map.unknown) if phoneme_map else {},
    )


def compare(ref: str, hyp: str, lang: str, normalize: Normalizer) -> tuple[EditCounts, EditCounts]:
    """Character and word edits of one pair without tags.

    An unknown symbol of the recogniser is one character that equals no reference character.
    """
    ref = normalized(ref, lang, normalize)
    hyp = normalized(mark_unknown(hyp), lang, normalize)
    return count_edits(ref, hyp), count_edits(ref.split(), hyp.split())


def _counted(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    languages: Mapping[str, str] | None,
    normalize: Normalizer,
    no_space: Collection[str],
    phoneme_map: PhonemeMap | None,
) -> tuple[Utterances, bool]:
    """Everything counted of each utterance, and whether texts name their language.

    The references' order is kept until all is counted: texts that lie in memory one after the other
    are read several times as fast.
    """
    utt_ids = list(references)
    groups = [ONE_GROUP] * len(utt_ids) if languages is None else looked_up(languages, utt_ids)
    ref_tags, refs = part_tags(list(references.values()))
    hyp_tags, hyps = part_tags(looked_up(hypotheses, utt_ids, ""))
    names, told = set(groups), set(ref_tags) - {None}
    if told & names:
        _check_tags(utt_ids, ref_tags, groups)
    by_tag = languages is None or not told & names
    expected = groups
    if by_tag and told:
        expected = [tag or group for tag, group in zip(ref_tags, groups)]
    # asked here as well: calling the function for every text takes five times as long
    hyps = [mark_unknown(text) if "<" in text or "⁇" in text else text for text in hyps]
    both = normalize_all([*refs, *hyps], [*expected, *expected], normalize)
    spaceless = _spaceless(expected, no_space)
    refs = _without_spaces(both[: len(refs)], spaceless)
    hyps = _without_spaces(both[len(refs) :], spaceless)
    utterances = _by_group(
        utt_ids, groups, refs, hyps, expected, hyp_tags,
        np.fromiter(map(eq, hyp_tags, expected), bool, len(refs)),
        _counts(refs, hyps, spaceless, phoneme_map), spaceless,
    )  # fmt: skip
    told = set(hyp_tags) | (set() if by_tag and languages else told)
    return utterances, bool(told & (names | set(expected)))


def _by_group(
    utt_ids: Sequence[str],
    groups: Sequence[str],
    refs: Sequence[str],
    hyps: Sequence[str],
    langs: Sequence[str],
    tags: Sequence[str | None],
    lid_correct: np.ndarray,
    counts: Mapping[str, PairCounts],
    no_space: np.ndarray,
) -> Utterances:
    """What was found of each utterance, brought into the order of group and id."""
    names = sorted(set(groups))
    numbers = {name: number for number, name in enumerate(names)}
    group_ids = np.fromiter(map(numbers.__getitem__, groups), np.int64, len(groups))
    by_id = np.arange(len(utt_ids))
    if sorted(utt_ids) != utt_ids:
        by_id = np.array(sorted(by_id.tolist(), key=utt_ids.__getitem__))
    small = group_ids[by_id].astype(np.min_scalar_type(len(names)))  # sorted in a pass or two
    order = by_id[np.argsort(small, kind="stable")]
    columns = (list(chosen(items, order)) for items in (utt_ids, refs, hyps, langs, tags))
    utt_ids, refs, hyps, langs, tags = columns
    return Utterances(
        utt_ids, tuple(names), group_ids[order], refs, hyps, langs, tags, lid_correct[order],
        {metric: count.at(order) for metric, count in counts.items()}, no_space[order],
    )  # fmt: skip


def _empty(utterances: Utterances) -> tuple[set[str], set[str]]:
    """Ids whose hypotheses are empty, and those whose references are."""
    chars = utterances.counts["cer"]
    return tuple(
        {utterances.utt_ids[place] for place in np.flatnonzero(lengths == 0).tolist()}
        for lengths in (chars.hyp, chars.ref)
    )


def _spaceless(langs: Sequence[str], no_space: Collection[str]) -> np.ndarray:
    """(N,) bool: texts in languages without spaces."""
    if set(langs).isdisjoint(no_space):
        return np.zeros(len(langs), dtype=bool)
    return np.array([lang in no_space for lang in langs], dtype=bool)


def _without_spaces(texts: list[str], spaceless: np.ndarray) -> list[str]:
    for place in np.flatnonzero(spaceless).tolist():
        texts[place] = texts[place].replace(" ", "")
    return texts


def _counts(
    refs: Sequence[str],
    hyps: Sequence[str],
    spaceless: np.ndarray,
    phoneme_map: PhonemeMap | None,
) -> dict[str, PairCounts]:
    chars, words = count_pairs(refs, hyps)
    counts = {"cer": chars, "wer": chars.where(spaceless, words) if spaceless.any() else words}
    if phoneme_map:
        counts["per"] = count_strings(phoneme_map.spelled(refs), phoneme_map.spelled(hyps))
    return counts


def _check_tags(
    utt_ids: Sequence[str], ref_tags: Sequence[str | None], groups: Sequence[str]
) -> None:
    known = set(groups)
    wrong = [
        (group, utt_id, tag)
        for utt_id, tag, group in zip(utt_ids, ref_tags, groups)
        if tag != group and tag in known
    ]
    if wrong:
        group, utt_id, tag = min(wrong)
        raise UserError(
            f"Reference {utt_id} is tagged [{tag}], but utt2lang says {group}. "
            "Make the data directory again."
        )
