"""Rules that look at the errors of a decoding: which kind, where, how sure."""

import math
import re

from asr_dro_plugin.reporting.page.advice import Advice, hard_languages
from asr_dro_plugin.reporting.read.data_sets import recipe_of
from asr_dro_plugin.reporting.read.experiment import Decoding
from asr_dro_plugin.reporting.read.facts import language_was_given
from asr_dro_plugin.reporting.read.score_files import interval_of, macro_interval, worst_of
from asr_dro_plugin.reporting.words import listed, plural
from asr_dro_plugin.scoring.confusions import NO_TAG, confused_pairs
from asr_dro_plugin.scoring.table import percent

MOST_DELETIONS, MOST_INSERTIONS = 0.6, 0.4  # of a language's errors
LONG_ENOUGH, LONGER, SHORTER = 20, 1.4, 0.4  # characters; recognised over reference
MANY_CONFUSED, FEWEST_CONFUSED = 0.05, 2  # share of the spoken, utterances
MENDS = 0.02  # relative fall of the CER below which what was tried has changed nothing
WIDE = 0.1  # width of an interval, 10 points
WORDS_PER_CHARACTER_ERROR, READABLE = 2.2, 0.5  # WER over CER; highest CER where an LM can help


def _mostly(system: Decoding, kind: str, least: float) -> list[str]:
    """Hard languages of whose errors this kind is the ``least`` share or more, with the share."""
    counts = {lang: system.report["groups"][lang]["cer"] for lang in hard_languages(system)}
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
    """Languages often taken for another, unless what that costs is known (see ``naming``)."""
    if (system.report.get("causes") or {}).get("macro", {}).get("lid") is not None:
        return None
    pairs = [
        f"{lang} for {named} {percent(share, 0)} %"
        for lang, named, count, share in confused_pairs(system.report.get("lid_confusion") or {})
        if share >= MANY_CONFUSED and count >= FEWEST_CONFUSED and named != NO_TAG
    ]
    told = _with_language_given(system)
    if not pairs or (told is not None and not _mended(system, told)):
        return None
    attempt = (
        "Decode with the language given (--lang forced). If the error falls, "
        "naming the language is what fails: more speakers of both help; else it is not the cause."
    )
    if told is not None:
        attempt = (
            f"Naming is what fails: with the language given ({told.tag}) the macro CER is "
            f"{percent(told.report['macro']['cer'])} instead of "
            f"{percent(system.report['macro']['cer'])} %. More speakers of both help."
        )
    return Advice(
        f"Languages are mistaken: {listed(pairs)} of the utterances.",
        attempt,
        f"{percent(MANY_CONFUSED, 0)} % or more of a language's utterances, at least "
        f"{FEWEST_CONFUSED}, named as one other, and no decoding with the language given whose "
        "macro CER is the same",
    )


def _with_language_given(system: Decoding) -> Decoding | None:
    """Another decoding of the same set by the same model that was told the languages."""
    recipe = recipe_of(system.experiment.path)
    return next(
        (
            each
            for each in system.experiment.decodings
            if each.set_name == system.set_name
            and each.tag != system.tag
            and language_was_given(each.folder, recipe)
        ),
        None,
    )


def _mended(system: Decoding, told: Decoding) -> bool:
    before, after = (each.report["macro"]["cer"] for each in (system, told))
    return after < before * (1 - MENDS)


def language_model(system: Decoding) -> Advice | None:
    """Words that break on single letters, unless a language model was tried."""
    macro = system.report["macro"]
    cer, wer = macro["cer"], macro["wer"]
    if cer is None or wer is None or not 0 < cer <= READABLE or _has_language_model(system):
        return None
    others = system.experiment.decodings
    if any(_has_language_model(each) for each in others if each.set_name == system.set_name):
        return None
    if wer < WORDS_PER_CHARACTER_ERROR * cer:
        return None
    return Advice(
        f"Words break on single letters: macro WER {percent(wer)} % at a CER of {percent(cer)} %.",
        "A language model mends spelling: asr-dro lm build, asr-dro tune-lm, and a decoding with "
        "mode: lm.",
        f"WER at least {WORDS_PER_CHARACTER_ERROR:g} times the CER, CER up to "
        f"{percent(READABLE, 0)} %, and no decoding with a language model",
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
