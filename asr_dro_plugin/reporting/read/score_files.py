"""Reading what scoring wrote: ``EXP/<inference_tag>/<set>/score.json``.

Files of before the intervals (no ``ci``, no ``summary``) are read as well; what they lack is None.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.bootstrap import wilson
from asr_dro_plugin.scoring.report import read_report

RATES = ("cer", "wer", "lid")
CER_KEYS = ("errors", "substitutions", "deletions", "insertions", "ref", "rate")
METRICS = ("cer", "wer", "per")  # the last only where a phoneme map was given
ROLES = {"test": ("test", "eval"), "dev": ("dev", "valid"), "train": ("train",)}
Interval = tuple[float, float]


def find_reports(exp: str | os.PathLike) -> dict[tuple[str, str], dict]:
    """(inference tag, set) -> score, of all scores of an experiment, test sets first.

    Raises:
        UserError: no such folder, no score in it, or a score that lies under another set's name.
    """
    exp = Path(exp)
    if not exp.is_dir():
        raise UserError(f"{exp} is no folder. Give an experiment, for example exp/asr_mini.")
    paths = {(path.parent.parent.name, path.parent.name): path for path in score_paths(exp)}
    reports = {names: read_score(path) for names, path in paths.items()}
    if not reports:
        raise UserError(f"{exp} holds no <inference_tag>/<set>/score.json. Run stages 12 and 13.")
    return reports


def the_report(exp: str | os.PathLike, set_name: str, tag: str | None) -> dict:
    """The one score of a set; several decodings without their inference tag are an error."""
    reports = find_reports(exp)
    tags = [each for each, name in reports if name == set_name and tag in (None, each)]
    if len(tags) == 1:
        return reports[tags[0], set_name]
    there = " ".join(sorted({f"{each}/{name}" for each, name in reports}))
    fact = "several scores" if tags else "no score"
    raise UserError(
        f"{exp} holds {fact} of {set_name} (there are: {there}). Give --set and --inference_tag."
    )


def score_paths(exp: Path) -> list[Path]:
    """The files there are, of an unpacked model those that were packed with it: test sets, then
    development sets, then others, each by name.

    Of one set greedy decoding comes first: what a search or a language model gains is told
    against it.
    """
    order = list(ROLES)
    found = [*exp.glob("*/*/score.json"), *exp.glob("scores/*/*/score.json")]
    rank = {path: role_of(path.parent.name) for path in found}
    return sorted(
        rank,
        key=lambda path: (
            order.index(rank[path]) if rank[path] in order else len(order),
            path.parent.name,
            "greedy" not in path.parent.parent.name,
            path.parent.parent.name,
        ),
    )


def role_of(set_name: str) -> str:
    """``test``, ``dev``, ``train`` or ``other``, from the beginning of the set's name."""
    return next((role for role, heads in ROLES.items() if set_name.startswith(heads)), "other")


def read_score(path: str | os.PathLike) -> dict:
    """One score; its set must be the one under whose name it lies.

    Raises:
        UserError: unreadable, no score, or of another set.
    """
    path = Path(path)
    report = read_report(path)
    if not _is_whole(report):
        raise UserError(f"{path} lacks counts of a language or of all. Score the set again.")
    if report["set"] != path.parent.name:
        raise UserError(
            f"{path} holds the score of {report['set']}, but lies under {path.parent.name}. "
            "Score the set again."
        )
    return report


def _is_whole(report: Mapping) -> bool:
    """Whether the figures are there that every score has, and of one language at least."""
    try:
        groups = [report["total"], *report["groups"].values()]
        figures = [group["cer"][key] for group in groups for key in CER_KEYS]
        figures += [group["num_utts"] for group in groups] + [report["macro"]["cer"]]
        named = [group["duration"] for group in groups] + [report["macro"][m] for m in RATES]
        worst = report["worst_group"]["cer"]["group"]
    except (KeyError, TypeError, AttributeError):
        return False
    return (
        all(isinstance(figure, int | float) for figure in figures)
        and all(figure is None or isinstance(figure, int | float) for figure in named)
        and worst in report["groups"]
    )


def rate_of(group: Mapping, metric: str) -> float | None:
    """Rate 0..1 of ``cer``, ``wer`` or ``lid``; None where it was not measured."""
    return (group.get(metric) or {}).get("rate")


def interval_of(group: Mapping, metric: str) -> Interval | None:
    """95 % interval of a rate: the score's own (bootstrap); of an older ``lid`` Wilson's."""
    counts = group.get(metric) or {}
    if metric == "lid" and "ci" not in counts and counts.get("total"):
        return wilson(counts["correct"], counts["total"])
    return tuple(counts["ci"]) if counts.get("ci") else None


def macro_interval(report: Mapping, metric: str) -> Interval | None:
    """95 % interval of the mean over languages."""
    found = summary_of(report, metric).get("macro_ci")
    return tuple(found) if found else None


def summary_of(report: Mapping, metric: str) -> Mapping:
    """``macro_ci``, ``worst_15``, ``std`` … of a metric; empty of an older score."""
    return (report.get("summary") or {}).get(metric) or {}


def worst_of(report: Mapping, metric: str = "cer") -> tuple[str, Mapping]:
    """The language of highest error and its scores; ``-`` and none where it was not measured."""
    name = (report["worst_group"].get(metric) or {}).get("group")
    return (name, report["groups"][name]) if name in report["groups"] else ("-", {})
