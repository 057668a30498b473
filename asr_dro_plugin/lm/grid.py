"""The search for alpha, beta and a blank penalty: what to try on a dev set, and what is best."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path

from asr_dro_plugin.base.files import write_json
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm.by_language import Choice, FoldCounts, Point

CRITERIA = ("macro_cer", "macro_wer", "worst_cer")
ALPHAS, BETAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5), (-1.0, 0.0, 1.0, 2.0, 3.0)
PENALTIES = (0.0, 1.0, 2.0)
DIGITS = 4  # of a weight: two points nearer than that are one
# Of x^2 = x + 1, x^3 = x + 1, x^4 = x + 1: their powers fill one, two, three dimensions evenly
# (Roberts 2018).
_ROOTS = {1: 1.618033988749895, 2: 1.324717957244746, 3: 1.2207440846057596}


@dataclass(frozen=True)
class Trial:
    """Error rates (0..1) of some weights, and the seconds it took.

    ``cer`` is the error rate of each language, by what was spoken.
    """

    lm_weight: float
    word_score: float
    blank_penalty: float
    macro_cer: float
    macro_wer: float
    worst_cer: float
    cer: Mapping[str, float]
    seconds: float

    @property
    def point(self) -> Point:
        """(alpha, beta, blank penalty)."""
        return self.lm_weight, self.word_score, self.blank_penalty


@dataclass
class Trials:
    """What was tried so far, kept in a JSON file.

    Args:
        path: the file; an older one's trials count if they are of the same source.
        source: what decides the error rates besides the weights, by content.
        criterion: one of ``CRITERIA``.
        set_name: the dev set, for reports.

    Attributes:
        done: one set of weights for all languages.
        counts: language decided on -> weights -> what came of them.
        choices, together: weights by language, and the trial of them all (of the joint ones, where
            every language keeps these); empty and None where it was not asked for.

    Raises:
        UserError: the file is of another source, or none of ours.
    """

    path: Path
    source: Mapping[str, str]
    criterion: str = CRITERIA[0]
    set_name: str = ""
    done: dict[Point, Trial] = field(default_factory=dict)
    counts: dict[str, dict[Point, FoldCounts]] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    together: Trial | None = None

    def __post_init__(self) -> None:
        if not self.path.exists():
            return
        try:
            found = json.loads(self.path.read_text("utf-8"))
            trials = [Trial(**each) for each in found["trials"]]
            self.counts = _read_counts(found["counts"])
            choices, together = _read_choices(found.get("by_language"))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
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
        self.choices, self.together = choices, together

    def add(self, trial: Trial, counts: Mapping[str, FoldCounts]) -> None:
        """Keep a trial of joint weights, at once on the disk."""
        self.done[trial.point] = trial
        self.add_counts(dict.fromkeys(counts, trial.point), counts)

    def add_counts(self, points: Mapping[str, Point], counts: Mapping[str, FoldCounts]) -> None:
        """Keep what each language's own weights made of it, at once on the disk."""
        for lang in points.keys() & counts.keys():
            self.counts.setdefault(lang, {})[points[lang]] = counts[lang]
        self.write()

    def write(self) -> None:
        """The file: all trials in the order of their weights, and the best."""
        content: dict[str, object] = {
            "criterion": self.criterion,
            "set": self.set_name,
            "best": asdict(self.best) if self.done else None,
            "at_edge": self.at_edge() if self.done else [],
            "source": dict(self.source),
            "trials": [asdict(self.done[point]) for point in sorted(self.done)],
            "counts": {
                lang: {" ".join(map(repr, point)): str(each[point]) for point in sorted(each)}
                for lang, each in sorted(self.counts.items())
            },
        }
        if self.together is not None:
            choices = [asdict(self.choices[lang]) for lang in sorted(self.choices)]
            content["by_language"] = {"choices": choices, "trial": asdict(self.together)}
        write_json(self.path, content)

    @property
    def title(self) -> str:
        """The criterion in words."""
        return self.criterion.replace("_", " ").replace("cer", "CER").replace("wer", "WER")

    @property
    def metric(self) -> str:
        """What is counted of one language: cer or wer."""
        return self.criterion.rpartition("_")[2]

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
            (self.done[point] for point in points), key=lambda t: (self.figure(t), *_size(t.point))
        )

    def best_for(self, lang: str, points: Iterable[Point]) -> Point:
        """The best of one language at some points."""
        there = self.counts[lang]
        errors = lambda point: int(there[point].errors(self.metric).sum())  # noqa: E731
        return min((p for p in points if p in there), key=lambda p: (errors(p), *_size(p)))

    @property
    def is_flat(self) -> bool:
        """Whether all that was tried came to the same."""
        return len(self.done) > 1 and len({self.figure(trial) for trial in self.done.values()}) == 1

    def at_edge(self) -> list[str]:
        """Where the best lies at the end of what was tried, so that a better may lie outside."""
        alphas, betas, penalties = (sorted({p[axis] for p in self.done}) for axis in range(3))
        alpha, beta, penalty = self.best.point
        edges = [
            ("the highest alpha", len(alphas) > 1 and alpha == alphas[-1]),
            ("the lowest alpha", len(alphas) > 1 and alpha == alphas[0] > 0),
            ("the highest beta", len(betas) > 1 and beta == betas[-1]),
            ("the lowest beta", len(betas) > 1 and beta == betas[0]),
            ("the highest blank penalty", len(penalties) > 1 and penalty == penalties[-1]),
            ("the lowest blank penalty", len(penalties) > 1 and penalty == penalties[0] != 0),
        ]
        return [words for words, is_there in edges if is_there]


def _size(point: Point) -> tuple[float, ...]:
    """By which of two points as good as each other the smaller one is taken."""
    alpha, beta, penalty = point
    return alpha, abs(penalty), abs(beta)


def _read_counts(found: Mapping) -> dict[str, dict[Point, FoldCounts]]:
    return {
        lang: {_point(words.split()): FoldCounts.read(rows) for words, rows in each.items()}
        for lang, each in found.items()
    }


def _read_choices(found: Mapping | None) -> tuple[dict[str, Choice], Trial | None]:
    if found is None:
        return {}, None
    choices = [Choice(**{**each, "point": _point(each["point"])}) for each in found["choices"]]
    return {each.lang: each for each in choices}, Trial(**found["trial"])


def _point(values: Iterable[str | float]) -> Point:
    alpha, beta, penalty = (float(value) for value in values)
    return alpha, beta, penalty


class Search(ABC):
    """Where to look: first points for all, then in rounds points near the best so far."""

    @abstractmethod
    def first(self) -> list[Point]:
        """Points that are tried in any case."""

    @abstractmethod
    def rounds(self) -> Sequence[Callable[[Point], list[Point]]]:
        """What each round tries, given the best before it."""

    @property
    @abstractmethod
    def num_trials(self) -> int:
        """How many trials it takes at most."""


@dataclass(frozen=True)
class Grid(Search):
    """All pairs of alpha and beta, then half steps around the best; then penalties in its place."""

    alphas: Sequence[float] = ALPHAS
    betas: Sequence[float] = BETAS
    penalties: Sequence[float] = PENALTIES

    @property
    def _start(self) -> float:
        """The penalty that all pairs are tried with."""
        return round(min(self.penalties, key=lambda penalty: (abs(penalty), penalty)), DIGITS)

    def first(self) -> list[Point]:
        pairs = [(round(a, DIGITS), round(b, DIGITS)) for a in self.alphas for b in self.betas]
        return [(*pair, self._start) for pair in dict.fromkeys(pairs)]

    def rounds(self) -> Sequence[Callable[[Point], list[Point]]]:
        return self._pairs_near, self._other_penalties, self._penalties_near, self._pairs_again

    @property
    def num_trials(self) -> int:
        return len(self.first()) + 2 * 8 + len(set(self.penalties)) + 1

    def _pairs_near(self, best: Point) -> list[Point]:
        near = (_halves(value, axis) for value, axis in zip(best, (self.alphas, self.betas)))
        alphas, betas = near
        return [(a, b, best[2]) for a in alphas for b in betas]

    def _other_penalties(self, best: Point) -> list[Point]:
        return [(*best[:2], round(penalty, DIGITS)) for penalty in self.penalties]

    def _penalties_near(self, best: Point) -> list[Point]:
        return [(*best[:2], penalty) for penalty in _halves(best[2], self.penalties)]

    def _pairs_again(self, best: Point) -> list[Point]:
        """Another penalty may want other pairs."""
        return [] if best[2] == self._start else self._pairs_near(best)


@dataclass(frozen=True)
class Spread(Search):
    """``num`` points that fill the ranges evenly, the last third of them around the best."""

    num: int
    ranges: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

    def first(self) -> list[Point]:
        return spread(self.num - self.num // 3, *self.ranges)

    def rounds(self) -> Sequence[Callable[[Point], list[Point]]]:
        return (lambda best: around(best, self.num // 3, *self.ranges),)

    @property
    def num_trials(self) -> int:
        return self.num


Evaluate = Callable[[Point, Mapping[str, Point]], tuple[Trial, Mapping[str, FoldCounts]]]


def run_joint(
    trials: Trials,
    evaluate: Evaluate,
    search: Search,
    on_trial: Callable[[], None] = lambda: None,
) -> None:
    """Look for weights for all languages together; what is done is not done again."""
    seen = search.first()
    _try(trials, evaluate, seen, on_trial)
    for near in search.rounds():
        points = near(trials.best_of(seen).point)
        _try(trials, evaluate, points, on_trial)
        seen += points


def _try(trials: Trials, evaluate: Evaluate, points: Iterable[Point], on_trial) -> None:
    for point in points:
        if point not in trials.done:
            trials.add(*evaluate(point, {}))
            on_trial()


def run_by_language(
    trials: Trials,
    evaluate: Evaluate,
    search: Search,
    langs: Iterable[str],
    on_trial: Callable[[], None] = lambda: None,
) -> None:
    """The rounds around each language's own best, all languages in one trial; after ``run_joint``.

    Args:
        langs: those that may get weights of their own.
    """
    looked = {lang: search.first() for lang in langs}
    for near in search.rounds():
        wanted = {lang: near(trials.best_for(lang, looked[lang])) for lang in looked}
        new = {
            lang: [p for p in dict.fromkeys(points) if p not in trials.counts[lang]]
            for lang, points in wanted.items()
        }
        for row in zip_longest(*new.values()):
            own = {lang: point for lang, point in zip(new, row, strict=True) if point is not None}
            trials.add_counts(own, evaluate(trials.best.point, own)[1])
            on_trial()
        for lang, points in wanted.items():
            looked[lang] += points


def _halves(value: float, axis: Sequence[float]) -> list[float]:
    """The value with the middles to the next ones on either side."""
    below = max((x for x in axis if x < value), default=value)
    above = min((x for x in axis if x > value), default=value)
    return sorted({round(x, DIGITS) for x in ((below + value) / 2, value, (value + above) / 2)})


def spread(num: int, *ranges: tuple[float, float]) -> list[Point]:
    """``num`` points that fill the ranges evenly, always the same; a range may be one number."""
    wide = [low < high for low, high in ranges]
    root = _ROOTS[max(1, sum(wide))]
    steps = [root ** -sum(wide[: axis + 1]) for axis in range(len(ranges))]
    return [
        tuple(
            round(low + (high - low) * ((0.5 + step * index) % 1), DIGITS)
            for (low, high), step in zip(ranges, steps, strict=True)
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
    yield "   alpha    beta penalty  macro CER  macro WER  worst CER  seconds"
    best = trials.best
    for point in sorted(trials.done):
        trial = trials.done[point]
        rates = "".join(f"{100 * r:9.2f} %" for r in (trial.macro_cer, trial.macro_wer,
                                                      trial.worst_cer))  # fmt: skip
        mark = "  <- best" if trial == best else ""
        yield f"{''.join(f'{value:8g}' for value in point)}{rates}{trial.seconds:9.1f}{mark}"


def table_by_language(trials: Trials) -> Iterator[str]:
    """The weights of each language as lines, with what they rest on."""
    name = trials.metric.upper()
    yield f"lang    utts   chars   joint     own  held out (dev {name} %)   alpha    beta penalty"
    for lang, choice in sorted(trials.choices.items()):
        rates = "".join(f"{100 * r:8.2f}" for r in (choice.joint, choice.own, choice.held_out))
        weights = "".join(f"{value:8g}" for value in choice.point)
        why = f"  joint: {choice.reason}" if choice.reason else ""
        yield (f"{lang:6}{choice.num_utts:6}{choice.num_chars:8}{rates}{'':12}{weights}{why}")
