"""``RESULTS.md`` of an experiment: how it was made, and every score found under it.

It is made from the files of the experiment and its data alone and holds no date, so making it again
without a new score gives the same bytes.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting import causes_md
from asr_dro_plugin.reporting.read.data_sets import read_set, recipe_of, training_folder
from asr_dro_plugin.reporting.read.facts import (
    command_of,
    ended_early_lines,
    read_config,
    versions_line,
    versions_of,
)
from asr_dro_plugin.reporting.read.machine import machine_line
from asr_dro_plugin.reporting.read.score_files import (  # fmt: skip
    METRICS,
    Interval,
    find_reports,
    interval_of,
    macro_interval,
    rate_of,
    role_of,
    score_paths,
    summary_of,
    worst_of,
)
from asr_dro_plugin.reporting.read.tuning import WEIGHTS, Tuning, read_tuning, tuning_paths
from asr_dro_plugin.reporting.read.voices import voices_lines
from asr_dro_plugin.reporting.words import bracketed, hours_words, span_words
from asr_dro_plugin.scoring.report import share_of
from asr_dro_plugin.scoring.table import (
    REMARKS,
    amiss,
    count_words,
    intervals_sentence,
    percent,
    why_no_interval,
)

HEADINGS = {"test": "Test sets", "dev": "Development sets"}
HEADER = (
    "lang", "spk", "utts", "chars", "minutes", "CER %", "95 %", "sub", "del", "ins", "WER %",
    "95 %", "LID %",
)  # fmt: skip
LEGEND = (
    "CER = sub + del + ins, each in % of the reference's characters, single spaces included: all",
    "errors of a language over all its characters (corpus error). ML-SUPERB's convention, the mean",
    "of the utterances' rates, is named apart. macro: mean of the languages. worst: the language",
    "of highest CER. total: all text pooled. spk: speakers, - where they are not known. chars: of",
    "the reference as it is compared, normalised and without tags. 95 %: interval by bootstrap, or",
    "why there is none: too few to draw from, or no spread (all alike).",
)
RUN_NAMES = {
    "asr_config": "training configuration",
    "inference_config": "decoding configuration",
    "model_file": "model file",
    "git_commit": "git commit",
}
KINDS = ("substitutions", "deletions", "insertions")
MEANINGS = {key: REMARKS[key] for key in ("missing", "extra", "duplicates", "empty")} | {
    "empty_refs": "references without text, where all that is recognised is inserted",
    "cut": REMARKS["cut"],
}
BEYOND_ALL = 10**9  # languages


def write_results(
    exp: str | os.PathLike, reports: Mapping[tuple[str, str], Mapping] | None = None
) -> Path:
    """Write ``exp/RESULTS.md`` from the scores under it.

    Args:
        exp: the experiment's folder.
        reports: the scores that can be read, for who goes on without the others, which the file
            then names; None stops at the first that cannot.

    Raises:
        UserError: no such folder, no score in it, or a score that lies under another set's name.
    """
    path = Path(exp) / "RESULTS.md"
    content = results_markdown(find_reports(exp) if reports is None else reports, Path(exp))
    with atomic_write(path) as stream:
        stream.write(content)
    return path


def results_markdown(reports: Mapping[tuple[str, str], Mapping], exp: Path) -> str:
    """The whole file; test, development and other sets in sections of their own.

    ``reports`` is (inference tag, set) -> score, test sets first.
    """
    lines = [f"# Results of {Path(os.path.abspath(exp)).name}", "", *LEGEND, ""]
    why = causes_md.legend(reports.values())
    lines += [
        *why,
        *([""] if why else []),
        *_left_out(reports, exp),
        *_at_a_glance(reports, exp),
        *_training(exp),
        *_weights(exp),
    ]
    heading = None
    for (tag, set_name), report in reports.items():
        if heading != (heading := HEADINGS.get(role_of(set_name), "Other sets")):
            lines += [f"## {heading}", ""]
        lines += _one_set(tag, report, exp / tag / set_name)
    return "\n".join(lines).rstrip("\n") + "\n"


def _left_out(reports: Mapping[tuple[str, str], Mapping], exp: Path) -> list[str]:
    """Sets whose score is there and not among those that were read."""
    found = [(path.parent.parent.name, path.parent.name) for path in score_paths(exp)]
    lines = [
        f"**Left out, for its score cannot be read: {set_name}, decoded by {tag}.**"
        for tag, set_name in found
        if (tag, set_name) not in reports
    ]
    return [each for line in lines for each in (line, "")]


def _at_a_glance(reports: Mapping[tuple[str, str], Mapping], exp: Path) -> list[str]:
    """Test against development, and whose voices the sets hold."""
    lines = []
    for (tag, set_name), report in reports.items():
        if role_of(set_name) != "test":
            continue
        devs = [name for each, name in reports if each == tag and role_of(name) == "dev"]
        for dev in devs[:1]:
            easy, hard = (percent(r["macro"]["cer"]) for r in (reports[tag, dev], report))
            lines.append(f"- macro CER {easy} % on {dev}, {hard} % on {set_name} ({tag})")
    folder = training_folder(read_config(exp), recipe_of(exp))
    if folder:
        lines += _voices(folder, list(dict.fromkeys(name for _, name in reports)))
    return ["## At a glance", "", *lines, ""] if lines else []


def _voices(training: Path, names: Sequence[str]) -> list[str]:
    trained = read_set(training)
    there = [training.parent / name for name in names]
    sets = [trained, *(read_set(folder) for folder in there if folder.is_dir())]
    return [f"- {line}" for line in voices_lines(sets, trained)]


def _training(exp: Path) -> list[str]:
    config = read_config(exp)
    versions = versions_of(exp, config)
    machine = machine_line(versions) or "not recorded"
    facts = [f"- versions: {versions_line(versions)}", f"- computed on: {machine}"]
    facts += _hours(exp, config)
    command = command_of(exp)
    block = ["", "```bash", command, "```"] if command else ["- command: not recorded (no run.sh)"]
    return ["## Training", "", *facts, *block, ""]


def _weights(exp: Path) -> list[str]:
    """Weights by language of every decoding that they were found for."""
    lines: list[str] = []
    for path in tuning_paths(exp):
        try:
            tuning = read_tuning(path)
        except UserError as error:
            lines += [f"**Left out: {error}**", ""]
            continue
        if tuning is not None:
            title = f"### {path.parent.name}, found on {tuning.set_name}"
            lines += [title, "", *weights_lines(tuning), "", *_weights_table(tuning), ""]
    return ["## Weights of the language model", "", *lines] if lines else []


def weights_lines(tuning: Tuning) -> list[str]:
    """What weights by language are worth on the set that they were found on."""
    joint, together = map(percent, tuning.macro)
    alpha, beta, penalty = tuning.joint_weights
    return [
        f"- macro CER {joint} % with the joint weights (alpha {alpha:g}, beta {beta:g}, blank "
        f"penalty {penalty:g}), {together} % with weights by language; both chosen on this set",
        f"- held out: {tuning.metric.upper()} with weights chosen without the utterances scored",
    ]


WEIGHTS_HEADER = ("lang", "utts", "chars", "CER % joint", "CER % by language", "held out %",
                  *WEIGHTS.values(), "joint, for")  # fmt: skip


def weights_rows(tuning: Tuning) -> list[list[str]]:
    """One row a language, as ``WEIGHTS_HEADER`` has it."""
    return [
        [row.lang, f"{row.num_utts:,}", f"{row.num_chars:,}", percent(row.joint),
         percent(row.together), percent(row.held_out), *(f"{value:g}" for value in row.weights),
         row.reason]
        for row in tuning.rows
    ]  # fmt: skip


def _weights_table(tuning: Tuning) -> list[str]:
    return markdown_table([list(WEIGHTS_HEADER), *weights_rows(tuning)])


def _hours(exp: Path, config: Mapping) -> list[str]:
    folder = training_folder(config, recipe_of(exp))
    hours = read_set(folder).hours_by_language() if folder else {}
    if not hours:
        return ["- training data: hours not known (its data directory is not here)"]
    each = ", ".join(f"{lang} {hours_words(value)}" for lang, value in hours.items())
    return [f"- training data: {folder.name}, {hours_words(sum(hours.values()))} ({each})"]


def _one_set(tag: str, report: Mapping, folder: Path) -> list[str]:
    facts = [f"- text normalised by: `{report['normalizer']}`"]
    run = report["run"]
    facts += [f"- {name}: `{run[key]}`" for key, name in RUN_NAMES.items() if key in run]
    notes = (*_summary(report), *remarks(report), *causes_md.notes(report))
    facts += [f"- {line}" for line in (*notes, *ended_early_lines(folder))]
    if command := command_of(folder):
        facts += ["", "```bash", command, "```"]
    table = markdown_table(_rows(report))
    return [f"### {report['set']}, decoded by {tag}", "", *facts, "", *table, ""]


def _summary(report: Mapping) -> list[str]:
    """Macro, worst, worst-15, best-k, spread, both conventions: a line a metric."""
    lines = []
    for metric in METRICS:
        if report["macro"].get(metric) is None:
            continue
        name, worst = worst_of(report, metric)
        words = [
            _with_interval("macro", report["macro"][metric], macro_interval(report, metric)),
            _with_interval(f"worst {name}", rate_of(worst, metric), interval_of(worst, metric)),
            *_spread(report, metric),
        ]
        lines.append(f"{metric.upper()} %: {', '.join(words)}")
    return lines


def _with_interval(name: str, rate: float | None, interval: Interval | None) -> str:
    return f"{name} {percent(rate)}{bracketed(interval)}"


def _spread(report: Mapping, metric: str) -> list[str]:
    """What a newer score's summary has beyond macro and worst."""
    found = summary_of(report, metric)
    words = []
    for key, number, name in (("worst_15", "num_worst", "worst"), ("best_k", "k", "best")):
        if key in found and len(report["groups"]) > found.get(number, BEYOND_ALL):
            words.append(f"mean of the {found[number]} {name} {percent(found[key])}")
    if "std" in found:
        words.append(f"standard deviation over languages {percent(found['std'])}")
    if "utterance_mean" in found:
        words.append(
            "by ML-SUPERB's convention (mean of the utterances' rates) "
            f"{percent(found['utterance_mean'])}, "
            f"macro {percent(found.get('macro_utterance_mean'))}"
        )
    return words


def remarks(report: Mapping) -> list[str]:
    """What a reader must know besides the figures: what was amiss, and how it was counted."""
    found = amiss(report, MEANINGS)
    if report.get("no_space"):
        found.append(f"compared without spaces: {' '.join(report['no_space'])}")
    return [*found, intervals_sentence(report)]


def _rows(report: Mapping) -> list[list[str]]:
    """The header, one row a language, sorted by name, then macro, worst and total."""
    rows = [
        _row(lang, group, why_no_interval(report, lang))
        for lang, group in sorted(report["groups"].items())
    ]
    name, worst = worst_of(report)
    last = [
        _row(f"worst: {name}", worst, why_no_interval(report, name)),
        _row("total", report["total"], why_no_interval(report)),
    ]
    body = [*rows, _macro_row(report), *last]
    table = [_with_causes([*HEADER, "PER %"], causes_md.heads(report))]
    table += [_with_causes(*pair) for pair in zip(body, causes_md.cells(report), strict=True)]
    return table if report["macro"].get("per") is not None else [row[:-1] for row in table]


def _with_causes(row: Sequence[str], cells: Sequence[str]) -> list[str]:
    """The causes' cells behind those of the kinds of errors."""
    place = HEADER.index("ins") + 1
    return [*row[:place], *cells, *row[place:]]


def _macro_row(report: Mapping) -> list[str]:
    macro, blank, reason = report["macro"], [""] * 3, why_no_interval(report)
    cer, wer = (span_words(macro_interval(report, metric), reason) for metric in ("cer", "wer"))
    return [
        "macro", "", *blank, percent(macro["cer"]), cer, *blank,
        percent(macro["wer"]), wer, percent(macro["lid"]),
        percent(macro.get("per")),
    ]  # fmt: skip


def _row(name: str, group: Mapping, reason: str) -> list[str]:
    cer, duration = group["cer"], group["duration"]
    return [
        name,
        count_words(group.get("num_speakers")),
        str(group["num_utts"]),
        str(cer["ref"]),
        "-" if duration is None else f"{duration / 60:.1f}",
        percent(cer["rate"]),
        span_words(interval_of(group, "cer"), reason),
        *(percent(share_of(cer, kind)) for kind in KINDS),
        percent(rate_of(group, "wer")),
        span_words(interval_of(group, "wer"), reason),
        percent(rate_of(group, "lid")),
        percent(rate_of(group, "per")),
    ]


def markdown_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose source is aligned too; the first column is text, the others figures.

    Names may hold what Markdown reads as a column's end; it is escaped.
    """
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    body = [
        [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in rows
    ]  # fmt: skip
    return [f"| {' | '.join(cells)} |" for cells in (body[0], rule, *body[1:])]
