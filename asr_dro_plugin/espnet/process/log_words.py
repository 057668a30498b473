"""Many names or counts in a few words, for the log."""

from collections.abc import Mapping, Sequence

MAX_NAMED = 20


def few(names: Sequence[str]) -> str:
    """The first names, with dots where there are more."""
    return " ".join(names[:MAX_NAMED]) + " ..." * (len(names) > MAX_NAMED)


def counted(counts: Mapping[str, int]) -> str:
    """``deu:2 eng:1``, sorted by name."""
    return " ".join(f"{name}:{count}" for name, count in sorted(counts.items()))
