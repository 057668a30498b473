"""A picture of the trials: the criterion over alpha and beta, for all and for each language."""

import math
import os
from collections.abc import Mapping

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.lm.by_language import Point
from asr_dro_plugin.lm.grid import Trials

MOST_LANGUAGES = 15
COLUMNS = 4


def draw(trials: Trials, path: str | os.PathLike) -> None:
    """Write a PNG; a language has a panel of its own, up to fifteen of those with most text."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    joint = {point: trials.figure(trial) for point, trial in trials.done.items()}
    panels = [(f"all: {trials.title}", joint, trials.best.point)]
    by_size = sorted(trials.choices.values(), key=lambda choice: (-choice.num_chars, choice.lang))
    for choice in sorted(by_size[:MOST_LANGUAGES], key=lambda choice: choice.lang):
        rates = {p: c.rate(trials.metric) for p, c in trials.counts[choice.lang].items()}
        panels.append((f"{choice.lang}: {trials.metric.upper()}", rates, choice.point))
    columns = min(len(panels), COLUMNS)
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(2 + 4 * columns, 0.5 + 4 * rows), layout="constrained")
    for number, panel in enumerate(panels):
        _panel(figure, figure.add_subplot(rows, columns, number + 1), *panel)
    with atomic_write(path, "wb") as stream:
        FigureCanvasAgg(figure).print_png(stream)


def _panel(figure, axes, title: str, rates: Mapping[Point, float], chosen: Point) -> None:
    """One picture; of several blank penalties with the same alpha and beta the best is shown."""
    best: dict[tuple[float, float], float] = {}
    for (alpha, beta, _), rate in rates.items():
        best[alpha, beta] = min(100 * rate, best.get((alpha, beta), math.inf))
    points, values = list(best), list(best.values())
    middle = (min(values) + max(values)) / 2
    shown = axes.scatter(*zip(*points), c=values, cmap="viridis_r", marker="s", s=220)
    for point, value in best.items():
        ink = "white" if value > middle else "black"
        axes.annotate(f"{value:.1f}", point, ha="center", va="center", fontsize=6, color=ink)
    axes.scatter(*chosen[:2], marker="s", s=260, facecolors="none", edgecolors="red")
    penalty = f", blank penalty {chosen[2]:g}" if chosen[2] else ""
    axes.set(xlabel="alpha (lm_weight)", ylabel="beta (word_score)",
             title=f"{title}\nred: chosen{penalty}")  # fmt: skip
    axes.margins(0.15)
    figure.colorbar(shown, label="%")
