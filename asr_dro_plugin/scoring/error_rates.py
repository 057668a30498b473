"""CER, WER, PER and language-identification accuracy per group, macro, worst and total.

Rates are of the corpus: errors of all utterances over reference units of all utterances.  ``total``
is that over everything (micro); ``macro`` is the plain mean of the groups' rates.  ML-SUPERB's
convention, the mean of the utterances' rates, is counted beside it as ``utterance_mean``.

CER counts Unicode code points of the normalised text, single spaces between words included; WER
counts words between spaces.  Languages written without spaces lose theirs on both sides first, and
their WER counts characters: where a space stands there is no fact of the language.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.compared_text import (
    UNKNOWN,
    mark_unknown,
    normalize_all,
    normalized,
    part_tag,
)
from asr_dro_plugin.scoring.edit_distance import EditCounts, count_edits
from asr_dro_plugin.scoring.pair_counts import PairCounts, count_pairs, count_strings
from asr_dro_plugin.scoring.phonemes import PhonemeMap
from asr_dro_plugin.scoring.scores import GroupScore, Score, group_scores
from asr_dro_plugin.scoring.utterances import Utterances
from asr_dro_plugin.text import Normalizer, get_normalizer

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
        normalizer: name in ``text.NORMALIZERS``, applied to both sides after the tag is off.
        durations: utterance id -> seconds.
        no_space: languages written without spaces.
        phoneme_map: counts the phoneme error rate too.

    Raises:
        UserError: no reference; an id without language or duration; a reference whose tag
            contradicts its language; hypotheses that share no id with the references.
    """
    normalize = get_normalizer(normalizer)
    _check_ids(references, hypotheses, languages, durations)
    utt_ids, names, group_ids = _ordered(references, languages)
    groups = [names[number] for number in group_ids.tolist()]
    ref_tags, refs = _parted(references, utt_ids)
    hyp_tags, hyps = _parted(hypotheses, utt_ids)
    _check_tags(utt_ids, ref_tags, groups)
    by_tag = languages is None or not set(ref_tags) & set(groups)
    expected = [tag or group for tag, group in zip(ref_tags, groups)] if by_tag else groups
    both = normalize_all([*refs, *map(mark_unknown, hyps)], [*expected, *expected], normalize)
    refs, hyps = both[: len(refs)], both[len(refs) :]
    spaceless = np.array([lang in no_space for lang in expected], dtype=bool)
    refs, hyps = _without_spaces(refs, spaceless), _without_spaces(hyps, spaceless)
    utterances = Utterances(
        utt_ids, names, group_ids, refs, hyps, expected, hyp_tags,
        np.fromiter(map(str.__eq__, (tag or "" for tag in hyp_tags), expected), bool, len(refs)),
        _counts(refs, hyps, spaceless, phoneme_map), spaceless,
    )  # fmt: skip
    is_empty = [utt_id for utt_id, hyp in zip(utt_ids, hyps) if not hyp and utt_id in hypotheses]
    empty_refs = {utt_id for utt_id, ref in zip(utt_ids, refs) if not ref}
    total, by_group = group_scores(utterances, durations)
    told = set(hyp_tags) | (set() if by_tag and languages else set(ref_tags))
    return Score(
        groups=by_group,
        total=total,
        missing=tuple(sorted(references.keys() - hypotheses.keys())),
        extra=tuple(sorted(hypotheses.keys() - references.keys())),
        empty=tuple(sorted(set(is_empty) - empty_refs)),
        empty_refs=tuple(sorted(empty_refs)),
        normalizer=normalizer,
        has_lid=bool(told & (set(expected) | set(groups))),
        no_space=tuple(sorted({groups[place] for place in np.flatnonzero(spaceless).tolist()})),
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


def _ordered(
    references: Iterable[str], languages: Mapping[str, str] | None
) -> tuple[list[str], tuple[str, ...], np.ndarray]:
    """Ids ordered by group and id, the groups' names, and the number of each one's group."""
    utt_ids = sorted(references)
    if languages is None:
        return utt_ids, (ONE_GROUP,), np.zeros(len(utt_ids), dtype=np.int64)
    names = tuple(sorted({languages[utt_id] for utt_id in utt_ids}))
    numbers = {name: number for number, name in enumerate(names)}
    group_ids = np.array([numbers[languages[utt_id]] for utt_id in utt_ids], dtype=np.int64)
    order = np.argsort(group_ids, kind="stable")
    return [utt_ids[place] for place in order.tolist()], names, group_ids[order]


def _parted(texts: Mapping[str, str], utt_ids: Iterable[str]) -> tuple[list[str | None], list[str]]:
    """Leading tags, and the texts without tags; a text that is not there is empty."""
    words = [texts.get(utt_id, "") for utt_id in utt_ids]
    tags: list[str | None] = [None] * len(words)
    for place, text in enumerate(words):
        if "[" in text:
            tags[place], words[place] = part_tag(text)
    return tags, words


def _without_spaces(texts: list[str], chosen: np.ndarray) -> list[str]:
    for place in np.flatnonzero(chosen).tolist():
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
    utt_ids: Iterable[str], ref_tags: Iterable[str | None], groups: Sequence[str]
) -> None:
    known = set(groups)
    for utt_id, tag, group in zip(utt_ids, ref_tags, groups, strict=True):
        if tag in known and tag != group:
            raise UserError(
                f"Reference {utt_id} is tagged [{tag}], but utt2lang says {group}. "
                "Make the data directory again."
            )


def _check_ids(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    languages: Mapping[str, str] | None,
    durations: Mapping[str, float] | None,
) -> None:
    if not references:
        raise UserError("The reference holds no utterance. Make the data directory again.")
    if hypotheses and references.keys().isdisjoint(hypotheses):
        raise UserError(
            "Reference and hypothesis share no utterance id "
            f"({min(references)} against {min(hypotheses)}). Are they of the same set?"
        )
    for name, table in (("utt2lang", languages), ("utt2dur", durations)):
        lacking = [] if table is None else sorted(references.keys() - table.keys())
        if lacking:
            raise UserError(
                f"{name} lacks {len(lacking)} of {len(references)} reference utterances "
                f"(first: {lacking[0]}). Make the data directory again."
            )
