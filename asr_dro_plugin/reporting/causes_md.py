"""The causes of errors in ``RESULTS.md``: columns beside the CER, and what helps against each."""

from collections.abc import Iterable, Mapping, Sequence

from asr_dro_plugin.reporting.read.score_files import worst_of
from asr_dro_plugin.scoring.causes import CAUSES
from asr_dro_plugin.scoring.causes_table import cause_rates, shown_causes, unmeasured
from asr_dro_plugin.scoring.table import percent


def legend(reports: Iterable[Mapping]) -> list[str]:
    """What the columns of all these scores are, a line each; nothing where none has any."""
    shown = {cause for report in reports for cause in shown_causes(report)}
    lines = [
        f"- {cause.head}: {cause.meaning}. {cause.advice}"
        for name, cause in CAUSES.items()
        if name in shown
    ]
    return (
        ["Why a language fails: these parts of its CER add up to it.", "", *lines] if lines else []
    )


def heads(report: Mapping) -> list[str]:
    """The columns' heads."""
    return [CAUSES[cause].head for cause in shown_causes(report)]


def cells(report: Mapping) -> list[Sequence[str]]:
    """Cells of each language by name, of macro, worst and total; all empty of an older score."""
    rows = [[percent(rate) for rate in rates.values()] for _, _, rates in cause_rates(report)]
    names = sorted(report["groups"])
    if not rows:
        return [()] * (len(names) + 3)
    worst = worst_of(report)[0]
    return [*rows[:-1], rows[names.index(worst)], rows[-1]]


def notes(report: Mapping) -> list[str]:
    """A line for each cause that was not measured, with the reason."""
    why = {cause: unmeasured(report, cause) for cause in shown_causes(report)}
    return [f"{CAUSES[cause].head}: {words}" for cause, words in why.items() if words]
