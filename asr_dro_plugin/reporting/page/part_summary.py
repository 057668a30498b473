"""The headline: how well, which language fails, how sure that is."""

from collections.abc import Mapping

from asr_dro_plugin.reporting.page.advice_training import dev_of
from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.parts import Material, cell, missing, section, table
from asr_dro_plugin.reporting.read.experiment import Decoding
from asr_dro_plugin.reporting.read.score_files import (
    Interval,
    interval_of,
    macro_interval,
    rate_of,
    summary_of,
    worst_of,
)
from asr_dro_plugin.reporting.words import bracketed, hours_words, plural, range_words, signed
from asr_dro_plugin.scoring.table import percent

MANY = 15  # languages above which the mean of the worst 15 says something of its own


def summary_part(material: Material) -> Markup:
    """Cards of the first system, and a row for every system and set."""
    if not material.systems:
        return section(
            "summary", "In short", None,
            missing("scores", "Run stages 12 and 13 (decoding and scoring), then this again."),
        )  # fmt: skip
    first = material.systems[0]
    several = len(material.systems) > 1
    return section(
        "summary", "In short", f"{_sentence(material, first.report)}{_on_dev(first)}",
        el("p", f"The cards are of {material.labels[first]}.") if several else None,
        _cards(material, first.report),
        _systems(material) if several else None,
        _sets(material),
        EXPLANATION,
    )  # fmt: skip


def _sentence(material: Material, report: Mapping) -> str:
    macro, (name, worst) = report["macro"]["cer"], worst_of(report)
    best = min(report["groups"], key=lambda lang: (rate_of(report["groups"][lang], "cer"), lang))
    many = len(report["groups"]) > 1
    mean = f", averaged over {plural(len(report['groups']), 'language')}" if many else ""
    text = f"Of 100 characters about {100 * macro:.0f} come out wrong{mean}."
    if many:
        text += (
            f" It is worst for {material.language(name)} with {percent(rate_of(worst, 'cer'))} % "
            f"and best for {material.language(best)} with "
            f"{percent(rate_of(report['groups'][best], 'cer'))} %."
        )
    return f"{text} {_tested(report['total'])}"


def _on_dev(system: Decoding) -> str:
    """The mean of the development set beside that of the test set."""
    dev = dev_of(system)
    if dev is None:
        return ""
    return (
        f" On the development set ({dev.set_name}) the mean CER is "
        f"{percent(dev.report['macro']['cer'])} %, here {percent(system.report['macro']['cer'])} %."
    )


def _tested(total: Mapping) -> str:
    hours = None if total["duration"] is None else hours_words(total["duration"] / 3600)
    return f"Tested on {plural(total['num_utts'], 'utterance')}{f', {hours}' if hours else ''}."


def _cards(material: Material, report: Mapping) -> Markup:
    name, worst = worst_of(report)
    total, macro = report["total"], report["macro"]
    cards = [
        _card("Mean over languages", "CER", macro["cer"], macro_interval(report, "cer")),
        _card(f"Worst: {material.language(name)}", "CER", rate_of(worst, "cer"),
              interval_of(worst, "cer")),
        _card("Mean over languages", "WER", macro["wer"], macro_interval(report, "wer")),
    ]  # fmt: skip
    if len(report["groups"]) > MANY:
        worst_15 = summary_of(report, "cer").get("worst_15")
        cards.insert(2, _card("Mean of the worst 15", "CER", worst_15, None))
    if total.get("lid"):
        cards.append(_card("Of all utterances", "LID", rate_of(total, "lid"),
                           interval_of(total, "lid")))  # fmt: skip
    return el("div", cards, class_="cards")


def _card(title: str, metric: str, rate: float | None, interval: Interval | None) -> Markup:
    sure = (
        f"95 % interval {percent(interval[0])} to {percent(interval[1])}"
        if interval
        else "no interval in the score"
    )
    figure = "-" if rate is None else f"{percent(rate)} %"
    return el(
        "div", el("span", title, class_="what"), el("span", f"{metric} {figure}", class_="figure"),
        el("span", sure, class_="sure"), class_="card",
    )  # fmt: skip


def _systems(material: Material) -> Markup:
    """A row for each system, against the first."""
    heads = ["system", "macro CER %", "worst CER %", "macro WER %", "macro LID %",
             ("macro against the first", "in percentage points; negative is better")]  # fmt: skip
    rows = [
        [el("th", material.labels[system], scope="row"), *_figures(system),
         _against(material, system)]
        for system in material.systems
    ]  # fmt: skip
    caption = f"Every system on {material.set_name}"
    return el("div", el("h3", caption), table(heads, rows, caption, sort=True))


def _figures(system: Decoding) -> list[Markup]:
    report = system.report
    name, worst = worst_of(report)
    macro = report["macro"]
    return [
        cell(percent(macro["cer"]) + bracketed(macro_interval(report, "cer")), macro["cer"]),
        cell(f"{name} {percent(rate_of(worst, 'cer'))}"
             + bracketed(interval_of(worst, "cer")), rate_of(worst, "cer")),
        cell(percent(macro["wer"]), macro["wer"]),
        cell(percent(macro["lid"]), macro["lid"]),
    ]  # fmt: skip


def _against(material: Material, system: Decoding) -> Markup:
    found = material.comparisons.get(system)
    if found is None:
        return cell("-", 0)
    if isinstance(found, str):
        return cell("not comparable", 0)
    macro = found.macro
    words = f"{signed(macro.difference)} ({range_words(macro.low, macro.high)})"
    class_ = None
    if macro.significant:
        class_ = "better" if macro.difference < 0 else "worse"
        words += f", {class_}"
    return cell(words, f"{macro.difference:.6f}", class_)


def _sets(material: Material) -> Markup | None:
    """The other sets, shown in one row each."""
    others = [
        decoding
        for experiment in material.experiments
        for decoding in experiment.decodings
        if decoding not in material.systems
    ]
    if not others:
        return None
    alone = len(material.experiments) == 1
    rows = [
        [el("th", decoding.set_name, scope="row"),
         cell(decoding.tag if alone else f"{decoding.experiment.name}, {decoding.tag}"),
         *_figures(decoding)]
        for decoding in others
    ]  # fmt: skip
    caption = "Other sets and decodings"
    heads = ["set", "system", "macro CER %", "worst CER %", "macro WER %", "macro LID %"]
    return el("details", el("summary", caption), table(heads, rows, caption, sort=True))


EXPLANATION = el(
    "details",
    el("summary", "What do these words mean?"),
    el(
        "dl",
        el("dt", "CER, WER"),
        el("dd", "Character and word error rate: substitutions, deletions and insertions against "
           "the reference, divided by its length. 0 % is perfect; above 100 % is possible."),
        el("dt", "Macro"),
        el("dd", "The plain mean of the languages' rates: each language counts the same, however "
           "much of it was tested."),
        el("dt", "Worst"),
        el("dd", "The language of highest error. A model for all its languages is as good as "
           "that."),
        el("dt", "LID"),
        el("dd", "Language identification: how often the model named the right language."),
        el("dt", "95 % interval"),
        el("dd", "Where the figure would lie, 95 times of 100, had other utterances of the same "
           "kind been tested. Few utterances make it wide. Of two models on the same utterances "
           "trust the paired test, not whether intervals overlap."),
    ),
)  # fmt: skip
