"""References that say a word in several ways, as NIST's sclite weighs them.

::

    a { gonna / going to } b     one of them was said
    a { uh / @ } b               @ is nothing
    a (uh) b                     in trn: the same as { uh / @ }

Of all readings the one with fewest word errors against the hypothesis is the reference; so
every hypothesis has references of its own (sclite's documentation, "alternation" and "optionally
deletable" words).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import add_tag, split_tag

ALTERNATIVES = re.compile(r"\{([^{}]*\s/\s[^{}]*)\}")
OPTIONAL = re.compile(r"(?<!\S)\(([^()\s]+)\)(?!\S)")
NOTHING = "@"
Words = tuple[str, ...]
Cell = tuple[int, tuple]  # errors, and the choices that led to them, last first


def with_optional(text: str) -> str:
    """A line of trn whose optional words are alternatives to nothing."""
    return OPTIONAL.sub(rf"{{ \1 / {NOTHING} }}", text)


def refuse_nested(texts: Mapping[str, str], where: str) -> None:
    """Refuse alternatives within alternatives, which are not read here."""
    for utt_id, text in texts.items():
        rest = ALTERNATIVES.sub("", text) if " / " in text else text
        if rest != text and re.search(r"[{}]", rest):
            raise UserError(
                f"{where}: '{utt_id}' has alternatives within alternatives. Write them out as "
                "{ a / b / c }."
            )


def has_alternatives(text: str) -> bool:
    """Whether one of several readings is to be chosen."""
    return ALTERNATIVES.search(text) is not None


def chosen(text: str, heard: Sequence[str], units: Callable[[str], Sequence[str]]) -> str:
    """The reading of a reference with fewest errors; of equals the first ones named.

    Args:
        text: the reference, with or without its language tag.
        heard: words of the hypothesis, as they are compared.
        units: the same of a piece of the reference (characters, without spaces between words).
    """
    tag, plain = split_tag(text)
    cells: list[Cell] = [(number, ()) for number in range(len(heard) + 1)]
    for options in _segments(plain):
        ends = [_aligned(cells, units(" ".join(words)), heard) for words in options]
        cells = [
            min(
                ((cell[0], (number, cell[1])) for number, cell in enumerate(column)),
                key=lambda cell: cell[0],
            )
            for column in zip(*ends, strict=True)
        ]
    said: list[str] = []
    for options, number in zip(_segments(plain), _in_order(cells[-1][1]), strict=True):
        said += options[number]
    return add_tag(tag, " ".join(said)) if tag else " ".join(said)


def _segments(text: str) -> Iterator[Sequence[Words]]:
    """What can be said at each place of a text, in order."""
    end = 0
    for found in ALTERNATIVES.finditer(text):
        yield (tuple(text[end : found.start()].split()),)
        readings = re.split(r"\s/\s", found[1])
        yield [tuple(w for w in each.split() if w != NOTHING) for each in readings]
        end = found.end()
    yield (tuple(text[end:].split()),)


def _aligned(cells: Sequence[Cell], words: Sequence[str], heard: Sequence[str]) -> list[Cell]:
    """Least errors up to each word heard, after ``words`` more of the reference."""
    row = list(cells)
    for word in words:
        above, row = row, [(row[0][0] + 1, row[0][1])]
        for place, other in enumerate(heard):
            steps = (
                (above[place][0] + (word != other), above[place][1]),
                (above[place + 1][0] + 1, above[place + 1][1]),
                (row[place][0] + 1, row[place][1]),
            )
            row.append(min(steps, key=lambda step: step[0]))
    return row


def _in_order(choices: tuple) -> list[int]:
    numbers: list[int] = []
    while choices:
        number, choices = choices
        numbers.append(number)
    return numbers[::-1]
