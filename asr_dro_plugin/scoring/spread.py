"""Mean and spread of one set's scores over several experiments (seeds)."""

import statistics
from collections.abc import Mapping, Sequence

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.table import aligned, percent

HEADER = ("", "CER %", "std", "min", "max", "WER %", "std", "min", "max", "LID %", "std")


def spread_table(reports: Mapping[str, Mapping]) -> str:
    """A table over experiments: each language, macro, worst and total.

    The standard deviation is the sample's (N - 1).  ``worst`` is each experiment's own worst
    language, which need not be the same one.

    Args:
        reports: experiment -> report, all of the same set.

    Raises:
        UserError: scores that cannot be compared (another set, text, or number of utterances).
    """
    first, *others = reports.items()
    for other in others:
        _check_comparable(first, other)
    langs = sorted(first[1]["groups"])
    several = list(reports.values())
    rows = [_row(lang, [_group_rates(report["groups"][lang]) for report in several])
            for lang in langs]  # fmt: skip
    rows.append(_row("macro", [report["macro"] for report in several]))
    worst = [report["worst_group"] for report in several]
    rows.append(_row("worst", [_group_rates(each) for each in worst]))
    rows.append(_row("total", [_group_rates(report["total"]) for report in several]))
    head = (
        f"Set {first[1]['set']}, text normalised by '{first[1]['normalizer']}': "
        f"mean over {len(several)} experiments"
    )
    lines = aligned([HEADER, *rows], rules=(1, 1 + len(langs)))
    return "\n".join([f"{head}:", "", *lines, "", *_each_macro(reports)])


def _each_macro(reports: Mapping[str, Mapping]) -> list[str]:
    return [
        f"{name}: macro CER {percent(report['macro']['cer'])} %, "
        f"worst {report['worst_group']['cer']['group']} "
        f"{percent(report['worst_group']['cer']['rate'])} %"
        for name, report in reports.items()
    ]


def _check_comparable(one: tuple[str, Mapping], other: tuple[str, Mapping]) -> None:
    for what, of in (
        ("set", lambda r: r["set"]),
        ("normaliser", lambda r: r["normalizer"]),
        ("languages", lambda r: sorted(r["groups"])),
        ("number of utterances", lambda r: r["total"]["num_utts"]),
        ("number of characters", lambda r: r["total"]["cer"]["ref"]),
    ):
        if of(one[1]) != of(other[1]):
            raise UserError(
                f"{one[0]} and {other[0]} differ in {what} ({of(one[1])} against {of(other[1])}). "
                "Only scores of the same text can be compared."
            )


def _group_rates(group: Mapping) -> dict:
    return {metric: group[metric] and group[metric]["rate"] for metric in ("cer", "wer", "lid")}


def _row(name: str, rates: Sequence[Mapping]) -> list[str]:
    cells = [name]
    for metric in ("cer", "wer", "lid"):
        values = [rate[metric] for rate in rates]
        if None in values:
            cells += ["-", "-"] if metric == "lid" else ["-"] * 4
            continue
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        cells += [percent(statistics.fmean(values)), percent(spread)]
        if metric != "lid":
            cells += [percent(min(values)), percent(max(values))]
    return cells
