"""What is taken for what: characters, words, and languages (a matrix, or the pairs of many)."""

from collections.abc import Mapping, Sequence

from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.parts import Material, cell, missing, section, table
from asr_dro_plugin.reporting.read.experiment import Decoding
from asr_dro_plugin.scoring.confusions import (
    ACROSS,
    NO_TAG,
    OTHER,
    confused_pairs,
    script_of_edit,
)
from asr_dro_plugin.scoring.table import percent

SHOWN = 15
KINDS = {"chars": "Characters", "words": "Words"}
MATRIX_UP_TO = 20  # languages; above, a list of pairs is what can be read
PAIRS = 25
Counts = Mapping[str, Mapping[str, int]]
SPACE = "\u2423"  # an open box, as printers write a space


def errors_part(material: Material) -> Markup:
    """Characters and words, system by system."""
    lead = (
        "The commonest mistakes over all languages, script by script. Letters that sound alike "
        "point to spelling, which a language model mends; left-out spaces to word boundaries; the "
        "same word again and again to a transcript convention."
    )
    return section(
        "errors", "What is taken for what?", lead, material.each_system("errors", _block)
    )


def _block(system: Decoding) -> Markup:
    confusions = system.report.get("confusions")
    if confusions is None:
        how = "Score the set again (stage 13); the score is of an older version."
        return missing("the counts of confusions", how)
    tables = [
        el("div", el("h3", title), _table(pairs, title))
        for kind, name in KINDS.items()
        for title, pairs in by_script(name, confusions.get(kind) or ())
    ]
    return el("div", tables, class_="grid")


def by_script(name: str, pairs: Sequence[Sequence]) -> list[tuple[str, list[Sequence]]]:
    """(title, pairs) of each script, that with most first; of one script the name alone."""
    parts: dict[str, list[Sequence]] = {}
    for pair in pairs:
        parts.setdefault(script_of_edit(pair[0], pair[1]), []).append(pair)
    if len(parts.keys() - {OTHER}) < 2:
        return [(name, list(pairs))]
    order = sorted(parts, key=lambda each: (each in (OTHER, ACROSS), -_times(parts[each]), each))
    words = {OTHER: "spaces, digits, marks"}
    return [(f"{name}: {words.get(each, each.capitalize())}", parts[each]) for each in order]


def _times(pairs: Sequence[Sequence]) -> int:
    return sum(count for _, _, count in pairs)


def _table(pairs: Sequence[Sequence], title: str) -> Markup:
    if not pairs:
        return el("p", "No confusion was counted.")
    rows = [
        [el("td", _seen(ref), class_="term"), el("td", _seen(hyp), class_="term"),
         cell(f"{count:,}", count)]
        for ref, hyp, count in pairs[:SHOWN]
    ]  # fmt: skip
    caption = f"{title} taken for others, most frequent first"
    return table(["said", "recognised", "times"], rows, caption, class_="terms")


def _seen(piece: str | None) -> Markup | str:
    """A character or word; what is empty was left out or invented."""
    return piece.replace(" ", SPACE) if piece else el("small", "nothing")


def confusion_part(material: Material) -> Markup:
    """Languages, system by system; they are not named by every model."""
    title = "Which languages are taken for which?"
    lead = (
        "The model names the language before the text. Rows are the language that was spoken, "
        "columns what it was taken for."
    )
    blocks = material.each_system("lid", lambda system: _lid_block(material, system))
    return section("lid", title, lead, blocks)


def _lid_block(material: Material, system: Decoding) -> Markup:
    counts = system.report.get("lid_confusion")
    if not counts:
        named = system.report["total"].get("lid") is not None
        how = (
            "Score the set again (stage 13); the score is of an older version."
            if named
            else "The transcripts carry no language tags; stage 1 adds them with --lid true."
        )
        return missing("what languages were named", how)
    if len(counts) <= MATRIX_UP_TO:
        return _matrix(material, counts, system)
    return _pairs(material, counts, system)


def _matrix(material: Material, counts: Counts, system: Decoding) -> Markup:
    langs = sorted(counts)
    others = sorted({named for row in counts.values() for named in row} - {*langs, NO_TAG})
    columns = [*langs, *others]
    columns += [NO_TAG] if any(row.get(NO_TAG) for row in counts.values()) else []
    rows = []
    for lang in langs:
        total = sum(counts[lang].values())
        cells = [_share(counts[lang].get(named, 0), total, named == lang) for named in columns]
        rows.append([material.language_cell(lang), *cells])
    caption = f"Languages named, {system.set_name}, {system.tag}: % of each row's utterances"
    return el(
        "div", table(["spoken", *columns], rows, caption, class_="matrix"),
        el("p", f"{caption}. Pointing at a cell gives the count.", class_="note"),
    )  # fmt: skip


def _share(count: int, total: int, right: bool) -> Markup:
    if not count:
        return el("td", "\u00b7", class_="zero")
    share = count / total
    return el(
        "td", percent(share, 0 if share >= 0.1 else 1), title=f"{count} of {total}",
        class_="right" if right else "wrong", style=f"--share:{share:.2f}",
    )  # fmt: skip


def _pairs(material: Material, counts: Counts, system: Decoding) -> Markup:
    pairs = confused_pairs(counts)
    if not pairs:
        return el("p", "Every language was named rightly.")
    rows = [
        [material.language_cell(lang),
         cell("no language" if named == NO_TAG else material.language(named)),
         cell(percent(share), share), cell(count)]
        for lang, named, count, share in pairs[:PAIRS]
    ]  # fmt: skip
    heads = ["spoken", "taken for", "% of the spoken", "utterances"]
    caption = f"Most frequent confusions, {system.set_name}, {system.tag}"
    more = f"The {len(rows)} most frequent of {len(pairs)} pairs."
    return el("div", table(heads, rows, caption, sort=True), el("p", more, class_="note"))
