"""The causes of a score's errors as ``score.json`` keeps them and as the terminal shows them.

::

    "groups": {"eng": {…, "causes": {"lid": {"errors": 4, "rate": 0.04}, "unseen": null,
                                     "text": {…}, "rest": {…}}}, …}, "total": {… the same …},
    "causes": {"macro": {"lid": 0.04, "unseen": null, "text": 0.0, "rest": 0.3}, "has_lid": true,
               "unseen": {"eng": {"é": 3}}, "broken": {"eng": [["u1", "41 characters/s", 9]]}}

The rates of the causes that were measured add up to the CER; null is what was not.
"""

from collections.abc import Iterable, Mapping

from asr_dro_plugin.scoring.causes import CAUSES, Causes, rest_of, share
from asr_dro_plugin.scoring.edit_distance import EditCounts
from asr_dro_plugin.scoring.scores import Score

MEASURED_BY = {
    "lid": "not measured: decode with --lang forced and give that text as --forced",
    "unseen": "not measured: give --train_text, the training text or the trained experiment",
}
UNTOLD = "its texts were not all decoded with it given, as by a model without its tag"
MOST_NAMED = 5  # languages


def add_causes(report: dict, causes: Causes, score: Score) -> None:
    """Put the causes into a report of the same score."""
    for name, errors in causes.groups.items():
        report["groups"][name]["causes"] = _rates(errors, score.groups[name].cer)
    report["total"]["causes"] = _rates(causes.total, score.total.cer)
    report["causes"] = {
        "macro": _macro([group["causes"] for group in report["groups"].values()], report),
        "has_lid": causes.has_lid,
        "unseen": {group: dict(found) for group, found in causes.unseen.items()},
        "broken": {group: [list(row) for row in found] for group, found in causes.broken.items()},
    }


def _rates(errors: Mapping[str, int | None], cer: EditCounts) -> dict[str, dict | None]:
    return {
        cause: None if count is None else {"errors": count, "rate": share(count, cer)}
        for cause, count in errors.items()
    }


def _macro(groups: Iterable[Mapping], report: Mapping) -> dict[str, float | None]:
    """Means of the groups' rates; they add up to the macro CER."""
    rows = list(groups)
    found: dict[str, float | None] = {}
    for cause in ("lid", "unseen", "text"):
        rates = [rate_of_cause(row, cause) for row in rows]
        found[cause] = None if None in rates else sum(rates) / len(rates)
    return found | {"rest": rest_of(report["macro"]["cer"], found.values())}


def rate_of_cause(causes: Mapping, cause: str) -> float | None:
    """A cause's part of a CER, 0..1 (below 0: see ``causes``); None where it was not measured."""
    return (causes.get(cause) or {}).get("rate")


def shown_causes(report: Mapping) -> list[str]:
    """The causes that a table has columns for; none where nothing is known but the CER.

    That of naming is there only where languages are named, or where it was measured all the same.
    """
    found = report.get("causes")
    if not found:
        return []
    told = any(group["causes"]["lid"] for group in report["groups"].values())
    if not (told or found["broken"] or found["macro"]["unseen"] is not None):
        return []
    return [cause for cause in CAUSES if cause != "lid" or found["has_lid"] or told]


def cause_rates(report: Mapping) -> list[tuple[str, float, dict[str, float | None]]]:
    """(language, CER, cause -> rate), then ``macro`` and ``total``; nothing of an older score."""
    shown = shown_causes(report)
    if not shown:
        return []
    found = report["causes"]["macro"]
    macro = ("macro", report["macro"]["cer"], {cause: found[cause] for cause in shown})
    groups = [_row(name, group, shown) for name, group in sorted(report["groups"].items())]
    return [*groups, macro, _row("total", report["total"], shown)]


def _row(name: str, group: Mapping, shown: Iterable[str]) -> tuple[str, float, dict]:
    rates = {cause: rate_of_cause(group["causes"], cause) for cause in shown}
    return name, group["cer"]["rate"], rates


def meanings(report: Mapping) -> list[str]:
    """A line for each cause: what its share is, and why it was not measured."""
    lines = []
    for cause in shown_causes(report):
        why = unmeasured(report, cause)
        lines.append(
            f"{CAUSES[cause].head}: {CAUSES[cause].meaning}" + (f" ({why})" if why else "")
        )
    return lines


def unmeasured(report: Mapping, cause: str) -> str:
    """Why a cause has no figure, of all languages or of some; '' where it has."""
    groups = report["groups"]
    lacking = [name for name, group in groups.items() if group["causes"][cause] is None]
    if cause == "lid" and 0 < len(lacking) < len(groups):
        return f"not measured of {' '.join(sorted(lacking)[:MOST_NAMED])}: {UNTOLD}"
    return MEASURED_BY[cause] if lacking else ""
