"""Pictures as SVG: error bars, histograms, hour bars, and line charts over training.

Colours come from ``page.css``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_dro_plugin.reporting.page.markup import Markup, el

BAR_WIDTH, BAR_HEIGHT = 220, 18
HISTOGRAM = (300, 130)  # width, height
BINS = 24
NUM_COLOURS = 10  # c0 to c9 in page.css
# Of a line chart.
WIDTH, HEIGHT = 366, 250  # as wide as a phone's page, so that letters are as large as its text
LEFT, TOP, BOTTOM = 46, 18, 40
NAME, LETTER, MOST_LETTERS = 14, 7.7, 12  # gap before a name, width of a letter; longer ones end …
MOST_POINTS = 100
LINE_HEIGHT = 13
LOG_SPAN = 5  # highest over lowest value above which an axis is logarithmic


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
    return _bar(drawn)


def histogram_end(values: Sequence[float]) -> float:
    """End of an axis that holds all but the highest hundredth of the values."""
    ranked = sorted(values)
    return scale_of(max(ranked[int(0.99 * (len(ranked) - 1))], 1e-9))


def histogram(values: Sequence[float], end: float, unit: str, label: str) -> Markup:
    """How many values lie where; what is beyond the axis is counted into the last bar.

    ``values`` are not empty, none is negative; ``unit`` is the word under the axis, ``label`` is
    what a screen reader says.
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

    A system without a rate has None; what is beyond the right ``end`` lies there.
    """
    middle, drawn = BAR_HEIGHT / 2, []
    for index, rate in reversed(list(enumerate(rates))):  # the first is drawn above the others
        if rate is not None:
            x = number(5 + min(rate / end, 1) * (BAR_WIDTH - 10))
            kind = dot_class(index)
            drawn.append(Markup(f'<circle cx="{x}" cy="{number(middle)}" r="4" class="{kind}"/>'))
    line = Markup(f'<path d="M5 {number(middle)}H{BAR_WIDTH - 5}" class="grid"/>')
    return _bar(line, drawn)


def dot_class(index: int) -> str:
    """Of the mark of a system: a ring for the first, then a colour each."""
    return "ring" if index == 0 else f"dot c{(index - 1) % NUM_COLOURS}"


def hour_bar(hours: float, end: float) -> Markup:
    """One plain bar."""
    return _bar(rect(0, 3, hours / end * BAR_WIDTH, BAR_HEIGHT - 6, "hist"))


def _bar(*drawn: object) -> Markup:
    """A picture in a table's row; the figures stand beside it."""
    return el(
        "svg", drawn, class_="bar", width=BAR_WIDTH, height=BAR_HEIGHT, aria_hidden="true",
        viewBox=f"0 0 {BAR_WIDTH} {BAR_HEIGHT}",
    )  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line: its name, and equally many positions and values; NaN is left out."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]

    def finite(self) -> tuple[list[float], list[float]]:
        """The points that are numbers, thinned to at most 100 by means of neighbours."""
        points = [(float(x), float(y)) for x, y in zip(self.xs, self.ys) if math.isfinite(y)]
        step = math.ceil(len(points) / MOST_POINTS)
        blocks = [points[i : i + step] for i in range(0, len(points), step)] if points else []
        xs = [sum(x for x, _ in block) / len(block) for block in blocks]
        return xs, [sum(y for _, y in block) / len(block) for block in blocks]


@dataclass(frozen=True)
class _Axes:
    first: float
    last: float
    low: float
    high: float
    log: bool
    right: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.first) / (self.last - self.first) * (self.right - LEFT)

    def y(self, value: float) -> float:
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = value / self.high
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def line_chart(
    lines: Sequence[Line],
    colours: Sequence[str],
    x_name: str,
    label: str,
    per_cent: bool = False,
    may_be_log: bool = False,
) -> Markup | None:
    """The chart; None where no line has a number.

    Args:
        lines: all of them; those that are not in ``colours`` are thin and grey.
        colours: names of lines in colour, each with a label at its end, in the colours' order.
        x_name: under the axis; ``label``: what a screen reader says.
        per_cent: whether values are shares, shown as percentages.
        may_be_log: a logarithmic axis where the values span much.
    """
    points = {line.name: line.finite() for line in lines}
    points = {name: (xs, ys) for name, (xs, ys) in points.items() if xs}
    if not points:
        return None
    axes = _axes(points, may_be_log, [name for name in colours if name in points])
    order = [name for name in points if name not in colours]
    order += [name for name in colours if name in points]
    paths = [_path(name, *points[name], axes, colours) for name in order]
    return el(
        "div",
        el("svg", _grid(axes, x_name, per_cent), paths, _labels(points, axes, colours),
           viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label, class_="curves"),
        class_="scroll", tabindex="0",
    )  # fmt: skip


def _axes(points: dict, may_be_log: bool, named: Sequence[str]) -> _Axes:
    xs = [x for each, _ in points.values() for x in each]
    ys = [y for _, each in points.values() for y in each]
    low, high = min(ys), max(ys)
    log = may_be_log and low > 0 and high / low > LOG_SPAN
    last = max(xs) if max(xs) > min(xs) else min(xs) + 1
    right = WIDTH - NAME - LETTER * max((len(_name(name)) for name in named), default=0)
    low, high = (low, high) if log else (0.0, scale_of(high))
    return _Axes(min(xs), last, low, high, log, right)


def _name(name: str) -> str:
    """As it fits beside a line; the whole is read where it is pointed at."""
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}\u2026"


def _path(name: str, xs: list, ys: list, axes: _Axes, colours: Sequence[str]) -> Markup:
    places = [f"{number(axes.x(x))} {number(axes.y(y))}" for x, y in zip(xs, ys)]
    if len(places) == 1:  # a line of no length would not be seen
        places.append(f"{number(axes.x(xs[0]) + 3)} {number(axes.y(ys[0]))}")
    class_ = f"line c{list(colours).index(name) % NUM_COLOURS}" if name in colours else "line"
    return el("path", el("title", name), d="M" + "L".join(places), class_=class_, data_s=name)


def _labels(points: dict, axes: _Axes, colours: Sequence[str]) -> list[Markup]:
    """Names at the ends of the coloured lines, moved apart where they would touch."""
    ends = sorted((axes.y(points[name][1][-1]), name) for name in colours if name in points)
    places: list[float] = []
    for y, _ in ends:
        places.append(max(y, places[-1] + LINE_HEIGHT) if places else y)
    beyond = max(0.0, places[-1] - (HEIGHT - BOTTOM)) if places else 0.0
    return [
        text(axes.right + 6, y - beyond + 4, _name(name), "start",
             f"end c{list(colours).index(name) % NUM_COLOURS}")
        for y, (_, name) in zip(places, ends)
    ]  # fmt: skip


def _grid(axes: _Axes, x_name: str, per_cent: bool) -> list[Markup]:
    marks = _log_ticks(axes) if axes.log else ticks(axes.high)
    drawn = []
    for value in marks:
        y = number(axes.y(value))
        drawn.append(Markup(f'<path d="M{LEFT} {y}H{number(axes.right)}" class="grid"/>'))
        words = f"{tick_word(100 * value)} %" if per_cent else tick_word(value)
        drawn.append(text(LEFT - 6, axes.y(value) + 4, words, "end", "tick"))
    span = axes.last - axes.first
    for value in ticks(axes.last, 6):
        if value >= axes.first - 0.01 * span:
            drawn.append(text(axes.x(value), HEIGHT - BOTTOM + 16, tick_word(value), class_="tick"))
    if axes.log:
        drawn.append(text(2, 11, "logarithmic", "start", "tick"))
    return [*drawn, text((LEFT + axes.right) / 2, HEIGHT - 6, x_name, class_="tick")]


def _log_ticks(axes: _Axes) -> list[float]:
    powers = range(math.floor(math.log10(axes.low)), math.ceil(math.log10(axes.high)) + 1)
    found = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return [value for value in found if axes.low <= value <= axes.high]
