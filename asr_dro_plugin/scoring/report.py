"""``score.json``: a score as plain data, for tables, comparisons and other programs.

::

    {"set": "test_prompts", "normalizer": "lower_no_punct", "run": {"model_file": …},
     "groups": {"eng": {"num_utts": 53, "duration": 88.2,
                        "cer": {"errors": 9, "substitutions": 4, "deletions": 3, "insertions": 2,
                                "ref": 100, "rate": 0.09},
                        "wer": {…}, "lid": {"correct": 50, "total": 53, "rate": 0.943…}}, …},
     "total": {… as one group …},
     "macro": {"cer": 0.1, "wer": 0.3, "lid": 0.9},
     "worst_group": {"cer": {"group": "rus", "rate": 0.2}, …},
     "missing": {"count": 0, "utt_ids": []}, "extra": {"count": 0, "utt_ids": []}}

Rates are 0..1, durations seconds (null where unknown), ``lid`` is null where no text carries tags.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.files import atomic_write
from asr_dro_plugin.scoring.edit_distance import EditCounts
from asr_dro_plugin.scoring.error_rates import GroupScore, Score

KEYS = ("set", "normalizer", "run", "groups", "total", "macro", "worst_group", "missing", "extra")


def build_report(score: Score, set_name: str, run: Mapping[str, str] | None = None) -> dict:
    """The report of one set.

    Args:
        score: what was counted.
        set_name: the data set, for example ``test_prompts``; every table shows it.
        run: where the hypotheses come from (``asr_config``, ``inference_config``, ``model_file``,
            ``git_commit``), as far as it is known.
    """
    return {
        "set": set_name,
        "normalizer": score.normalizer,
        "run": {key: value for key, value in (run or {}).items() if value},
        "groups": {lang: _group(group, score.has_lid) for lang, group in score.groups.items()},
        "total": _group(score.total, score.has_lid),
        "macro": {"lid": None} | {metric: score.macro(metric) for metric in score.metrics},
        "worst_group": {"lid": None} | {metric: _worst(score, metric) for metric in score.metrics},
        "missing": {"count": len(score.missing), "utt_ids": list(score.missing)},
        "extra": {"count": len(score.extra), "utt_ids": list(score.extra)},
    }


def write_report(path: str | os.PathLike, report: Mapping) -> None:
    """Write the report atomically; its folder is made."""
    with atomic_write(path) as stream:
        json.dump(report, stream, ensure_ascii=False, indent=2)
        stream.write("\n")


def read_report(path: str | os.PathLike) -> dict:
    """Read what ``write_report`` wrote; anything else is an error that names the file."""
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}). Score the set again.") from None
    lacking = [key for key in KEYS if not isinstance(report, dict) or key not in report]
    if lacking:
        raise UserError(f"{path} is no score (lacks '{lacking[0]}'). Score the set again.")
    return report


def _worst(score: Score, metric: str) -> dict:
    lang = score.worst(metric)
    return {"group": lang, "rate": score.rate(lang, metric)}


def _group(group: GroupScore, has_lid: bool) -> dict:
    lid = {"correct": group.lid_correct, "total": group.num_utts, "rate": group.lid}
    return {
        "num_utts": group.num_utts,
        "duration": group.duration,
        "cer": _counts(group.cer),
        "wer": _counts(group.wer),
        "lid": lid if has_lid else None,
    }


def _counts(counts: EditCounts) -> dict:
    return {
        "errors": counts.errors,
        "substitutions": counts.substitutions,
        "deletions": counts.deletions,
        "insertions": counts.insertions,
        "ref": counts.ref,
        "rate": counts.rate,
    }
