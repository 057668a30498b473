"""Figures as a reader sees them."""

import os
from collections.abc import Sequence

from asr_dro_plugin.scoring.table import percent

LONG_NAME = 24  # characters


def bracketed(interval: tuple[float, float] | None) -> str:
    """`` (31.0–38.2)`` after a percentage; empty where there is no interval."""
    return "" if interval is None else f" ({span_words(interval)})"


def span_words(interval: tuple[float, float] | None, reason: str = "-") -> str:
    """``31.0–38.2``; ``reason`` where there is no interval."""
    return reason if interval is None else f"{percent(interval[0])}\u2013{percent(interval[1])}"


def signed(difference: float) -> str:
    """A difference of two rates in percentage points, with its sign."""
    text = f"{100 * difference:+.1f}".replace("-", "\u2212")
    return "0.0" if text in ("+0.0", "\u22120.0") else text


def range_words(low: float | None, high: float | None) -> str:
    """Where a difference lies, in percentage points."""
    return "range unknown" if low is None or high is None else f"{signed(low)} to {signed(high)}"


def hours_words(hours: float) -> str:
    """``40 s``, ``17 min``, ``3.4 h``, ``1,200 h``."""
    if 0 < hours < 1 / 60:
        return f"{3600 * hours:.0f} s"
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"


def listed(words: Sequence[str], most: int = 5) -> str:
    """``a, b and c``; beyond ``most``, how many more there are."""
    shown = list(words[:most])
    if len(words) > most:
        return f"{', '.join(shown)} and {len(words) - most} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


def short_names(names: Sequence[str]) -> list[str]:
    """Names without the parts, between underscores, with which all begin or end.

    Only where a name would be too long for a column.
    """
    parts = [name.split("_") for name in names]
    if len(parts) < 2 or max(map(len, names)) <= LONG_NAME:
        return list(names)
    shortest = min(map(len, parts))
    head = len(os.path.commonprefix(parts))
    tail = min(len(os.path.commonprefix([part[::-1] for part in parts])), shortest - head)
    while shortest - head - tail < 1:  # no name may vanish
        head, tail = (head - 1, tail) if head else (head, tail - 1)
    return ["_".join(part[head : len(part) - tail]) for part in parts]


def plural(count: int, word: str) -> str:
    """``1 language``, ``5 languages``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
