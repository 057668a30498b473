"""Line charts over training: every language a line, some in colour, any to be picked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asr_dro_plugin.reporting.page.markup import Markup, el
from asr_dro_plugin.reporting.page.svg import NUM_COLOURS, number, scale_of, text, tick_word, ticks

WIDTH, HEIGHT = 540, 280
LEFT, RIGHT, TOP, BOTTOM = 50, 84, 12, 40
MOST_POINTS = 100
LINE_HEIGHT = 13
LOG_SPAN = 5  # highest over lowest value above which an axis is logarithmic


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

    def x(self, value: float) -> float:
        return LEFT + (value - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

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
        x_name: under the axis.
        label: what a screen reader says.
        per_cent: whether values are shares, shown as percentages.
        may_be_log: a logarithmic axis where the values span much.
    """  # fmt: skip
    points = {line.name: line.finite() for line in lines}
    points = {name: (xs, ys) for name, (xs, ys) in points.items() if xs}
    if not points:
        return None
    axes = _axes(points, may_be_log)
    order = [name for name in points if name not in colours]
    order += [name for name in colours if name in points]
    paths = [_path(name, *points[name], axes, colours) for name in order]
    return el(
        "div",
        el("svg", _grid(axes, x_name, per_cent), paths, _labels(points, axes, colours),
           viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label, class_="curves"),
        class_="scroll", tabindex="0",
    )  # fmt: skip


def _axes(points: dict, may_be_log: bool) -> _Axes:
    xs = [x for each, _ in points.values() for x in each]
    ys = [y for _, each in points.values() for y in each]
    low, high = min(ys), max(ys)
    log = may_be_log and low > 0 and high / low > LOG_SPAN
    last = max(xs) if max(xs) > min(xs) else min(xs) + 1
    return _Axes(min(xs), last, low if log else 0.0, high if log else scale_of(high), log)


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
        text(WIDTH - RIGHT + 6, y - beyond + 4, name, "start",
             f"end c{list(colours).index(name) % NUM_COLOURS}")
        for y, (_, name) in zip(places, ends)
    ]  # fmt: skip


def _grid(axes: _Axes, x_name: str, per_cent: bool) -> list[Markup]:
    marks = _log_ticks(axes) if axes.log else ticks(axes.high)
    drawn = []
    for value in marks:
        y = number(axes.y(value))
        drawn.append(Markup(f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" class="grid"/>'))
        words = f"{tick_word(100 * value)} %" if per_cent else tick_word(value)
        drawn.append(text(LEFT - 6, axes.y(value) + 4, words, "end", "tick"))
    span = axes.last - axes.first
    for value in ticks(axes.last, 6):
        if value >= axes.first - 0.01 * span:
            drawn.append(text(axes.x(value), HEIGHT - BOTTOM + 16, tick_word(value), class_="tick"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [*drawn, text(middle, HEIGHT - 6, x_name, class_="tick")]


def _log_ticks(axes: _Axes) -> list[float]:
    powers = range(math.floor(math.log10(axes.low)), math.ceil(math.log10(axes.high)) + 1)
    found = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return [value for value in found if axes.low <= value <= axes.high]
