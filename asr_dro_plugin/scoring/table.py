"""Tables of a score: for the terminal (at most 100 columns) and for Markdown."""

import textwrap
from collections.abc import Mapping, Sequence

from asr_dro_plugin.base import text_table as plain_table
from asr_dro_plugin.scoring.bootstrap import MIN_UNITS
from asr_dro_plugin.scoring.causes import CAUSES
from asr_dro_plugin.scoring.causes_table import cause_rates, meanings, shown_causes
from asr_dro_plugin.scoring.report import share_of

HEADER = ("lang", "spk", "utts", "chars", "minutes", "CER %", "95 %", "sub", "del", "ins",
          "WER %", "LID %")  # fmt: skip
LEGEND = (
    "CER = sub + del + ins, each in % of the reference's characters, single spaces included.",
    "spk: speakers, - where they are not known. chars: of the reference as compared, with spaces.",
    "macro: mean of the languages. worst: the language of highest CER. total: all text pooled.",
)
CONVENTIONS = (
    "micro: errors of all text over its length (corpus rate). utt mean: mean of the utterances'",
    "rates (ML-SUPERB's convention). std: between languages (N - 1). In brackets: 95 % intervals.",
)
NAMES = {"cer": "CER", "wer": "WER", "per": "PER", "lid": "LID"}
COMPARISON_NOTE = (
    "difference: second minus first, in points; p: paired test that swaps the two at random, and",
    "its 95 % interval, which holds 0 where p >= 0.05 (none of fewer than 6 speakers or, of one",
    "speaker, utterances). A star: p < 0.05, of groups after Holm's correction for their number.",
)
MOST = 20  # confusions that are printed; the JSON has more
WIDEST = 12  # languages of which a matrix is printed
MAX_NAME = 20
MAX_WIDTH = 100
MAX_NAMED = 5
NAMED = {"": "(nothing)", " ": "(space)"}
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
    rows = [
        _group_row(lang, group, why_no_interval(report, lang))
        for lang, group in sorted(groups.items())
    ]
    rows.append(_macro_row(report))
    rows.append(_group_row(f"worst: {worst}", groups[worst], why_no_interval(report, worst)))
    rows.append(_group_row("total", report["total"], why_no_interval(report)))
    return rows


def text_table(report: Mapping) -> str:
    """The terminal's table: the set's name above, what is amiss and what the columns mean below.

    The legend is last, so that who prints several tables can leave it to the last one.
    """
    rows = score_rows(report)
    lines = aligned([HEADER, *rows], rules=(1, 1 + len(report["groups"])))
    how = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}
    notes = [line for each in remarks(report) for line in textwrap.wrap(each, MAX_WIDTH, **how)]
    more = aligned(_summary_rows(report), rules=(1,)) if "summary" in report else []
    legend = [*LEGEND, *(CONVENTIONS if more else ())]
    why = _causes(report)
    parts = [f"{title(report)}:", "", *lines, "", *more, "", *why, *notes, "", *legend]
    return "\n".join(parts)


def _causes(report: Mapping) -> list[str]:
    """The causes of each language's CER and what they are; nothing of an older score."""
    rows = [
        [name, percent(cer), "=", *map(percent, rates.values())]
        for name, cer, rates in cause_rates(report)
    ]
    if not rows:
        return []
    heads = [CAUSES[cause].head for cause in shown_causes(report)]
    rules = (1, 1 + len(report["groups"]))
    how = {"width": MAX_WIDTH, "subsequent_indent": "  "}
    words = [line for each in meanings(report) for line in textwrap.wrap(each, **how)]
    return [*aligned([["why", "CER %", "=", *heads], *rows], rules=rules), "", *words, ""]


def _summary_rows(report: Mapping) -> list[list[str]]:
    """One row a metric: micro, macro, worst …, with two decimals and intervals."""
    first, num_groups = next(iter(report["summary"].values())), len(report["groups"])
    means = {
        name: f"{word} {first[count]}"
        for name, word, count in (("worst_15", "worst", "num_worst"), ("best_k", "best", "k"))
        if first[count] < num_groups  # the mean of all is the macro mean
    }
    rows = [["%", "micro", "95 %", "macro", "95 %", "worst", *means.values(), "std", "utt mean"]]
    for metric, found in report["summary"].items():
        cells = [NAMES[metric]]
        for name in ("micro", "macro"):
            cells += [percent(found[name], 2), interval_words(found[f"{name}_ci"])]
        names = ("worst", *means, "std", "utterance_mean")
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
    found = amiss(report, REMARKS)
    if report.get("no_space"):
        found.append(
            "no spaces: compared without them, WER counts characters: "
            + " ".join(report["no_space"])
        )
    if report.get("unknown_phonemes"):
        counted = sorted(report["unknown_phonemes"].items(), key=lambda item: (-item[1], item[0]))
        some = " ".join(f"{char} ({count})" for char, count in counted[:MAX_NAMED])
        found.append(f"phonemes: {len(counted)} characters are not in the map: {some}")
    return [*found, intervals_sentence(report)]


def amiss(report: Mapping, meanings: Mapping[str, str]) -> list[str]:
    """A line for each list of ids or lines that is not empty, with the first of them.

    ``meanings`` is key of a list -> what it means to be in it.
    """
    found = []
    for key, meaning in meanings.items():
        listed = report.get(key) or {"count": 0}
        if listed["count"]:
            some = listed.get("utt_ids") or listed.get("lines") or []
            more = " …" if listed["count"] > MAX_NAMED else ""
            found.append(f"{key}: {listed['count']} {meaning}: {' '.join(some[:MAX_NAMED])}{more}")
    return found


def intervals_sentence(report: Mapping) -> str:
    """How the 95 % intervals were made and over what, and which are lacking for which reason."""
    drawn = report.get("bootstrap")
    if not drawn:
        return "95 % intervals: none in this score"
    unit, alone, counts = drawn["unit"], drawn["by_utterance"], drawn.get("units") or {}
    words = f"95 % intervals: {drawn['samples']} bootstrap samples over {unit}s"
    words += ", wider for few by Student's t (Hesterberg 2015)" if counts else ""
    known = [lang for lang, group in report["groups"].items() if group.get("num_speakers") == 1]
    if alone and unit != "utterance":
        words += f"; over utterances in {_some(alone)}, of one {unit} each"
    elif known:
        words += f"; of one speaker each in {_some(known)}"
    words += ", which says nothing of other voices" if alone or known else ""
    few = [f"{lang} ({count})" for lang, count in counts.items() if count < MIN_UNITS]
    return words + (f"; none of fewer than {MIN_UNITS} {unit}s: {_some(few)}" if few else "")


def _some(words: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(words) - MAX_NAMED} more" if len(words) > MAX_NAMED else ""
    return " ".join(words[:MAX_NAMED]) + more


def why_no_interval(report: Mapping, lang: str | None = None) -> str:
    """Why a language (None: all) has no interval: ``too few``, ``no spread``; else ``-``."""
    counts = (report.get("bootstrap") or {}).get("units")
    if not counts:
        return "-"
    fewest = min(counts.values()) if lang is None else counts.get(lang, 0)
    return "too few" if fewest < MIN_UNITS else "no spread"


def aligned(rows: Sequence[Sequence[str]], rules: Sequence[int] = ()) -> list[str]:
    """``text_table.aligned`` with names of at most ``MAX_NAME`` characters in the first column."""
    names = [row[0] if len(row[0]) <= MAX_NAME else row[0][: MAX_NAME - 1] + "…" for row in rows]
    return plain_table.aligned([[name, *row[1:]] for name, row in zip(names, rows)], rules)


def count_words(count: int | None) -> str:
    """A count; ``-`` where it is not known."""
    return "-" if count is None else f"{count}"


def percent(rate: float | None, decimals: int = 1) -> str:
    """A rate 0..1 as a percentage with one decimal; ``-`` where it was not measured."""
    return "-" if rate is None else f"{100 * rate:.{decimals}f}"


def _group_row(name: str, group: Mapping, reason: str) -> list[str]:
    cer, duration = group["cer"], group["duration"]
    kinds = [share_of(cer, kind) for kind in ("substitutions", "deletions", "insertions")]
    return [
        name,
        count_words(group.get("num_speakers")),
        str(group["num_utts"]),
        str(cer["ref"]),
        "-" if duration is None else f"{duration / 60:.1f}",
        percent(cer["rate"]),
        interval_words(cer.get("ci")) or reason,
        *map(percent, kinds),
        percent(group["wer"]["rate"]),
        percent(group["lid"] and group["lid"]["rate"]),
    ]


def _macro_row(report: Mapping) -> list[str]:
    macro, blank = report["macro"], [""] * 3
    interval = report.get("summary", {}).get("cer", {}).get("macro_ci")
    words = interval_words(interval) or why_no_interval(report)
    return [
        "macro", "", *blank, percent(macro["cer"]), words, *blank,
        percent(macro["wer"]), percent(macro["lid"]),
    ]  # fmt: skip


def details_table(report: Mapping) -> str:
    """The most frequent confusions of characters and words, and the LID confusion matrix."""
    lines: list[str] = []
    for kind, name in (("chars", "Characters"), ("words", "Words")):
        rows = [
            [NAMED.get(ref, ref), NAMED.get(hyp, hyp), str(count)]
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
