"""Rules that look at the causes of errors: naming, unseen characters, broken text, the rest."""

from collections.abc import Mapping

from asr_dro_plugin.reporting.page.advice import Advice, hard_languages
from asr_dro_plugin.reporting.page.advice_errors import FEWEST_CONFUSED
from asr_dro_plugin.reporting.read.experiment import Decoding
from asr_dro_plugin.reporting.read.score_files import rate_of
from asr_dro_plugin.reporting.words import listed
from asr_dro_plugin.scoring.causes import CAUSES
from asr_dro_plugin.scoring.causes_table import rate_of_cause, shown_causes
from asr_dro_plugin.scoring.table import percent

NOTABLE, POINTS = 0.1, 0.005  # share of a language's CER, and of its characters, worth a word
MOSTLY = 0.9  # share of the rest above which nothing else explains a language
NAMED = 3  # characters or utterances of a language


def _large(system: Decoding, cause: str) -> dict[str, float]:
    """Languages to whose CER a cause adds much -> how much of it, most first."""
    found = {}
    for lang, group in system.report["groups"].items() if shown_causes(system.report) else ():
        rate = rate_of_cause(group["causes"], cause)
        if rate is not None and rate >= max(POINTS, NOTABLE * rate_of(group, "cer")):
            found[lang] = rate
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _of_cer(system: Decoding, lang: str, rate: float) -> str:
    cer = rate_of(system.report["groups"][lang], "cer")
    return f"{lang} {percent(rate)} of {percent(cer)}"


def _rule(words: str) -> str:
    return (
        f"{words}, at least {percent(NOTABLE, 0)} % of the language's CER and "
        f"{percent(POINTS)} points"
    )


def naming(system: Decoding) -> Advice | None:
    """Languages whose errors go where the language is given."""
    groups = system.report["groups"]
    found = [
        _of_cer(system, lang, rate)
        for lang, rate in _large(system, "lid").items()
        if _mistaken(groups[lang]) >= FEWEST_CONFUSED
    ]
    if not found:
        return None
    return Advice(
        f"Naming the language is what fails: with it given, so much of the CER goes: "
        f"{listed(found)} points.",
        CAUSES["lid"].advice,
        _rule(
            f"{FEWEST_CONFUSED} or more utterances mistaken, CER less CER with the language given"
        ),
    )


def _mistaken(group: Mapping) -> int:
    named = group["lid"]
    return named["total"] - named["correct"] if named else 0


def floor(system: Decoding) -> Advice | None:
    """Languages with characters that training never saw."""
    found = []
    for lang, rate in _large(system, "unseen").items():
        chars = system.report["causes"]["unseen"].get(lang, {})
        some = " ".join(f"{char} {count}" for char, count in list(chars.items())[:NAMED])
        found.append(f"{_of_cer(system, lang, rate)} ({some})")
    if not found:
        return None
    return Advice(
        f"Characters that training never saw cost {listed(found)} points.",
        CAUSES["unseen"].advice,
        _rule("unseen characters that are wrong"),
    )


def broken(system: Decoding) -> Advice | None:
    """Languages whose references are not what was said, or not as the language is written."""
    found = []
    for lang, rate in _large(system, "text").items():
        rows = system.report["causes"]["broken"].get(lang, [])[:NAMED]
        some = ", ".join(f"{utt_id} {words}" for utt_id, words, _ in rows)
        found.append(f"{_of_cer(system, lang, rate)} ({some})")
    if not found:
        return None
    return Advice(
        f"References break their language's script or speaking rate: {listed(found)} points.",
        CAUSES["text"].advice,
        _rule("errors in such references"),
    )


def hearing(system: Decoding) -> Advice | None:
    """Hard languages that nothing but hearing and spelling explains."""
    measured = (system.report.get("causes") or {}).get("macro") or {}
    if measured.get("lid") is None and measured.get("unseen") is None:
        return None
    groups = system.report["groups"]
    found = [
        lang
        for lang in hard_languages(system)
        if rate_of_cause(groups[lang]["causes"], "rest") >= MOSTLY * rate_of(groups[lang], "cer")
    ]
    if not found:
        return None
    return Advice(
        f"Neither naming, nor unseen characters, nor broken references explain {listed(found)}.",
        CAUSES["rest"].advice,
        f"CER at or above the mean, {percent(MOSTLY, 0)} % of it in the rest",
    )
