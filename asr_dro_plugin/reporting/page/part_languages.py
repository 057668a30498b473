"""Which languages fail: a bar for each, split by the kind of error, with its interval."""

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
from asr_dro_plugin.reporting.read.score_files import interval_of, rate_of
from asr_dro_plugin.reporting.words import hours_words, span_words
from asr_dro_plugin.scoring.report import share_of
from asr_dro_plugin.scoring.table import (
    count_words,
    intervals_sentence,
    percent,
    why_no_interval,
)

KINDS = {"substitutions": "sub", "deletions": "del", "insertions": "ins"}
LONGEST_AXIS = 1.0  # a bar ends at 100 %: one language gone wild must not flatten the others
HEADS = (
    "language",
    ("errors", "the bar: substitutions, deletions, insertions; the line: 95 % interval"),
    ("CER %", "character error rate"),
    ("95 %", "interval of the CER"),
    ("sub", "substituted characters, % of the reference"),
    ("del", "deleted (left out) characters, % of the reference"),
    ("ins", "inserted (invented) characters, % of the reference"),
    ("WER %", "word error rate"),
    ("95 %", "interval of the WER"),
    ("LID %", "language named rightly"),
    ("speakers", "speakers tested; - where they are not known"),
    ("utts", "utterances tested"),
    ("trained on", "hours in the training set"),
)


def languages_part(material: Material) -> Markup:
    """A table for each system; a menu chooses which is shown."""
    title = "Which languages fail?"
    if not material.systems:
        how = "Run stages 12 and 13 (decoding and scoring), then this again."
        return section("languages", title, None, missing("a score per language", how))
    lead = (
        "Longest bar first. The thin line is the 95 % interval: a short one means that the figure "
        "is sure. A click on a column's title sorts by it."
    )
    tables = material.each_system("languages", lambda system: _table(material, system))
    legend = el(
        "p", swatch("sub", "substitutions: taken for another"),
        swatch("del", "deletions: left out"), swatch("ins", "insertions: invented"),
        swatch("ci", "95 % interval"), class_="legend",
    )  # fmt: skip
    return section("languages", title, lead, legend, tables)


def _table(material: Material, system: Decoding) -> Markup:
    groups = system.report["groups"]
    order = sorted(groups, key=lambda lang: (-rate_of(groups[lang], "cer"), lang))
    highest = max(_end(groups[lang]) for lang in order)
    end = min(scale_of(highest), LONGEST_AXIS)
    has_per = system.report["macro"].get("per") is not None
    training = system.experiment.training_set
    hours = training.hours_by_language() if training else {}
    rows = [
        _row(material, lang, system.report, end, hours.get(lang))
        + ([_plain(groups[lang], "per")] if has_per else [])
        for lang in order
    ]
    heads = [*HEADS, ("PER %", "phoneme error rate")] if has_per else HEADS
    caption = f"Error rates of each language, {system.set_name}, {system.tag}"
    words = f"The bars run from 0 to {percent(end, 0)} %. {intervals_sentence(system.report)}."
    return el(
        "div", filter_box(len(rows)), SWIPE,
        table(heads, rows, caption, sort=True, class_="languages"),
        el("p", words, class_="note"), class_="filtered",
    )  # fmt: skip


def _end(group: Mapping) -> float:
    interval = interval_of(group, "cer")
    return max(rate_of(group, "cer"), interval[1] if interval else 0.0)


def _row(
    material: Material, lang: str, report: Mapping, end: float, hours: float | None
) -> list[Markup]:
    group, reason = report["groups"][lang], why_no_interval(report, lang)
    cer = group["cer"]
    parts = {class_: share_of(cer, kind) for kind, class_ in KINDS.items()}
    return [
        material.language_cell(lang),
        cell(error_bar(parts, interval_of(group, "cer"), end), cer["rate"]),
        cell(percent(cer["rate"]), cer["rate"], "strong"),
        _interval(group, "cer", reason),
        *(cell(percent(rate), rate) for rate in parts.values()),
        _plain(group, "wer"),
        _interval(group, "wer", reason),
        _plain(group, "lid"),
        cell(count_words(group.get("num_speakers")), group.get("num_speakers") or 0),
        cell(f"{group['num_utts']:,}", group["num_utts"]),
        cell("-" if hours is None else hours_words(hours), hours or 0),
    ]


def _interval(group: Mapping, metric: str, reason: str) -> Markup:
    interval = interval_of(group, metric)
    if interval is None:
        return cell(reason, 0)
    return cell(span_words(interval), f"{interval[1] - interval[0]:.4f}")


def _plain(group: Mapping, metric: str) -> Markup:
    return cell(percent(rate_of(group, metric)), rate_of(group, metric))
