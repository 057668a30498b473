"""Bars, trends and curves in characters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Glyphs:
    """Characters to draw with: a trend from low to high, a bar's, a curve's, and its axis.

    ``axis`` is vertical, corner, horizontal; ``more`` says that something was left out.
    """

    trend: str
    full: str
    empty: str
    line: str
    mark: str
    axis: str
    more: str


UNICODE = Glyphs("▁▂▃▄▅▆▇█", "█", "░", "·", "o", "│└─", "…")
ASCII = Glyphs("_.-=*#", "#", ".", ".", "o", "|+-", "...")


def bar(share: float, width: int, glyphs: Glyphs) -> str:
    """``share`` (0..1) of ``width`` characters."""
    share = min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
    full = round(share * width)
    return glyphs.full * full + glyphs.empty * (width - full)


def trend(values: Sequence[float], width: int, glyphs: Glyphs) -> str:
    """The latest ``width`` values, each as a height between their least and greatest."""
    values = np.asarray(values, dtype=np.float64)[-width:]
    known = values[np.isfinite(values)]
    if not len(known):
        return " " * width
    low, high = known.min(), known.max()
    top = len(glyphs.trend) - 1
    heights = np.full(len(values), top // 2.0)
    if high > low:
        heights = np.round((values - low) / (high - low) * top)
    text = "".join(glyphs.trend[int(h)] if math.isfinite(h) else " " for h in heights)
    return text.ljust(width)


def curve(
    lines: Sequence[tuple[Sequence[float], Sequence[float], str]],
    width: int,
    height: int,
    glyphs: Glyphs,
) -> list[str]:
    """A plot of several series over one axis, ``height`` rows and one of epochs.

    Args:
        lines: (x, y, character) each; later ones are drawn over earlier ones.  Logarithmic where
            the greatest value is more than ten times the least.
    """
    known = [(np.asarray(x, float), np.asarray(y, float), mark) for x, y, mark in lines]
    known = [(x[np.isfinite(y)], y[np.isfinite(y)], mark) for x, y, mark in known]
    known = [line for line in known if len(line[1])]
    if not known or width < 20:
        return []
    values = np.concatenate([y for _, y, _ in known])
    is_log = values.min() > 0 and values.max() > 10 * values.min()
    scale = np.log if is_log else np.asarray
    low, high = (float(scale(value)) for value in (values.min(), values.max()))
    # The greatest value on the first row, the least on the last one.
    labels = [f"{values.max():.4g}", *[""] * (height - 2), f"{values.min():.4g}"][:height]
    margin = max(map(len, labels)) + 1
    columns, left = width - margin - 1, min(x.min() for x, _, _ in known)
    right = max(x.max() for x, _, _ in known)
    cells = [[" "] * columns for _ in range(height)]
    for x, y, mark in known:
        column = np.round((x - left) / max(right - left, 1e-9) * (columns - 1)).astype(int)
        for place in np.unique(column):
            share = (scale(y[column == place].mean()) - low) / (high - low or 1.0)
            cells[height - 1 - round(float(share) * (height - 1))][place] = mark
    rows = [
        f"{label:>{margin}}{glyphs.axis[0]}{''.join(row)}".rstrip()
        for label, row in zip(labels, cells, strict=True)
    ]
    ends = f"{math.floor(left)}", f"epoch {right:.3g}"  # a part of the first epoch begins at 0
    gap = glyphs.axis[2] * max(1, columns - sum(map(len, ends)) - 2)
    return [*rows, f"{'':>{margin}}{glyphs.axis[1]}{ends[0]} {gap} {ends[1]}"]
