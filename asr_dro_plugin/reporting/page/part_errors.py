"""What is taken for what: the most frequent confusions of characters and words."""

from collections.abc import Sequence

from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.parts import (
    Material,
    cell,
    missing,
    one_of_several,
    section,
    table,
)
from asr_dro_plugin.reporting.read.experiment import Decoding

SHOWN = 15
KINDS = {"chars": "Characters", "words": "Words"}
SPACE = "\u2423"  # an open box, as printers write a space


def errors_part(material: Material) -> Markup | None:
    """None where nothing was scored."""
    if not material.systems:
        return None
    lead = (
        "The commonest mistakes over all languages. Letters that sound alike point to spelling, "
        "which a language model mends; left-out spaces to word boundaries; the same word again and "
        "again to a transcript convention."
    )
    blocks = [(material.labels[system], _block(system)) for system in material.systems]
    return section(
        "errors", "What is taken for what?", lead, one_of_several("errors", "System", blocks)
    )


def _block(system: Decoding) -> Markup:
    confusions = system.report.get("confusions")
    if confusions is None:
        how = "Score the set again (stage 13); the score is of an older version."
        return missing("the counts of confusions", how)
    tables = [
        el("div", el("h3", title), _table(confusions.get(kind) or (), title))
        for kind, title in KINDS.items()
    ]
    return el("div", tables, class_="grid")


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
