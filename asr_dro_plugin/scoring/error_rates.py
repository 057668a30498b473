"""CER, WER and language-identification accuracy per language, macro, worst and total.

Rates are of the corpus: errors of all utterances over reference units of all utterances, never a
mean of utterances' rates.  ``total`` is that over everything; ``macro`` is the plain mean of the
languages' rates; ``worst_group`` is the language with the highest error (lowest accuracy).

CER counts Unicode code points of the normalised text, single spaces between words included;
WER counts words between spaces.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.edit_distance import EditCounts, count_edits
from asr_dro_plugin.text import Normalizer, get_normalizer, split_tag

TAG = re.compile(r"\[[a-z]{3}\]")
UNKNOWN = re.compile(r"<unk>|⁇")
UNKNOWN_SYMBOL = "\ue000"  # private use: no transcript holds it and no normaliser removes it


@dataclass(frozen=True)
class GroupScore:
    """Counts of one language, or of several added up; ``duration`` in seconds or None."""

    cer: EditCounts
    wer: EditCounts
    lid_correct: int
    num_utts: int
    duration: float | None

    def __add__(self, other: "GroupScore") -> "GroupScore":
        known = self.duration is not None and other.duration is not None
        return GroupScore(
            self.cer + other.cer,
            self.wer + other.wer,
            self.lid_correct + other.lid_correct,
            self.num_utts + other.num_utts,
            self.duration + other.duration if known else None,
        )

    @property
    def lid(self) -> float:
        """Share of utterances whose leading tag is their language."""
        return self.lid_correct / self.num_utts


@dataclass(frozen=True)
class Score:
    """Everything counted over one set.

    ``has_lid`` is False where neither references nor hypotheses carry tags: then there is no
    accuracy to speak of, which is not the same as 0 %.
    """

    groups: dict[str, GroupScore]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    normalizer: str
    has_lid: bool

    @property
    def total(self) -> GroupScore:
        """All languages added up."""
        first, *others = self.groups.values()
        for other in others:
            first += other
        return first

    @property
    def metrics(self) -> tuple[str, ...]:
        """``cer``, ``wer`` and, where it was measured, ``lid``."""
        return ("cer", "wer", "lid") if self.has_lid else ("cer", "wer")

    def rate(self, lang: str, metric: str) -> float:
        """One figure of one language: ``cer``, ``wer`` (errors) or ``lid`` (accuracy), 0..1."""
        value = getattr(self.groups[lang], metric)
        return value.rate if isinstance(value, EditCounts) else value

    def macro(self, metric: str) -> float:
        """Plain mean over the languages."""
        return sum(self.rate(lang, metric) for lang in self.groups) / len(self.groups)

    def worst(self, metric: str) -> str:
        """Language with the most errors or the lowest accuracy; of equals the first by name."""
        sign = -1 if metric == "lid" else 1
        return max(sorted(self.groups), key=lambda lang: sign * self.rate(lang, metric))


def score(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    languages: Mapping[str, str],
    normalizer: str = "lower_no_punct",
    durations: Mapping[str, float] | None = None,
) -> Score:
    """Score hypotheses against references, utterance id by utterance id.

    A reference without hypothesis counts as all deletions and a wrong language; a hypothesis
    without reference is listed and counts for nothing; empty texts are legal on either side.

    Args:
        references: utterance id -> transcript, with or without its ``[iso]`` tag.
        hypotheses: utterance id -> recognised text, the same way.
        languages: utterance id -> language, which decides row and expected tag.
        normalizer: name in ``text.NORMALIZERS``, applied to both sides after the tag is off.
        durations: utterance id -> seconds.

    Raises:
        UserError: no reference; an id without language or duration; a reference whose tag
            contradicts its language; hypotheses that share no id with the references.
    """
    normalize = get_normalizer(normalizer)
    _check_ids(references, hypotheses, languages, durations)
    groups: dict[str, GroupScore] = {}
    known, tags = set(languages.values()), set()
    for utt_id, lang in sorted((utt_id, languages[utt_id]) for utt_id in references):
        ref_tag, ref = split_tag(references[utt_id])
        hyp_tag, hyp = split_tag(TAG.sub(r"\g<0> ", hypotheses.get(utt_id, "")))
        if ref_tag in known and ref_tag != lang:
            raise UserError(
                f"Reference {utt_id} is tagged [{ref_tag}], but utt2lang says {lang}. "
                "Make the data directory again."
            )
        tags |= {ref_tag, hyp_tag}
        cer, wer = compare(ref, hyp, lang, normalize)
        duration = None if durations is None else durations[utt_id]
        one = GroupScore(cer, wer, int(hyp_tag == lang), 1, duration)
        groups[lang] = groups[lang] + one if lang in groups else one
    return Score(
        groups=dict(sorted(groups.items())),
        missing=tuple(sorted(set(references) - set(hypotheses))),
        extra=tuple(sorted(set(hypotheses) - set(references))),
        normalizer=normalizer,
        has_lid=bool(tags & known),
    )


def compare(ref: str, hyp: str, lang: str, normalize: Normalizer) -> tuple[EditCounts, EditCounts]:
    """Character and word edits of one pair without tags.

    An unknown symbol of the recogniser is one character that equals no reference character.
    """
    ref = normalized(ref, lang, normalize)
    hyp = normalized(UNKNOWN.sub(UNKNOWN_SYMBOL, hyp), lang, normalize)
    return count_edits(ref, hyp), count_edits(ref.split(), hyp.split())


def normalized(text: str, lang: str, normalize: Normalizer) -> str:
    """The text that is compared: no tag anywhere, normalised, single spaces between words.

    A tag inside the text is a fault of language identification alone, so it costs no characters.
    """
    return " ".join(normalize(TAG.sub(" ", text), lang).split())


def _check_ids(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    languages: Mapping[str, str],
    durations: Mapping[str, float] | None,
) -> None:
    if not references:
        raise UserError("The reference holds no utterance. Make the data directory again.")
    if hypotheses and not set(references) & set(hypotheses):
        raise UserError(
            "Reference and hypothesis share no utterance id "
            f"({_first(references)} against {_first(hypotheses)}). Are they of the same set?"
        )
    tables = [("utt2lang", languages)] + ([("utt2dur", durations)] if durations is not None else [])
    for name, table in tables:
        lacking = sorted(set(references) - set(table))
        if lacking:
            raise UserError(
                f"{name} lacks {len(lacking)} of {len(references)} reference utterances "
                f"(first: {lacking[0]}). Make the data directory again."
            )


def _first(ids: Iterable[str]) -> str:
    return min(ids)
