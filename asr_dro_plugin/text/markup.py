"""Words that are not words: ``<COMMA>``, ``[laughter]``, ``{noise}``, ``<i>``, ``&amp;``.

Without their brackets they look like words.  Here they are found and counted, and the step
``markup`` of a text rule takes them off or maps them.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Mapping
from html.entities import html5

BRACKETS = "<>[]{}"
_MARKUP = re.compile(
    r"<[^<>\s](?:[^<>]{0,58}[^<>\s])?>"  # "3 < 5 and 6 > 4" is none
    r"|\[[^\[\]]{1,60}\]|\{[^{}]{1,60}\}"
    r"|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
)
# Marks of type within a word; every other one parts words.
_WITHIN_WORDS = re.compile(r"</?(?:b|i|u|em|strong|span|font|sup|sub|mark)(?: [^<>]*)?>", re.I)


def is_markup(written: str) -> bool:
    """Whether a text is one bracketed word or one entity."""
    match = _MARKUP.fullmatch(written)
    return match is not None and _is_known(written)


def find_markup(text: str) -> list[str]:
    """The bracketed words and entities of a text, in order."""
    return [found for found in _MARKUP.findall(text) if _is_known(found)]


def _is_known(written: str) -> bool:
    """Entities have names that HTML knows, so that ``AT&T;`` has none."""
    return written[0] != "&" or written[1] == "#" or written[1:] in html5


class MarkupStep:
    """The step ``markup`` of a text rule: text -> text, idempotent.

    Args:
        images: what takes the place of a bracketed word or an entity, in whatever case.
        drop: whether the others go too; an entity then becomes the character that it stands for.
    """

    def __init__(self, images: Mapping[str, str], drop: bool) -> None:
        self._images = {written.casefold(): image for written, image in images.items()}
        self._drop = drop

    def __call__(self, text: str) -> str:
        """The text without them; what is left may make another, so until none is left."""
        before = None
        while text != before:
            before, text = text, _MARKUP.sub(self._image, text)
        return text

    def _image(self, match: re.Match) -> str:
        written = match[0]
        image = self._images.get(written.casefold())
        if image is not None:
            return image
        if not self._drop or not _is_known(written):
            return written
        if written[0] == "&":
            return html.unescape(written)
        return "" if _WITHIN_WORDS.fullmatch(written) else " "


class MarkupCounts:
    """Bracketed words and entities that become words of a corpus's texts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.num_texts = self.num_marked = 0
        self._first: dict[str, tuple[str, str]] = {}  # where, and what becomes of it

    def add(self, text: str, lang: str, where: str, normalize: Callable[[str, str], str]) -> None:
        """Count those of one text that its normaliser does not settle."""
        self.num_texts += 1
        settles = getattr(normalize, "settles_markup", None)
        found = [w for w in find_markup(text) if settles is None or not settles(w, lang)]
        self.num_marked += bool(found)
        self.counts.update(found)
        for written in found:
            self._first.setdefault(written, (where, normalize(written, lang)))

    def remark(self, remedy: str, examples: int = 5) -> str:
        """One line with the most frequent; empty where there is none."""
        if not self.counts:
            return ""
        some = "; ".join(
            f"{written} {count} time{'s' * (count > 1)}, as '{self._first[written][1]}', "
            f"first at {self._first[written][0]}"
            for written, count in self.counts.most_common(examples)
        )
        more = f"; and {len(self.counts) - examples} more" if len(self.counts) > examples else ""
        return (
            f"{self.num_marked} of {self.num_texts} texts hold {self.counts.total()} bracketed "
            f"words or entities, which stay: {some}{more}. {remedy}"
        )
