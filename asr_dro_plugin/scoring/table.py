"""Tables of a score: for the terminal (at most 100 columns) and for Markdown."""

import textwrap
from collections.abc import Mapping, Sequence

from asr_dro_plugin.base import text_table as plain_table
from asr_dro_plugin.scoring.report import share_of

HEADER = ("lang", "utts", "chars", "minutes", "CER %", "95 %", "sub", "del", "ins", "WER %",
          "LID %")  # fmt: skip
LEGEND = (
    "CER = sub + del + ins, each in % of the reference's characters, single spaces included.",
    "macro: mean of the languages. worst: the language of highest CER. total: all text pooled.",
)
CONVENTIONS = (
    "micro: errors of all text over its length (corpus rate). utt mean: mean of the utterances'",
    "rates (ML-SUPERB's convention). std: between languages (N - 1). In brackets: 95 % intervals.",
)
NAMES = {"cer": "CER", "wer": "WER", "per": "PER", "lid": "LID"}
MAX_NAME = 20
MAX_WIDTH = 100
MAX_NAMED = 5
REMARKS = {
    "missing": "references without hypothesis, counted as deletions",
    "extra": "hypotheses without reference, not counted",
    "duplicates": "ids with several hypotheses, the first one counted",
    "cut": "lines of the hypotheses that are not whole, not counted",
    "empty": "empty hypotheses, counted as deletions",
    "empty_refs": "references without text, where all that is recognised counts as insertions",
}


def score_rows(report: Mapping) -> list[list[str]]:
    """One row a language, sorted by name, then macro, worst and total."""
    groups, worst = report["groups"], report["worst_group"]["cer"]["group"]
    rows = [_group_row(lang, group) for lang, group in sorted(groups.items())]
    rows.append(_macro_row(report))
    rows.append(_group_row(f"worst: {worst}", groups[worst]))
    rows.append(_group_row("total", report["total"]))
    return rows


def text_table(report: Mapping) -> str:
    """The terminal's table: the set's name above, what the columns mean and what is amiss below."""
    rows = score_rows(report)
    lines = aligned([HEADER, *rows], rules=(1, 1 + len(report["groups"])))
    notes = [line for remark in remarks(report) for line in _wrapped(remark)]
    more = aligned(_summary_rows(report), rules=(1,)) if "summary" in report else []
    legend = [*LEGEND, *(CONVENTIONS if more else ())]
    return "\n".join([f"{title(report)}:", "", *lines, "", *more, "", *legend, *notes])


def _summary_rows(report: Mapping) -> list[list[str]]:
    """One row a metric: micro, macro, worst …, with two decimals and intervals."""
    first = next(iter(report["summary"].values()))
    rows = [["%", "micro", "95 %", "macro", "95 %", "worst", f"worst {first['num_worst']}",
             f"best {first['k']}", "std", "utt mean"]]  # fmt: skip
    for metric, found in report["summary"].items():
        cells = [NAMES[metric]]
        for name in ("micro", "macro"):
            cells += [percent(found[name], 2), interval_words(found[f"{name}_ci"])]
        names = ("worst", "worst_15", "best_k", "std", "utterance_mean")
        rows.append([*cells, *(percent(found.get(name), 2) for name in names)])
    return rows


def interval_words(interval: Sequence[float] | None) -> str:
    """``[9.1, 12.0]`` in %, or nothing where there is none."""
    return f"[{percent(interval[0])}, {percent(interval[1])}]" if interval else ""


def title(report: Mapping) -> str:
    """Which set, and which text was compared."""
    return f"Set {report['set']}, text normalised by '{report['normalizer']}'"


def remarks(report: Mapping) -> list[str]:
    """What a reader must know besides the figures: ids, texts and lines that were amiss."""
    found = []
    for key, meaning in REMARKS.items():
        listed = report.get(key, {"count": 0})
        if listed["count"]:
            some = listed.get("utt_ids") or listed["lines"]
            more = " …" if listed["count"] > MAX_NAMED else ""
            found.append(f"{key}: {listed['count']} {meaning}: {' '.join(some[:MAX_NAMED])}{more}")
    if report.get("no_space"):
        found.append(
            "no spaces: compared without them, WER counts characters: "
            + " ".join(report["no_space"])
        )
    if report.get("unknown_phonemes"):
        counted = sorted(report["unknown_phonemes"].items(), key=lambda item: (-item[1], item[0]))
        some = " ".join(f"{char} ({count})" for char, count in counted[:MAX_NAMED])
        found.append(f"phonemes: {len(counted)} characters are not in the map: {some}")
    return [*found, *_drawn(report)]


def _drawn(report: Mapping) -> list[str]:
    """What the intervals were drawn over, if that is not plain."""
    drawn = report.get("bootstrap", {"unit": "utterance", "by_utterance": []})
    few = drawn["by_utterance"]
    if few and drawn["unit"] == "utterance":
        return ["intervals: drawn by utterance, for no group has enough speakers or recordings"]
    if drawn["unit"] == "utterance":
        return []
    more = f"; by utterance, for there are too few: {' '.join(few)}" if few else ""
    return [f"intervals: drawn by {drawn['unit']}{more}"]


def aligned(rows: Sequence[Sequence[str]], rules: Sequence[int] = ()) -> list[str]:
    """``text_table.aligned`` with names of at most ``MAX_NAME`` characters in the first column."""
    return plain_table.aligned([[_short(row[0]), *row[1:]] for row in rows], rules)


def percent(rate: float | None, decimals: int = 1) -> str:
    """A rate 0..1 as a percentage with one decimal; ``-`` where it was not measured."""
    return "-" if rate is None else f"{100 * rate:.{decimals}f}"


def _group_row(name: str, group: Mapping) -> list[str]:
    cer, duration = group["cer"], group["duration"]
    kinds = [share_of(cer, kind) for kind in ("substitutions", "deletions", "insertions")]
    return [
        name,
        str(group["num_utts"]),
        str(cer["ref"]),
        "-" if duration is None else f"{duration / 60:.1f}",
        percent(cer["rate"]),
        interval_words(cer.get("ci")),
        *map(percent, kinds),
        percent(group["wer"]["rate"]),
        percent(group["lid"] and group["lid"]["rate"]),
    ]


def _macro_row(report: Mapping) -> list[str]:
    macro, blank = report["macro"], [""] * 3
    interval = report.get("summary", {}).get("cer", {}).get("macro_ci")
    return [
        "macro", *blank, percent(macro["cer"]), interval_words(interval), *blank,
        percent(macro["wer"]), percent(macro["lid"]),
    ]  # fmt: skip


def _wrapped(remark: str) -> list[str]:
    return textwrap.wrap(
        remark, MAX_WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"
