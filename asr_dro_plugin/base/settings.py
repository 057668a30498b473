"""Values of settings held against what they may be: one checker for every YAML and constructor.

A kind is a key of ``KIND_WORDS``, ``none``, or ``any``.  numpy's numbers are numbers, true and
false are none, a whole number is a number too, and NaN is nothing at all.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from types import UnionType
from typing import Union, get_args, get_origin

from asr_dro_plugin.errors import UserError, suggestion

ANY = "any"
KIND_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "size": "a number or a size such as 2GB",
    "list": "a list, for example [a, b]",
    "dict": "a mapping of argument: value",
}
# What a value of a kind will do for, too.
_WIDER = {"int": {"float", "size"}, "float": {"size"}, "str": {"size"}}
_NAMES = {"NoneType": "none", "None": "none", "Mapping": "dict"}
_NAMES |= dict.fromkeys(("tuple", "Sequence", "Iterable", "Collection"), "list")
NUMBER_AS_TEXT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")


def kinds_of(annotation: object) -> frozenset[str]:
    """Kinds that an annotation admits, in text too; ``any`` where it is not made of plain types."""
    if get_origin(annotation) in (UnionType, Union):
        return frozenset().union(*map(kinds_of, get_args(annotation)))
    if isinstance(annotation, str):
        names = re.sub(r"\[[^\[\]]*\]", "", annotation).split(" | ")
        return frozenset().union(*(_kind_named(name) for name in names))
    return _kind_named(getattr(get_origin(annotation) or annotation, "__name__", ANY))


def _kind_named(name: str) -> frozenset[str]:
    kind = _NAMES.get(name, name)
    return frozenset({kind if kind == "none" or kind in KIND_WORDS else ANY})


def kind_of(value: object) -> str:
    """The narrowest kind of a value; ``any`` where it has none."""
    if value is None:
        return "none"
    if isinstance(value, Real) and not isinstance(value, bool) and math.isnan(value):
        return ANY
    types = {bool: "bool", Integral: "int", Real: "float", str: "str", Mapping: "dict"}
    types |= {list: "list", tuple: "list"}
    return next((kind for of, kind in types.items() if isinstance(value, of)), ANY)


def check_kind(where: str, value: object, kinds: Collection[str]) -> None:
    """Refuse a value of another kind.

    Args:
        where: what the value is of, for the message: ``x.yaml: encoder_conf: hidden_size``.

    Raises:
        UserError: says what it must be, and how to write ``1e-4``, which YAML takes for text.
    """
    kind = kind_of(value)
    if kind in kinds or not _WIDER.get(kind, frozenset()).isdisjoint(kinds):
        return
    if isinstance(value, str) and NUMBER_AS_TEXT.fullmatch(value):
        raise UserError(f"{where} is '{value}', which YAML reads as text. Write {_point(value)}.")
    if ANY not in kinds:
        raise UserError(f"{where} must be {_in_words(kinds)}, not {value!r}.")


def check_number(
    where: str,
    value: object,
    *,
    whole: bool = False,
    infinite: bool = False,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float | int:
    """``value``, refused where it is no number or lies outside of its range.

    Args:
        whole: only whole numbers will do.
        infinite: .inf will do, too.
        least, above, most, below: the ends of the range, themselves legal or not.
    """
    check_kind(where, value, {"int" if whole else "float"})
    if math.isinf(value) and not infinite:
        raise UserError(f"{where} must be a finite number, not {value}.")
    ends = [
        ("at least", least, least is not None and value < least),
        ("above", above, above is not None and value <= above),
        ("at most", most, most is not None and value > most),
        ("below", below, below is not None and value >= below),
    ]
    if any(is_out for *_, is_out in ends):
        words = [f"{word} {end:g}" for word, end, _ in ends if end is not None]
        raise UserError(f"{where} must be {' and '.join(words)}, not {value}.")
    return value


def check_word(where: str, value: object, legal: Iterable[object]) -> None:
    """Refuse what is none of the ``legal`` words or numbers, with the nearest of them."""
    legal = list(legal)
    if kind_of(value) in ("list", "dict", ANY) or value not in legal:
        words = [str(word) for word in legal]
        raise UserError(
            f"{where} is '{value}', which is unknown.{suggestion(str(value), words)} "
            f"Legal: {', '.join(words)}."
        )


def check_key(where: str, key: object, legal: Collection[str]) -> None:
    """Refuse a key that is none of the ``legal`` ones, with the nearest of them."""
    if key not in legal:
        raise UserError(
            f"{where}: '{key}' is no argument.{suggestion(str(key), legal)} "
            f"Legal: {', '.join(legal) or 'none at all'}."
        )


def _in_words(kinds: Collection[str]) -> str:
    return " or ".join(KIND_WORDS.get(kind, kind) for kind in sorted(kinds))


def _point(number: str) -> str:
    """``1e-4`` -> ``1.0e-4``, which YAML 1.1 takes for a number; an exponent needs its sign."""
    mantissa, exponent = re.split("[eE]", number)
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"
