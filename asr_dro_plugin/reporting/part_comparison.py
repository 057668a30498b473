"""Is one system better than the first?  Every language, significant differences marked."""

from asr_dro_plugin.reporting.compare import Comparison, Difference
from asr_dro_plugin.reporting.experiment import Decoding
from asr_dro_plugin.reporting.markup import Markup, el
from asr_dro_plugin.reporting.part_languages import FILTER_FROM
from asr_dro_plugin.reporting.parts import Material, cell, missing, section, table
from asr_dro_plugin.reporting.score_files import rate_of
from asr_dro_plugin.reporting.words import listed, percent, plural, range_words, signed

MARKS = {True: "\u25bc better", False: "\u25b2 worse"}


def comparison_part(material: Material) -> Markup | None:
    """The systems side by side; None where there is one alone."""
    title = "Is it really better?"
    if len(material.systems) < 2:
        return None
    first, *others = material.systems
    base = material.labels[first]
    lead = (
        f"Each system against {base}, on the same utterances. A mark stands where the paired test "
        "finds a difference that chance would hardly make (5 % over all languages together, "
        "Holm's correction); every other difference may be luck."
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
    sure = "a sure" if macro.significant else "no sure"
    return el(
        "li", el("strong", name), f": {', '.join(words)}, of {len(found.groups)}. "
        f"Mean over languages {signed(macro.difference)} points "
        f"({range_words(macro.low, macro.high)}): {sure} difference. "
        f"{plural(found.utterances, 'utterance')} compared.",
    )  # fmt: skip


def _named(langs: list[str]) -> str:
    return f" ({listed(langs)})" if langs else ""


def _matrix(material: Material, first: Decoding, others: list[Decoding]) -> Markup:
    groups = first.report["groups"]
    order = sorted(groups, key=lambda lang: (-rate_of(groups[lang], "cer"), lang))
    heads = ["language", (material.labels[first], "CER %, what the others are compared with")]
    heads += [(material.labels[other], "CER %, and the difference in points") for other in others]
    rows = [
        [material.language_cell(lang),
         cell(percent(rate_of(groups[lang], "cer")), rate_of(groups[lang], "cer")),
         *(_cell(material, other, lang) for other in others)]
        for lang in order
    ]  # fmt: skip
    caption = f"CER of each language and system, {material.set_name}"
    box = (
        el("label", "Find a language ", el("input", type="search", class_="filter"), class_="menu")
        if len(rows) >= FILTER_FROM
        else None
    )
    return el("div", box, table(heads, rows, caption, sort=True), class_="filtered")


def _cell(material: Material, other: Decoding, lang: str) -> Markup:
    group = other.report["groups"].get(lang)
    if group is None:
        return cell("-", 0)
    rate, found = rate_of(group, "cer"), material.comparisons[other]
    each = found.groups.get(lang) if isinstance(found, Comparison) else None
    if each is None:
        return cell(percent(rate), rate)
    mark = MARKS[each.difference < 0] if each.significant else ""
    class_ = ("better" if each.difference < 0 else "worse") if each.significant else None
    return el("td", percent(rate), " ", el("small", f"{signed(each.difference)} {mark}".strip()),
              data_v=rate, class_=class_, title=_sure(each))  # fmt: skip


def _sure(each: Difference) -> str:
    return f"{range_words(each.low, each.high)} points, p = {each.p_value:.2g}"
