"""Small pictures as SVG: error bars, histograms, hour bars.  Colours come from ``page.css``."""

import math
from collections.abc import Mapping, Sequence

from asr_dro_plugin.reporting.page.markup import Markup, el

BAR_WIDTH, BAR_HEIGHT = 220, 18
HISTOGRAM = (300, 130)  # width, height
BINS = 24
NUM_COLOURS = 10  # c0 to c9 in page.css


def number(value: float) -> str:
    """A coordinate: at most one digit after the point, so that pages stay small."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def scale_of(highest: float) -> float:
    """End of an axis from 0: at least ``highest``, a round number."""
    if highest <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(highest))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 20)
                if step * power >= highest * (1 - 1e-9))  # fmt: skip


def ticks(end: float, most: int = 5) -> list[float]:
    """Round numbers from 0 to ``end``, at most about ``most``."""
    raw = end / most
    power = 10 ** math.floor(math.log10(raw))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= raw * (1 - 1e-9))
    return [index * step for index in range(int(end / step * (1 + 1e-9)) + 1)]


def tick_word(value: float) -> str:
    """``0``, ``2.5``, ``1,000``."""
    return f"{value:,.0f}" if value == round(value) else f"{value:.4g}"


def rect(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    """A rectangle; nothing where it has no width."""
    if width <= 0 or height <= 0:
        return Markup("")
    return Markup(
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" '
        f'height="{number(height)}" class="{class_}"/>'
    )


def text(x: float, y: float, words: str, anchor: str = "middle", class_: str = "") -> Markup:
    """A label; ``anchor`` is start, middle or end."""
    return el("text", words, x=number(x), y=number(y), text_anchor=anchor, class_=class_ or None)


def error_bar(
    parts: Mapping[str, float], interval: tuple[float, float] | None, end: float
) -> Markup:
    """A stacked bar of rates with its interval as a whisker; the figures stand beside it.

    Args:
        parts: class -> rate 0.., in the order in which they are stacked.
        interval: low and high of their sum.
        end: rate at the bar's right end; what is beyond is cut.
    """
    unit, x, drawn = BAR_WIDTH / end, 0.0, []
    for class_, rate in parts.items():
        width = min(rate * unit, BAR_WIDTH - x)
        drawn.append(rect(x, 3, width, BAR_HEIGHT - 6, class_))
        x += width
    if interval is not None:
        low, high = (min(bound * unit, BAR_WIDTH - 1) for bound in interval)
        middle = BAR_HEIGHT / 2
        path = (
            f"M{number(low)} {number(middle)}H{number(high)}M{number(low)} 5v8M{number(high)} 5v8"
        )
        drawn.append(Markup(f'<path d="{path}" class="ci"/>'))
    return el(
        "svg", drawn, class_="bar", width=BAR_WIDTH, height=BAR_HEIGHT, aria_hidden="true",
        viewBox=f"0 0 {BAR_WIDTH} {BAR_HEIGHT}",
    )  # fmt: skip


def histogram_end(values: Sequence[float]) -> float:
    """End of an axis that holds all but the highest hundredth of the values."""
    ranked = sorted(values)
    return scale_of(max(ranked[int(0.99 * (len(ranked) - 1))], 1e-9))


def histogram(values: Sequence[float], end: float, unit: str, label: str) -> Markup:
    """How many values lie where; what is beyond the axis is counted into the last bar.

    Args:
        values: not empty, none negative.
        end: of the axis.
        unit: word under the axis.
        label: what a screen reader says.
    """
    width, height = HISTOGRAM
    counts = [0] * BINS
    for value in values:
        counts[min(int(value / end * BINS), BINS - 1)] += 1
    top, step = max(counts), (width - 20) / BINS
    bars = [
        rect(10 + index * step, 100 - 92 * count / top, step - 1, 92 * count / top, "hist")
        for index, count in enumerate(counts)
    ]
    marks = [
        text(10 + value / end * (width - 20), 114, tick_word(value), class_="tick")
        for value in ticks(end, 4)
    ]
    base = Markup(f'<path d="M10 100H{width - 10}" class="axis"/>')
    return el(
        "svg", bars, base, marks, text(width / 2, height - 3, unit, class_="tick"),
        viewBox=f"0 0 {width} {height}", role="img", aria_label=label, class_="histogram",
    )  # fmt: skip


def dots(rates: Sequence[float | None], end: float) -> Markup:
    """A dot for each rate on one axis, in the systems' colours; the first is a ring.

    Args:
        rates: one a system, None where it has none.
        end: rate at the right end; what is beyond lies there.
    """
    middle, drawn = BAR_HEIGHT / 2, []
    for index, rate in reversed(list(enumerate(rates))):  # the first is drawn above the others
        if rate is not None:
            x = number(5 + min(rate / end, 1) * (BAR_WIDTH - 10))
            kind = dot_class(index)
            drawn.append(Markup(f'<circle cx="{x}" cy="{number(middle)}" r="4" class="{kind}"/>'))
    line = Markup(f'<path d="M5 {number(middle)}H{BAR_WIDTH - 5}" class="grid"/>')
    return el(
        "svg", line, drawn, class_="bar", width=BAR_WIDTH, height=BAR_HEIGHT, aria_hidden="true",
        viewBox=f"0 0 {BAR_WIDTH} {BAR_HEIGHT}",
    )  # fmt: skip


def dot_class(index: int) -> str:
    """Of the mark of a system: a ring for the first, then a colour each."""
    return "ring" if index == 0 else f"dot c{(index - 1) % NUM_COLOURS}"


def hour_bar(hours: float, end: float, class_: str = "hist") -> Markup:
    """One plain bar."""
    return el(
        "svg", rect(0, 3, hours / end * BAR_WIDTH, BAR_HEIGHT - 6, class_), class_="bar",
        width=BAR_WIDTH, height=BAR_HEIGHT, aria_hidden="true",
        viewBox=f"0 0 {BAR_WIDTH} {BAR_HEIGHT}",
    )  # fmt: skip
