"""``RESULTS.md`` of an experiment: every score found under it, test sets first.

It is made from the ``score.json`` files alone and holds no date, so making it again without a new
score gives the same bytes.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.files import atomic_write
from asr_dro_plugin.scoring.report import read_report
from asr_dro_plugin.scoring.table import HEADER, LEGEND, markdown_table, remarks, score_rows

SECTIONS = (
    ("Test sets", ("test", "eval")),
    ("Development sets", ("dev", "valid")),
    ("Other sets", ("",)),
)
RUN_NAMES = {
    "asr_config": "training configuration",
    "inference_config": "decoding configuration",
    "model_file": "model file",
    "git_commit": "git commit",
}


def write_results(exp: str | os.PathLike) -> Path:
    """Collect ``exp/<inference_tag>/<set>/score.json`` into ``exp/RESULTS.md``.

    Raises:
        UserError: no such folder, no score in it, or a score that lies under another set's name.
    """
    path = Path(exp) / "RESULTS.md"
    content = results_markdown(find_reports(exp), Path(exp).resolve().name)
    with atomic_write(path) as stream:
        stream.write(content)
    return path


def find_reports(exp: str | os.PathLike) -> dict[tuple[str, str], dict]:
    """(inference tag, set) -> report, of all scores of an experiment."""
    exp = Path(exp)
    if not exp.is_dir():
        raise UserError(f"{exp} is no folder. Give an experiment, for example exp/asr_mini.")
    reports = {}
    for path in sorted(exp.glob("*/*/score.json")):
        report, set_name = read_report(path), path.parent.name
        if report["set"] != set_name:
            raise UserError(
                f"{path} holds the score of {report['set']}, but lies under {set_name}. "
                "Score the set again."
            )
        reports[path.parent.parent.name, set_name] = report
    if not reports:
        raise UserError(f"{exp} holds no <inference_tag>/<set>/score.json. Run stages 12 and 13.")
    return reports


def results_markdown(reports: Mapping[tuple[str, str], Mapping], exp_name: str) -> str:
    """The whole file; test, development and other sets in sections of their own."""
    lines = [f"# Results of {exp_name}", "", *LEGEND, ""]
    left = dict(reports)
    for heading, prefixes in SECTIONS:
        chosen = sorted(key for key in left if key[1].startswith(prefixes))
        if chosen:
            lines += [f"## {heading}", ""]
        for tag, set_name in chosen:
            lines += _one_set(tag, left.pop((tag, set_name)))
    return "\n".join(lines).rstrip("\n") + "\n"


def _one_set(tag: str, report: Mapping) -> list[str]:
    facts = [f"- text normalised by: `{report['normalizer']}`"]
    run = report["run"]
    facts += [f"- {name}: `{run[key]}`" for key, name in RUN_NAMES.items() if key in run]
    facts += [f"- {remark}" for remark in remarks(report)]
    table = markdown_table([HEADER, *score_rows(report)])
    return [f"### {report['set']}, decoded by {tag}", "", *facts, "", *table, ""]
