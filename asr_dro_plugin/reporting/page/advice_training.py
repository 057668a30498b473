"""Rules that look at how a model was trained, and at the data it was trained and tested on."""

import statistics
from collections.abc import Callable, Sequence

from asr_dro_plugin.reporting.page.advice import Advice, hard_languages
from asr_dro_plugin.reporting.read.experiment import Decoding
from asr_dro_plugin.reporting.read.score_files import role_of
from asr_dro_plugin.reporting.read.voices import known_voices, one_voice_each
from asr_dro_plugin.reporting.words import hours_words, listed
from asr_dro_plugin.scoring.table import percent

LITTLE = 1.0  # hours of the median language
FEW_HOURS = 0.5  # of the median language's hours
HARDER = 1.15  # macro CER of test over development set
HIGH_WEIGHT = 1.5  # times an equal weight
STILL_FALLING, LAST_PART = 0.02, 0.2  # relative fall of CER and loss over this part of the training
RISEN = 1.1  # last development loss over its lowest


def dev_and_test(system: Decoding) -> Advice | None:
    """A test set that is harder than the set which training and decoding were chosen on."""
    dev = dev_of(system)
    if dev is None:
        return None
    easy, hard = (each.report["macro"]["cer"] for each in (dev, system))
    if hard < HARDER * easy:
        return None
    return Advice(
        f"Harder than the development set: macro CER {percent(hard)} % on {system.set_name}, "
        f"{percent(easy)} % on {dev.set_name}.",
        "Epochs and weights were chosen on the second, so it flatters. If the gap is wide, compare "
        "the two under Data: texts, lengths and speakers that training has not met.",
        f"macro CER at least {HARDER:g} times that of the development set",
    )


def dev_of(system: Decoding) -> Decoding | None:
    """The same decoding of the development set; None of that set itself, or where there is none."""
    if role_of(system.set_name) == "dev":
        return None
    return next(
        (
            each
            for each in system.experiment.decodings
            if each.tag == system.tag and role_of(each.set_name) == "dev"
        ),
        None,
    )


def known_speakers(system: Decoding) -> Advice | None:
    """Speakers that training has heard too: what is measured is not how others would fare."""
    tested = system.experiment.data_set(system.set_name)
    trained = system.experiment.training_set
    known = known_voices(tested, trained) if tested and trained else None
    if known is None or not known[0]:
        return None
    shared, count = known
    many = "all" if shared == count else f"{shared} of"
    alone = " One voice a language, in all these sets." if one_voice_each(tested, trained) else ""
    return Advice(
        f"Known voices: {many} {count} speakers of {system.set_name} are in {trained.name} too."
        f"{alone}",
        "These figures say little of other speakers, and naming the language is partly naming the "
        "speaker. Test speakers that training has not heard.",
        "any speaker in both sets",
    )


def little_speech(system: Decoding) -> Advice | None:
    """Little speech of all languages, and nothing pretrained to begin with."""
    training = system.experiment.training_set
    hours = training.hours_by_language() if training else {}
    if not hours or statistics.median(hours.values()) >= LITTLE or _is_pretrained(system):
        return None
    words = [f"{lang} {hours_words(value)}" for lang, value in hours.items()]
    return Advice(
        f"Little speech to learn from: {listed(words)} in the training set, and no pretrained "
        "model.",
        "More speech, or a pretrained model (s3prl or wav2vec 2.0 stack), is worth more than any "
        "setting.",
        f"the median language has less than {hours_words(LITTLE)}; no init_exp, no SSL model",
    )


def _is_pretrained(system: Decoding) -> bool:
    config = system.experiment.config
    if config.get("init_exp") or config.get("ssl_checkpoint") or config.get("init_param"):
        return True
    parts = f"{config.get('frontend')} {config.get('encoder')}"
    return any(name in parts for name in ("s3prl", "wav2vec2", "whisper"))


def few_hours(system: Decoding) -> Advice | None:
    """Hard languages of which there is little."""
    training = system.experiment.training_set
    hours = training.hours_by_language() if training else {}
    if len(hours) < 2:
        return None
    median = statistics.median(hours.values())
    found = [
        lang
        for lang in hard_languages(system)
        if lang in hours and hours[lang] < FEW_HOURS * median
    ]
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
    courses = {lang: _course(system, "train", f"q_{lang}") for lang in hard_languages(system)}
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
    """Training that ended while both error and loss of the development set got better."""
    values, loss = (_course(system, "valid", name) for name in ("macro_cer", "loss"))
    if len(values) < 5 or not _falls(values) or (len(loss) >= 5 and not _falls(loss)):
        return None
    before, last = values[_begin(values)], values[-1]
    return Advice(
        f"Training was still getting better: the development set's macro CER went from "
        f"{percent(before)} to {percent(last)} % in its last fifth.",
        "Raise max_epoch (and the scheduler's steps with it).",
        f"a fall of {percent(STILL_FALLING, 0)} % or more in the last fifth of the epochs, of the "
        "lowest macro CER and of the lowest loss of the development set",
    )


def _begin(values: Sequence[float]) -> int:
    """The epoch that the last fifth begins with."""
    return int((1 - LAST_PART) * (len(values) - 1))


def _falls(values: Sequence[float]) -> bool:
    """Whether the lowest of the last fifth is lower than the lowest before, and the last is too."""
    begin = _begin(values) + 1
    before, after = min(values[:begin]), min(values[begin:])
    return after <= before * (1 - STILL_FALLING) and values[-1] < before


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
