"""HTML and SVG as text, escaped by construction: a transcript can never become a tag."""

import base64
from collections.abc import Iterable
from html import escape

VOID = frozenset(("br", "hr", "img", "input", "link", "meta", "wbr"))


class Markup(str):
    """Text that is HTML already; any other text is escaped where it is put into an element."""

    __slots__ = ()


def el(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element.

    Args:
        name: the tag.
        children: texts (escaped), elements, numbers, or nestings of them; None is left out.
        attributes: ``class_`` is ``class``, ``data_v`` is ``data-v``; None and False are left out,
            True is an attribute without a value.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        words.append(key if value is True else f'{key}="{escape(str(value))}"')
    opening = f"<{' '.join(words)}>"
    return Markup(opening) if name in VOID else Markup(f"{opening}{join(children)}</{name}>")


def join(children: object) -> Markup:
    """Texts and elements one after the other; texts are escaped."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, str) or not isinstance(children, Iterable):
        return Markup(escape(str(children)))
    return Markup("".join([join(child) for child in children]))


def data_url(kind: str, content: bytes) -> str:
    """A URL that holds the content itself."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
