"""Tables for who wants to know more: confusions, languages taken for others, two hypotheses."""

from collections.abc import Mapping, Sequence

from asr_dro_plugin.scoring.table import NAMES, aligned, interval_words, percent

MOST = 20  # confusions that are printed; the JSON has more
WIDEST = 12  # languages of which a matrix is printed
NAMED = {"": "(nothing)", " ": "(space)"}
COMPARISON_NOTE = (
    "difference: second minus first, in points, with its 95 % interval; p: paired test that swaps",
    "the two at random; a star: p < 0.05, of groups after Holm's correction for their number.",
)


def details_table(report: Mapping) -> str:
    """The most frequent confusions of characters and words, and the LID confusion matrix."""
    lines: list[str] = []
    for kind, name in (("chars", "Characters"), ("words", "Words")):
        rows = [
            [_shown(ref), _shown(hyp), str(count)]
            for ref, hyp, count in report["confusions"][kind][:MOST]
        ]
        if rows:
            lines += [f"{name} taken for others:", ""]
            lines += [*aligned([["reference", "recognised", "times"], *rows], rules=(1,)), ""]
    if report["lid_confusion"]:
        lines += ["Language recognised, a row for each true one:", ""]
        lines += [*aligned(_lid_rows(report["lid_confusion"]), rules=(1,)), ""]
    return "\n".join(lines)


def comparison_table(comparison: Mapping[str, Mapping]) -> str:
    """Both rates, difference, interval and p of each group, macro and micro, metric by metric."""
    lines: list[str] = []
    for metric, found in comparison.items():
        rows = [_comparison_row(name, each) for name, each in found["groups"].items()]
        rows += [_comparison_row("macro", found["macro"]), _comparison_row("total", found["micro"])]
        header = [f"{NAMES[metric]} %", "first", "second", "difference", "", "p", "Holm", ""]
        rules = (1, 1 + len(found["groups"]))
        lines += [*aligned([header, *rows], rules=rules), ""]
    return "\n".join([*lines, *COMPARISON_NOTE])


def _shown(unit: str) -> str:
    return NAMED.get(unit, unit)


def _lid_rows(matrix: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    """A matrix of a few languages; of many only what was taken for what, most frequent first."""
    named = sorted({tag for row in matrix.values() for tag in row})
    if max(len(named), len(matrix)) <= WIDEST:
        rows = [[lang, *(str(row.get(tag, 0)) for tag in named)] for lang, row in matrix.items()]
        return [["", *named], *rows]
    wrong = [(-n, lang, tag) for lang, row in matrix.items() for tag, n in row.items()
             if tag != lang]  # fmt: skip
    rows = [[lang, tag, str(-count)] for count, lang, tag in sorted(wrong)[:MOST]]
    return [["true", "recognised", "times"], *rows]


def _comparison_row(name: str, found: Mapping) -> Sequence[str]:
    holm = found.get("p_holm")
    return [
        name,
        *(percent(rate, 2) for rate in found["rates"]),
        f"{100 * found['difference']:+.2f}",
        interval_words(found["ci"]),
        f"{found['p_value']:.4f}",
        "" if holm is None else f"{holm:.4f}",
        "*" if found["significant"] else "",
    ]
