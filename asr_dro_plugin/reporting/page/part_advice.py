"""The page's list of what to try next: rules that look at the figures and say what they saw.

A rule is a function of one decoding that gives an ``Advice`` or None; ``RULES`` is all of them, in
the order of the page.
"""

import math
import re
import statistics
from collections.abc import Callable
from typing import NamedTuple

from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.parts import Material, section
from asr_dro_plugin.reporting.read.experiment import Decoding
from asr_dro_plugin.reporting.read.score_files import interval_of, macro_interval, rate_of, worst_of
from asr_dro_plugin.reporting.words import hours_words, listed, plural
from asr_dro_plugin.scoring.confusions import NO_TAG, confused_pairs
from asr_dro_plugin.scoring.table import percent

MOST_DELETIONS, MOST_INSERTIONS = 0.6, 0.4  # of a language's errors
LONG_ENOUGH, LONGER, SHORTER = 20, 1.4, 0.4  # characters; recognised over reference
MANY_CONFUSED, FEWEST_CONFUSED = 0.05, 2  # share of the spoken, utterances
FEW_HOURS = 0.5  # of the median language's hours
HIGH_WEIGHT = 1.5  # times an equal weight
STILL_FALLING, LAST_PART = 0.02, 0.2  # relative fall of the CER over this part of the training
RISEN = 1.1  # last development loss over its lowest
WIDE = 0.1  # width of an interval, 10 points
WORDS_PER_CHARACTER_ERROR, READABLE = 2.2, 0.5  # WER over CER; highest CER where an LM can help


class Advice(NamedTuple):
    """What was found (with its figures), what to try, and the rule that says so."""

    found: str
    attempt: str
    rule: str


def advice_part(material: Material) -> Markup:
    """What the rules find, system by system."""
    lead = (
        "Found by fixed rules in the figures of this page; each says what it saw. They are where "
        "to look first, not proofs."
    )
    return section("advice", "What to try next", lead, material.each_system("advice", _block))


def _block(system: Decoding) -> Markup:
    items = [
        el("li", el("strong", found), " ", attempt, " ", el("small", f"Rule: {rule}."))
        for found, attempt, rule in advice_for(system)
    ]
    if not items:
        return el("p", f"None of the {len(RULES)} rules found anything.")
    return el("ul", items, class_="advice")


def advice_for(system: Decoding) -> list[Advice]:
    """All that the rules have to say of a decoding."""
    return [advice for rule in RULES if (advice := rule(system))]


def _hard(system: Decoding) -> list[str]:
    """Languages above the macro CER, worst first; the only one of a single language."""
    groups, macro = system.report["groups"], system.report["macro"]["cer"]
    found = [lang for lang in groups if rate_of(groups[lang], "cer") >= macro > 0]
    return sorted(found, key=lambda lang: (-rate_of(groups[lang], "cer"), lang))


def _mostly(system: Decoding, kind: str, least: float) -> list[str]:
    """Hard languages of whose errors this kind is the ``least`` share or more, with the share."""
    counts = {lang: system.report["groups"][lang]["cer"] for lang in _hard(system)}
    shares = {lang: each[kind] / max(each["errors"], 1) for lang, each in counts.items()}
    return [f"{lang} {percent(share, 0)} %" for lang, share in shares.items() if share >= least]


def deletions(system: Decoding) -> Advice | None:
    """Hard languages whose text is mostly left out."""
    found = _mostly(system, "deletions", MOST_DELETIONS)
    if not found:
        return None
    return Advice(
        f"The model stays silent: most errors are characters left out ({listed(found)}).",
        "Train longer or with more of that language; look whether its audio is cut or its "
        "transcripts say more than is spoken; with a language model raise word_score.",
        f"CER at or above the mean, {percent(MOST_DELETIONS, 0)} % of its errors deletions",
    )


def insertions(system: Decoding) -> Advice | None:
    """Hard languages to which text is added."""
    found = _mostly(system, "insertions", MOST_INSERTIONS)
    if not found:
        return None
    return Advice(
        f"The model hears what is not written ({listed(found)} of the errors are insertions).",
        "Listen to the worst utterances: transcripts that lack words, noise, or second voices. "
        "With a language model lower word_score.",
        f"CER at or above the mean, {percent(MOST_INSERTIONS, 0)} % of its errors insertions",
    )


def doubtful(system: Decoding) -> Advice | None:
    """Utterances whose text is far longer or shorter than what was recognised."""
    found = []
    for utterance in system.utterances or ():
        if utterance.ref_chars >= LONG_ENOUGH:
            length = len(utterance.hyp) / utterance.ref_chars
            if length >= LONGER or length <= SHORTER:
                found.append((abs(math.log(max(length, 0.01))), utterance.utt_id, length))
    if not found:
        return None
    words = [f"{utt_id} {length:.1f} times" for _, utt_id, length in sorted(found, reverse=True)]
    return Advice(
        f"Transcripts that may not be what is said: the recognised text is much longer or "
        f"shorter than the reference in {plural(len(found), 'utterance')} ({listed(words, 3)}).",
        "Listen to them. Where the transcript is wrong, look for the same fault in the training "
        "set: it teaches the model to leave out or invent text.",
        f"references of {LONG_ENOUGH} characters or more, at least {LONGER:g} or at most "
        f"{SHORTER:g} times as many recognised",
    )


def confusion(system: Decoding) -> Advice | None:
    """Languages often taken for another."""
    pairs = [
        f"{lang} for {named} {percent(share, 0)} %"
        for lang, named, count, share in confused_pairs(system.report.get("lid_confusion") or {})
        if share >= MANY_CONFUSED and count >= FEWEST_CONFUSED and named != NO_TAG
    ]
    if not pairs:
        return None
    return Advice(
        f"Languages are mistaken: {listed(pairs)} of the utterances.",
        "Decode with the language given (lang: forced in the decoding's YAML). If the error falls, "
        "naming the language is what fails: more speakers of both help; else it is not the cause.",
        f"{percent(MANY_CONFUSED, 0)} % or more of a language's utterances, at least "
        f"{FEWEST_CONFUSED}, named as one other",
    )


def few_hours(system: Decoding) -> Advice | None:
    """Hard languages of which there is little."""
    training = system.experiment.training_set
    hours = training.hours_by_language() if training else {}
    if len(hours) < 2:
        return None
    median = statistics.median(hours.values())
    found = [lang for lang in _hard(system) if lang in hours and hours[lang] < FEW_HOURS * median]
    if not found:
        return None
    words = [f"{lang} {hours_words(hours[lang])}" for lang in found]
    return Advice(
        f"Little speech to learn from: {listed(words)}; the median language has "
        f"{hours_words(median)}.",
        "More data of these languages is worth most. Without it: a pretrained model (s3prl or "
        "wav2vec 2.0 stack), or sampler: temperature, which draws small languages more often.",
        f"CER at or above the mean, less than {percent(FEW_HOURS, 0)} % of the median hours",
    )


def _course(system: Decoding, phase: str, name: str) -> list[float]:
    """A figure over the epochs; empty where the training did not tell it."""
    history = system.experiment.history
    return [float(value) for value in history.series(phase, name).values] if history else []


def _weighted(system: Decoding, may: Callable[[float], bool]) -> list[str]:
    """Hard languages whose last weight ``may``, as times an equal weight (1 / G), and that."""
    groups = system.experiment.groups
    courses = {lang: _course(system, "train", f"q_{lang}") for lang in _hard(system)}
    times = {lang: q[-1] * len(groups) for lang, q in courses.items() if q and lang in groups}
    return [f"{lang} {value:.1f} times" for lang, value in times.items() if may(value)]


def high_weight(system: Decoding) -> Advice | None:
    """Hard languages that training already counts the most."""
    found = _weighted(system, lambda times: times >= HIGH_WEIGHT)
    if not found:
        return None
    return Advice(
        f"Already weighted up and still hard: {listed(found)} an equal weight.",
        "Weighting has done what it can there. Look at the data (worst utterances, transcripts), "
        "add some, or take a larger or pretrained model.",
        f"CER at or above the mean, last weight at least {HIGH_WEIGHT:g} times 1/G",
    )


def low_weight(system: Decoding) -> Advice | None:
    """Hard languages that the group weights pass over."""
    found = _weighted(system, lambda times: times < 1 / HIGH_WEIGHT)
    if not found:
        return None
    return Advice(
        f"Hard, yet weighted down: {listed(found)} an equal weight.",
        "The loss does not show that these languages are hard, for instance because their "
        "utterances are short. Try signal: labels or dev_cer in objective_conf.experimental.",
        f"CER at or above the mean, last weight below {1 / HIGH_WEIGHT:.2f} times 1/G",
    )


def still_falling(system: Decoding) -> Advice | None:
    """Training that ended while it was getting better."""
    values = _course(system, "valid", "macro_cer")
    if len(values) < 5:
        return None
    before, last = values[int((1 - LAST_PART) * (len(values) - 1))], values[-1]
    if not before or last > before * (1 - STILL_FALLING):
        return None
    return Advice(
        f"Training was still getting better: the development set's macro CER went from "
        f"{percent(before)} to {percent(last)} % in its last fifth.",
        "Raise max_epoch (and the scheduler's steps with it).",
        f"a fall of {percent(STILL_FALLING, 0)} % or more in the last fifth of the epochs",
    )


def risen(system: Decoding) -> Advice | None:
    """Training that learnt its training set by heart."""
    values = _course(system, "valid", "loss")
    if len(values) < 5 or not values[-1] > RISEN * min(values):
        return None
    return Advice(
        f"The development loss rose from {min(values):.1f} to {values[-1]:.1f} after epoch "
        f"{values.index(min(values)) + 1}.",
        "More augmentation (specaug, speed perturbation), more dropout, more data, or fewer "
        "epochs. The best epochs are what is averaged, so the result itself is spared.",
        f"last loss {percent(RISEN - 1, 0)} % above the lowest",
    )


def language_model(system: Decoding) -> Advice | None:
    """Words that break on single letters."""
    macro = system.report["macro"]
    cer, wer = macro["cer"], macro["wer"]
    if cer is None or wer is None or not 0 < cer <= READABLE or _has_language_model(system):
        return None
    if wer < WORDS_PER_CHARACTER_ERROR * cer:
        return None
    return Advice(
        f"Words break on single letters: macro WER {percent(wer)} % at a CER of {percent(cer)} %.",
        "A language model mends spelling: asr-dro lm build, asr-dro tune-lm, and a decoding with "
        "mode: lm.",
        f"WER at least {WORDS_PER_CHARACTER_ERROR:g} times the CER, CER up to "
        f"{percent(READABLE, 0)} %",
    )


def _has_language_model(system: Decoding) -> bool:
    """Whether the decoding's name says so: ``decode_asr_lm_word``."""
    names = (system.tag, system.report["run"].get("inference_config", ""))
    return any("lm" in re.split(r"[^a-z]+", name.lower()) for name in names)


def unsure(system: Decoding) -> Advice | None:
    """A worst language that was hardly tested."""
    name, worst = worst_of(system.report)
    interval = interval_of(worst, "cer")
    if interval is None or interval[1] - interval[0] < WIDE:
        return None
    macro = macro_interval(system.report, "cer")
    sure = f" (the mean's is {percent(macro[1] - macro[0])} points wide)" if macro else ""
    return Advice(
        f"The worst language is not sure: {name} lies between {percent(interval[0])} and "
        f"{percent(interval[1])} %, from {plural(worst['num_utts'], 'utterance')}{sure}.",
        "Test more utterances, or several seeds (asr-dro score --spread), before a change is "
        "judged by this figure.",
        f"its interval is {percent(WIDE, 0)} points or wider",
    )


def left_out(system: Decoding) -> Advice | None:
    """Utterances that were not decoded."""
    count = system.report["missing"]["count"]
    if not count:
        return None
    return Advice(
        f"{plural(count, 'utterance')} of the set "
        f"{'was' if count == 1 else 'were'} not decoded and count as left out whole.",
        "See the decoding's logs for what was wrong with them, mend it and run stage 12 again.",
        "any reference without a hypothesis",
    )


RULES: tuple[Callable[[Decoding], Advice | None], ...] = (
    left_out, deletions, insertions, doubtful, confusion, few_hours, high_weight, low_weight,
    still_falling, risen, language_model, unsure,
)  # fmt: skip
