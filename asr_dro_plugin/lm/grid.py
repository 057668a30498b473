"""The search for alpha and beta on a dev set: which points to try, which is best, how they look."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.errors import UserError

CRITERIA = ("macro_cer", "macro_wer", "worst_cer")
ALPHAS, BETAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5), (-1.0, 0.0, 1.0, 2.0)
DIGITS = 4  # of alpha and beta: two points nearer than that are one
# Steps of a sequence that fills the plane evenly (Roberts 2018: powers of 1.3247, x^3 = x + 1).
_STEPS = (0.7548776662466927, 0.5698402909980532)

Point = tuple[float, float]


@dataclass(frozen=True)
class Trial:
    """Error rates (0..1) of one alpha and beta, and the seconds it took."""

    lm_weight: float
    word_score: float
    macro_cer: float
    macro_wer: float
    worst_cer: float
    seconds: float

    @property
    def point(self) -> Point:
        """(alpha, beta)."""
        return self.lm_weight, self.word_score


@dataclass
class Trials:
    """What was tried so far, kept in a JSON file.

    Args:
        path: the file; an older one's trials count if they are of the same source.
        source: what decides the error rates besides alpha and beta, by content.
        criterion: one of ``CRITERIA``.

    Raises:
        UserError: the file is of another source, or none of ours.
    """

    path: Path
    source: Mapping[str, str]
    criterion: str = CRITERIA[0]
    done: dict[Point, Trial] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path.exists():
            return
        try:
            found = json.loads(self.path.read_text("utf-8"))
            trials = [Trial(**each) for each in found["trials"]]
        except (OSError, ValueError, TypeError, KeyError):
            raise UserError(
                f"{self.path} holds no trials. Delete it, or give another --out."
            ) from None
        other = sorted(k for k in {*found["source"], *self.source}
                       if found["source"].get(k) != self.source.get(k))  # fmt: skip
        if other:
            raise UserError(
                f"{self.path} holds trials of another {other[0]}. Delete it, or give another --out."
            )
        self.done = {trial.point: trial for trial in trials}

    def add(self, trial: Trial) -> None:
        """Keep a trial, at once on the disk."""
        self.done[trial.point] = trial
        self.write()

    def write(self) -> None:
        """The file: all trials in the order of alpha and beta, and the best."""
        content = {
            "criterion": self.criterion,
            "best": asdict(self.best) if self.done else None,
            "at_edge": self.at_edge() if self.done else [],
            "source": dict(self.source),
            "trials": [asdict(self.done[point]) for point in sorted(self.done)],
        }
        with atomic_write(self.path) as stream:
            json.dump(content, stream, indent=1, ensure_ascii=False)
            stream.write("\n")

    @property
    def title(self) -> str:
        """The criterion in words."""
        return self.criterion.replace("_", " ").replace("cer", "CER").replace("wer", "WER")

    def figure(self, trial: Trial) -> float:
        """What is made small."""
        return getattr(trial, self.criterion)

    @property
    def best(self) -> Trial:
        """The least of the criterion; of equals the least weights."""
        return self.best_of(self.done)

    def best_of(self, points: Iterable[Point]) -> Trial:
        """The best at some points, so that later trials do not change where to look further."""
        return min(
            (self.done[point] for point in points),
            key=lambda t: (self.figure(t), t.lm_weight, abs(t.word_score)),
        )

    def at_edge(self) -> list[str]:
        """Where the best lies at the end of what was tried, so that a better may lie outside."""
        alphas, betas = (sorted({point[axis] for point in self.done}) for axis in (0, 1))
        best = self.best
        edges = [
            ("the highest alpha", len(alphas) > 1 and best.lm_weight == alphas[-1]),
            ("the lowest alpha", len(alphas) > 1 and best.lm_weight == alphas[0] > 0),
            ("the highest beta", len(betas) > 1 and best.word_score == betas[-1]),
            ("the lowest beta", len(betas) > 1 and best.word_score == betas[0]),
        ]
        return [words for words, is_there in edges if is_there]


def run_grid(
    trials: Trials,
    evaluate: Callable[[Point], Trial],
    alphas: Sequence[float],
    betas: Sequence[float],
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> None:
    """All pairs, then those between the best and its neighbours; what is done is not done again."""
    pairs = [(round(a, DIGITS), round(b, DIGITS)) for a in alphas for b in betas]
    _run(trials, evaluate, pairs, on_trial)
    _run(trials, evaluate, between(trials.best_of(pairs).point, alphas, betas), on_trial)


def run_points(
    trials: Trials,
    evaluate: Callable[[Point], Trial],
    num: int,
    alphas: Sequence[float],
    betas: Sequence[float],
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> None:
    """``num`` points spread over the ranges, the last third of them around the best."""
    ranges = (min(alphas), max(alphas)), (min(betas), max(betas))
    first = spread(num - num // 3, *ranges)
    _run(trials, evaluate, first, on_trial)
    _run(trials, evaluate, around(trials.best_of(first).point, num // 3, *ranges), on_trial)


def _run(trials: Trials, evaluate, points: Iterable[Point], on_trial) -> None:
    for point in points:
        if point not in trials.done:
            trials.add(evaluate(point))
        on_trial(trials.done[point])


def between(best: Point, alphas: Sequence[float], betas: Sequence[float]) -> list[Point]:
    """The best's neighbours at half a step of the grid (none beyond it)."""
    axes = [_halves(value, sorted(set(axis))) for value, axis in zip(best, (alphas, betas))]
    return [(a, b) for a in axes[0] for b in axes[1] if (a, b) != best]


def _halves(value: float, axis: Sequence[float]) -> list[float]:
    """The value with the middles to the next ones on either side."""
    below = max((x for x in axis if x < value), default=value)
    above = min((x for x in axis if x > value), default=value)
    return sorted({round(x, DIGITS) for x in ((below + value) / 2, value, (value + above) / 2)})


def spread(num: int, *ranges: tuple[float, float]) -> list[Point]:
    """``num`` points that fill the ranges evenly, always the same."""
    return [
        tuple(
            round(low + (high - low) * ((0.5 + step * index) % 1), DIGITS)
            for (low, high), step in zip(ranges, _STEPS, strict=True)
        )
        for index in range(num)
    ]


def around(best: Point, num: int, *ranges: tuple[float, float]) -> list[Point]:
    """``num`` points in a quarter of the ranges around the best, kept within them."""
    near = []
    for value, (low, high) in zip(best, ranges, strict=True):
        reach = (high - low) / 8
        near.append((max(low, value - reach), min(high, value + reach)))
    return spread(num + 1, *near)[1:]  # the first is the middle


def table(trials: Trials) -> Iterator[str]:
    """The trials as lines, the best one marked."""
    yield "   alpha    beta  macro CER  macro WER  worst CER  seconds"
    best = trials.best
    for point in sorted(trials.done):
        trial = trials.done[point]
        rates = "".join(f"{100 * r:9.2f} %" for r in (trial.macro_cer, trial.macro_wer,
                                                      trial.worst_cer))  # fmt: skip
        mark = "  <- best" if trial == best else ""
        yield f"{point[0]:8g}{point[1]:8g}{rates}{trial.seconds:9.1f}{mark}"


def draw(trials: Trials, path: str | os.PathLike) -> None:
    """A picture of the criterion over alpha and beta."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    points = sorted(trials.done)
    values = [100 * trials.figure(trials.done[point]) for point in points]
    middle = (min(values) + max(values)) / 2
    shown = axes.scatter(*zip(*points), c=values, cmap="viridis_r", marker="s", s=500)
    for point, value in zip(points, values, strict=True):
        ink = "white" if value > middle else "black"
        axes.annotate(f"{value:.1f}", point, ha="center", va="center", fontsize=7, color=ink)
    axes.scatter(*trials.best.point, marker="s", s=560, facecolors="none", edgecolors="red")
    axes.set(xlabel="alpha (lm_weight)", ylabel="beta (word_score)", title="best in red")
    axes.margins(0.15)
    figure.colorbar(shown, label=f"{trials.title} (%)")
    with atomic_write(path, "wb") as stream:
        FigureCanvasAgg(figure).print_png(stream)
