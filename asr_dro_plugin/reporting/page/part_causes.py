"""Why languages fail: the CER of each as a bar of its causes, and what helps against each."""

from collections.abc import Mapping

from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.parts import (
    SWIPE,
    Material,
    cell,
    filter_box,
    missing,
    section,
    swatch,
    table,
)
from asr_dro_plugin.reporting.page.svg import error_bar, scale_of
from asr_dro_plugin.reporting.read.experiment import Decoding
from asr_dro_plugin.scoring.causes import CAUSES
from asr_dro_plugin.scoring.causes_table import cause_rates, shown_causes, unmeasured
from asr_dro_plugin.scoring.table import percent

CLASSES = {"lid": "c1", "unseen": "c3", "text": "c5", "rest": "c6"}  # colours of page.css
LONGEST_AXIS = 1.0  # as of the languages' bars
NAMED = 8  # characters or utterances of a language


def causes_part(material: Material) -> Markup:
    """Bars and figures, what they mean, and what stands behind them."""
    lead = "The parts of a bar add up to the CER. What helps against one does nothing for another."
    blocks = material.each_system("causes", lambda system: _block(material, system))
    return section("causes", "Why do they fail?", lead, blocks)


def _block(material: Material, system: Decoding) -> Markup:
    report = system.report
    shown = shown_causes(report)
    if not shown:
        how = "Run stages 12 and 13 again, or asr-dro score with --train_text and --forced."
        return missing("the causes of the errors", how)
    rows = [row for row in cause_rates(report) if row[0] in report["groups"]]
    end = min(scale_of(max(_length(rates) for _, _, rates in rows)), LONGEST_AXIS)
    body = [_row(material, *row, end) for row in sorted(rows, key=lambda row: (-row[1], row[0]))]
    heads = ["language", ("why", "the bar: the causes"), ("CER %", "character error rate")]
    heads += [(CAUSES[cause].head, CAUSES[cause].meaning) for cause in shown]
    caption = f"Causes of the errors of each language, {system.set_name}, {system.tag}"
    keys = [swatch(CLASSES[cause], CAUSES[cause].head) for cause in shown]
    return el(
        "div", el("p", keys, class_="legend"), filter_box(len(body)), SWIPE,
        table(heads, body, caption, sort=True, class_="languages"),
        el("p", _note(end, rows), class_="note"),
        el("dl", [_meaning(cause, report) for cause in shown]), class_="filtered",
    )  # fmt: skip


def _length(rates: Mapping[str, float | None]) -> float:
    return sum(max(rate or 0.0, 0.0) for rate in rates.values())


def _row(
    material: Material, lang: str, cer: float, rates: Mapping[str, float | None], end: float
) -> list[Markup]:
    parts = {CLASSES[cause]: max(rate or 0.0, 0.0) for cause, rate in rates.items()}
    return [
        material.language_cell(lang),
        cell(error_bar(parts, None, end), cer),
        cell(percent(cer), cer, "strong"),
        *(cell(percent(rate), -1 if rate is None else rate) for rate in rates.values()),
    ]


def _note(end: float, rows: list[tuple]) -> str:
    words = f"The bars run from 0 to {percent(end, 0)} %."
    if any((rates.get("lid") or 0.0) < 0 for _, _, rates in rows):
        words += (
            " Where naming is below 0, giving the language hurts: the bar has the other parts "
            "alone and is so much longer than the CER."
        )
    return words


def _meaning(cause: str, report: Mapping) -> list[Markup]:
    """What a cause is, what helps, and in which languages stands what behind it."""
    unknown = unmeasured(report, cause)
    words = [f"{_sentence(CAUSES[cause].meaning)} ", CAUSES[cause].advice]
    if unknown:
        words.append(el("strong", f" {_sentence(unknown)}"))
    return [el("dt", CAUSES[cause].head), el("dd", words, _behind(cause, report))]


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _behind(cause: str, report: Mapping) -> Markup | None:
    found = report["causes"]
    if cause == "unseen":
        lines = [
            (lang, ", ".join(f"{char} {count}" for char, count in list(chars.items())[:NAMED]))
            for lang, chars in sorted(found["unseen"].items())
        ]
    elif cause == "text":
        lines = [
            (lang, "; ".join(f"{utt_id}: {words}" for utt_id, words, _ in rows[:NAMED]))
            for lang, rows in sorted(found["broken"].items())
        ]
    else:
        return None
    items = [el("li", el("strong", lang), " ", words) for lang, words in lines]
    return el("details", el("summary", "Which"), el("ul", items)) if items else None
