"""CER, WER, PER and language-identification accuracy per group, macro, worst and total.

Rates are of the corpus: errors of all utterances over reference units of all utterances.  ``total``
is that over everything (micro); ``macro`` is the plain mean of the groups' rates.  ML-SUPERB's
convention, the mean of the utterances' rates, is counted beside it as ``utterance_mean``.

CER counts Unicode code points of the normalised text, single spaces between words included; WER
counts words between spaces.  Languages written without spaces lose theirs on both sides first, and
their WER counts characters: where a space stands there is no fact of the language.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from asr_dro_plugin.base.kaldi_io import missing_keys
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.edit_distance import EditCounts, PairCounts, count_edits, count_pairs
from asr_dro_plugin.scoring.phonemes import PhonemeMap
from asr_dro_plugin.scoring.scores import ONE_GROUP, Score, Utterances, group_scores
from asr_dro_plugin.text.normalizers import Normalizer, get_normalizer, label_of, recorded

TAG = re.compile(r"\[[a-z]{3}\]")
UNKNOWN = re.compile(r"<unk>|⁇")
UNKNOWN_SYMBOL = "\ue000"  # private use: no transcript holds it and no normaliser removes it


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
    _check_ids(references, hypotheses, languages, durations)
    utterances, has_lid = _counted(
        references, hypotheses, languages, normalize, no_space, phoneme_map
    )
    total, by_group = group_scores(utterances, durations)
    is_empty, empty_refs = _empty(utterances)
    spaceless = np.unique(utterances.group_ids[utterances.no_space]).tolist()
    return Score(
        groups=by_group,
        total=total,
        missing=tuple(missing_keys(hypotheses, references)),
        extra=tuple(missing_keys(references, hypotheses)),
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


def _check_ids(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    languages: Mapping[str, str] | None,
    durations: Mapping[str, float] | None,
) -> None:
    """Refuse references without utterances, tables that lack some, hypotheses of another set."""
    if not references:
        raise UserError("The reference holds no utterance. Make the data directory again.")
    if hypotheses and references.keys().isdisjoint(hypotheses):
        raise UserError(
            "Reference and hypothesis share no utterance id "
            f"({min(references)} against {min(hypotheses)}). Are they of the same set?"
        )
    for name, table in (("utt2lang", languages), ("utt2dur", durations)):
        absent = () if table is None else missing_keys(table, references)
        if absent:
            raise UserError(
                f"{name} lacks {len(absent)} of {len(references)} reference utterances "
                f"(first: {absent[0]}). Make the data directory again."
            )


def normalized(text: str, lang: str, normalize: Normalizer) -> str:
    """The text that is compared: no tag anywhere, normalised, single spaces between words.

    A tag inside the text is a fault of language identification alone, so it costs no characters.
    """
    return " ".join(normalize(TAG.sub(" ", text), lang).split())


def part_tag(text: str) -> tuple[str | None, str]:
    """Leading language tag, or None, and the text without any tag."""
    found = TAG.match(text)
    tag, rest = (text[1:4], text[5:]) if found else (None, text)
    return tag, TAG.sub(" ", rest).strip(" ")


def mark_unknown(text: str) -> str:
    """Every unknown symbol of a recogniser as one character that equals no other."""
    return UNKNOWN.sub(UNKNOWN_SYMBOL, text)


def _counted(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    languages: Mapping[str, str] | None,
    normalize: Normalizer,
    no_space: Collection[str],
    phoneme_map: PhonemeMap | None,
) -> tuple[Utterances, bool]:
    """Everything counted of each utterance, and whether texts name their language."""
    group_of = dict.fromkeys(references, ONE_GROUP) if languages is None else languages
    utt_ids = sorted(references, key=lambda utt_id: (group_of[utt_id], utt_id))
    groups = [group_of[utt_id] for utt_id in utt_ids]
    ref_tags, refs = zip(*(part_tag(references[utt_id]) for utt_id in utt_ids), strict=True)
    hyp_tags, hyps = zip(*(part_tag(hypotheses.get(each, "")) for each in utt_ids), strict=True)
    names, told = set(groups), set(ref_tags) - {None}
    if told & names:
        _check_tags(utt_ids, ref_tags, groups)
    by_tag = languages is None or not told & names
    expected = groups
    if by_tag and told:
        expected = [tag or group for tag, group in zip(ref_tags, groups)]
    no_spaces = np.array([lang in no_space for lang in expected], dtype=bool)
    refs = _compared(refs, expected, normalize, no_spaces)
    hyps = _compared(map(mark_unknown, hyps), expected, normalize, no_spaces)
    group_names = tuple(sorted(names))
    utterances = Utterances(
        utt_ids, group_names, np.searchsorted(group_names, groups),
        refs, hyps, expected, hyp_tags,
        np.array([tag == lang for tag, lang in zip(hyp_tags, expected)], dtype=bool),
        _counts(refs, hyps, no_spaces, phoneme_map), no_spaces,
    )  # fmt: skip
    told = set(hyp_tags) | (set() if by_tag and languages else told)
    return utterances, bool(told & (names | set(expected)))


def _empty(utterances: Utterances) -> tuple[set[str], set[str]]:
    """Ids whose hypotheses are empty, and those whose references are."""
    chars = utterances.counts["cer"]
    return tuple(
        {utterances.utt_ids[place] for place in np.flatnonzero(lengths == 0).tolist()}
        for lengths in (chars.hyp, chars.ref)
    )


def _compared(
    texts: Iterable[str], langs: Sequence[str], normalize: Normalizer, no_spaces: np.ndarray
) -> list[str]:
    """Each text normalised in its language, without spaces where there are none to compare."""
    found = [normalized(text, lang, normalize) for text, lang in zip(texts, langs, strict=True)]
    return [
        text.replace(" ", "") if spaceless else text for text, spaceless in zip(found, no_spaces)
    ]


def _counts(
    refs: Sequence[str], hyps: Sequence[str], no_spaces: np.ndarray, phoneme_map: PhonemeMap | None
) -> dict[str, PairCounts]:
    chars = count_pairs(refs, hyps)
    words = count_pairs([text.split() for text in refs], [text.split() for text in hyps])
    counts = {"cer": chars, "wer": chars.where(no_spaces, words)}
    if phoneme_map:
        counts["per"] = count_pairs(list(map(phoneme_map, refs)), list(map(phoneme_map, hyps)))
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
