"""Pieces that every part of the page is made of: sections, tables, notes on what is missing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.read.experiment import Decoding, Experiment
from asr_dro_plugin.scoring.paired import Differences
from asr_dro_plugin.text.languages import Language

FILTER_FROM = 12  # languages
TALL = 30  # rows above which a table scrolls within the page


@dataclass(frozen=True)
class Material:
    """What the page is made from.

    Attributes:
        experiments: in the order in which they were given.
        set_name: the set that is shown in full; None where nothing was scored.
        systems: the decodings of that set; the first is what the others are compared with.
        comparisons: each other system -> against the first, or the words why it cannot be.
        languages: ISO code -> what is known of it; may be empty.
        num_audio: utterances that come with sound, over all systems; None: all that are shown.
        labels: name of each system, as short as tells them apart.
    """

    experiments: Sequence[Experiment]
    set_name: str | None
    systems: Sequence[Decoding]
    comparisons: Mapping[Decoding, Differences | str]
    languages: Mapping[str, Language]
    num_audio: int | None
    labels: Mapping[Decoding, str]

    def language(self, code: str) -> str:
        """``English (eng)``, or the code alone."""
        known = self.languages.get(code)
        return f"{known.name} ({code})" if known else code

    def language_cell(self, code: str) -> Markup:
        """First cell of a language's row: its code, its name beside it."""
        known = self.languages.get(code)
        name = el("span", known.name, class_="name") if known else None
        return el("th", code, " " if name else None, name, scope="row", data_v=code)

    def each_system(self, key: str, block: Callable[[Decoding], Markup]) -> Markup:
        """A block for each system, of which a menu shows one; ``key`` names them on the page."""
        blocks = [(self.labels[system], block(system)) for system in self.systems]
        return one_of_several(key, "System", blocks)


def section(key: str, title: str, lead: object, *body: object) -> Markup:
    """A section that the contents can point to; ``lead`` says in plain words what is to be seen."""
    return el(
        "section",
        el("h2", title, id=f"{key}-title"),
        el("p", lead, class_="lead") if lead else None,
        *body,
        id=key, aria_labelledby=f"{key}-title",
    )  # fmt: skip


def missing(what: str, how: str) -> Markup:
    """What is not there, and how to get it."""
    return el("p", el("strong", f"Not here: {what}. "), how, class_="missing")


def cell(words: object, value: object = None, class_: str | None = None) -> Markup:
    """A figure's cell; ``value`` is what sorting compares where the words are no plain number."""
    return el("td", words, data_v=value, class_=class_)


def table(
    heads: Sequence[str | tuple[str, str]],
    rows: Sequence[Sequence[Markup]],
    caption: str,
    sort: bool = False,
    class_: str = "",
) -> Markup:
    """A table in a box of its own that scrolls: sideways, and down where there are many rows.

    Args:
        heads: titles of the columns, or (title, what it means).
        caption: what the table shows; read aloud, not shown.
        sort: whether a click on a title sorts.
    """
    head = el("thead", el("tr", [_head(each, sort) for each in heads]))
    body = el("tbody", [el("tr", row) for row in rows])
    classes = " ".join(filter(None, ["sortable" if sort else "", class_])) or None
    inner = el("table", el("caption", caption), head, body, class_=classes)
    box = "scroll tall" if len(rows) > TALL else "scroll"
    return el("div", inner, class_=box, tabindex="0", role="group", aria_label=caption)


def _head(each: str | tuple[str, str], sort: bool) -> Markup:
    title, meaning = (each, None) if isinstance(each, str) else each
    content = el("button", title, type="button") if sort and title else title
    return el("th", content, scope="col", title=meaning)


def one_of_several(key: str, label: str, blocks: Sequence[tuple[str, Markup]]) -> Markup:
    """Blocks of which a menu shows one at a time; all of them where there is no script.

    Args:
        key: names the group on the page.
        label: of the menu; menus of the same label change together.
        blocks: (name, content).
    """
    if len(blocks) == 1:
        return blocks[0][1]
    options = [el("option", name, value=index) for index, (name, _) in enumerate(blocks)]
    menu = el(
        "label", label, " ", el("select", options, data_blocks=key, data_kind=label), class_="menu"
    )  # fmt: skip
    shown = [
        el("div", el("h3", name), content, data_block=f"{key}-{index}")
        for index, (name, content) in enumerate(blocks)
    ]
    return el("div", menu, shown)


def filter_box(num_rows: int) -> Markup | None:
    """A field that shows only the rows of a table which hold what is typed; for long ones."""
    if num_rows < FILTER_FROM:
        return None
    field = el("input", type="search", class_="filter")
    return el("label", "Find a language ", field, class_="menu")


SWIPE = el("p", "Swipe the table sideways for more columns.", class_="note narrow")


def swatch(class_: str, words: str) -> Markup:
    """One entry of a legend."""
    return el("span", el("i", class_=f"swatch {class_}"), words, class_="key")
