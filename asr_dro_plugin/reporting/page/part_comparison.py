"""Is one system better than the first?  Every language, significant differences marked."""

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
from asr_dro_plugin.reporting.page.svg import dot_class, dots, scale_of
from asr_dro_plugin.reporting.read.experiment import Decoding
from asr_dro_plugin.reporting.read.score_files import rate_of
from asr_dro_plugin.reporting.words import listed, plural, range_words, signed
from asr_dro_plugin.scoring.paired import Differences
from asr_dro_plugin.scoring.table import percent

MARKS = {True: "\u25bc better", False: "\u25b2 worse"}


def comparison_part(material: Material) -> Markup:
    """The systems, two at least, side by side."""
    title = "Is it really better?"
    first, *others = material.systems
    base = material.labels[first]
    lead = (
        f"Each system against {base}, on the utterances of both{_compared(material)}. A mark "
        "stands where the paired test finds a difference that chance would hardly make (5 % over "
        "all languages together, Holm's correction); every other difference may be luck."
    )
    return section(
        "comparison", title, lead,
        el("ul", [_verdict(material, other) for other in others]),
        _matrix(material, first, others),
    )  # fmt: skip


def _verdict(material: Material, other: Decoding) -> Markup:
    """One sentence a system."""
    found, name = material.comparisons[other], material.labels[other]
    if isinstance(found, str):
        return el("li", missing(f"a test of {name}", found))
    better, worse = found.marked(better=True), found.marked(better=False)
    words = [f"better in {plural(len(better), 'language')}" + _named(better),
             f"worse in {plural(len(worse), 'language')}" + _named(worse)]  # fmt: skip
    macro = found.macro
    sure = "beyond chance" if macro.significant else "this may be chance"
    return el(
        "li", el("strong", name), f": {', '.join(words)}, of {len(found.groups)}. "
        f"Mean over languages {signed(macro.difference)} points "
        f"({range_words(macro.low, macro.high)}), {sure}.",
    )  # fmt: skip


def _compared(material: Material) -> str:
    """How many utterances, where any could be compared."""
    found = material.comparisons.values()
    counts = {each.utterances for each in found if isinstance(each, Differences)}
    if not counts:
        return ""
    least, most = min(counts), max(counts)
    return f" ({least:,})" if least == most else f" ({least:,} to {most:,})"


def _named(langs: list[str]) -> str:
    return f" ({listed(langs)})" if langs else ""


def _matrix(material: Material, first: Decoding, others: list[Decoding]) -> Markup:
    groups = first.report["groups"]
    order = sorted(groups, key=lambda lang: (-rate_of(groups[lang], "cer"), lang))
    rates = {lang: [_rate(system, lang) for system in material.systems] for lang in order}
    end = min(scale_of(max(r for each in rates.values() for r in each if r is not None)), 1.0)
    heads = ["language", ("CER", f"from 0 to {percent(end, 0)} %; the ring is the first system"),
             (material.labels[first], "CER %, what the others are compared with")]  # fmt: skip
    heads += [(material.labels[other], "CER %, and the difference in points") for other in others]
    rows = [
        [material.language_cell(lang), cell(dots(rates[lang], end), rates[lang][0]),
         cell(percent(rates[lang][0]), rates[lang][0]),
         *(_cell(material, other, lang) for other in others)]
        for lang in order
    ]  # fmt: skip
    caption = f"CER of each language and system, {material.set_name}"
    return el(
        "div", _legend(material), filter_box(len(rows)), SWIPE,
        table(heads, rows, caption, sort=True), class_="filtered languages",
    )  # fmt: skip


def _legend(material: Material) -> Markup:
    keys = [
        swatch(dot_class(index), material.labels[system])
        for index, system in enumerate(material.systems)
    ]
    return el("p", keys, class_="legend")


def _rate(system: Decoding, lang: str) -> float | None:
    group = system.report["groups"].get(lang)
    return None if group is None else rate_of(group, "cer")


def _cell(material: Material, other: Decoding, lang: str) -> Markup:
    group = other.report["groups"].get(lang)
    if group is None:
        return cell("-", 0)
    rate, found = rate_of(group, "cer"), material.comparisons[other]
    each = found.groups.get(lang) if isinstance(found, Differences) else None
    if each is None:
        return cell(percent(rate), rate)
    sure = f"{range_words(each.low, each.high)} points, p = {each.p_value:.2g}"
    mark = MARKS[each.difference < 0] if each.significant else ""
    class_ = ("better" if each.difference < 0 else "worse") if each.significant else None
    return el("td", percent(rate), " ", el("small", f"{signed(each.difference)} {mark}".strip()),
              data_v=rate, class_=class_, title=sure)  # fmt: skip
