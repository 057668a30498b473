"""Figures as a reader sees them."""

from collections.abc import Sequence


def percent(rate: float | None, digits: int = 1) -> str:
    """A rate 0..1 as a percentage; ``-`` where it was not measured."""
    return "-" if rate is None else f"{100 * rate:.{digits}f}"


def interval_words(interval: tuple[float, float] | None) -> str:
    """`` (31.0-38.2)`` after a percentage; empty where there is no interval."""
    return "" if interval is None else f" ({percent(interval[0])}-{percent(interval[1])})"


def signed(difference: float) -> str:
    """A difference of two rates in percentage points, with its sign."""
    text = f"{100 * difference:+.1f}".replace("-", "\u2212")
    return "0.0" if text in ("+0.0", "\u22120.0") else text


def hours_words(hours: float) -> str:
    """``17 min``, ``3.4 h``, ``1,200 h``."""
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"


def listed(words: Sequence[str], most: int = 5) -> str:
    """``a, b and c``; beyond ``most``, how many more there are."""
    shown = list(words[:most])
    if len(words) > most:
        return f"{', '.join(shown)} and {len(words) - most} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)


def plural(count: int, word: str) -> str:
    """``1 language``, ``5 languages``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
