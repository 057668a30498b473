"""``score.json``: a score as plain data, for tables, comparisons and other programs.

::

    {"set": "test_prompts", "normalizer": "lower_no_punct", "run": {"model_file": …},
     "groups": {"eng": {"num_utts": 53, "duration": 88.2, "num_speakers": 12,
                        "cer": {"errors": 9, "substitutions": 4, "deletions": 3, "insertions": 2,
                                "ref": 100, "rate": 0.09, "ci": [0.05, 0.14],
                                "utterance_mean": 0.1},
                        "wer": {…}, "lid": {"correct": 50, "total": 53, "rate": 0.943…,
                                            "ci": […]}}, …},
     "total": {… as one group …},
     "macro": {"cer": 0.1, "wer": 0.3, "lid": 0.9},
     "worst_group": {"cer": {"group": "rus", "rate": 0.2}, …},
     "summary": {"cer": {… see ``summary`` …}, "wer": {…}},
     "bootstrap": {"unit": "speaker", "samples": 1000, "seed": 0, "by_utterance": ["ita"],
                   "units": {"eng": 12, "ita": 40}},
     "confusions": {"chars": [["ß", "s", 12], …], "words": […]},
     "lid_confusion": {"eng": {"eng": 50, "rus": 2, "none": 1}},
     "no_space": ["cmn"],
     "missing": {"count": 0, "utt_ids": []}, "extra": …, "duplicates": …, "empty": …,
     "empty_refs": …, "cut": {"count": 1, "lines": ["hyp/text:12"]}}

Rates are 0..1, durations seconds (null where unknown), ``lid`` is null where no text carries tags,
``ci`` is the 95 % interval (null where ``units``, which it is over, are under five, or all alike),
``num_speakers`` null where they are not known.  ``per`` stands beside ``wer`` where a
phoneme map was given, and ``unknown_phonemes`` says which characters it lacks.  ``causes`` of the
groups, of the total and beside them are added by ``causes_table``.
"""

import json
import os
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.confidence import Interval, Intervals, Units, intervals_of
from asr_dro_plugin.scoring.confusions import confusions, lid_confusion
from asr_dro_plugin.scoring.read_texts import Texts
from asr_dro_plugin.scoring.scores import GroupScore, Score

NUM_WORST = 15  # of ML-SUPERB 2.0's challenge
BEST_K = 15
KEYS = ("set", "normalizer", "run", "groups", "total", "macro", "worst_group", "missing", "extra")


def build_report(
    score: Score,
    set_name: str,
    run: Mapping[str, str] | None = None,
    units: Units | None = None,
    damage: Texts | None = None,
    best_k: int = BEST_K,
) -> dict:
    """The report of one set.

    Args:
        score: what was counted.
        set_name: the data set, for example ``test_prompts``; every table shows it.
        run: where the hypotheses come from (``asr_config``, ``inference_config``, ``model_file``,
            ``git_commit``), as far as it is known.
        units: speakers or recordings, which the intervals are over; None: utterances.
        damage: the hypotheses as they were read, with the lines that were not scored.
        best_k: of how many groups the best are averaged.
    """
    intervals, damage = intervals_of(score, units), damage or Texts()
    metrics, speakers = score.metrics, _num_speakers(score, units or Units())
    langs = {metric: score.worst(metric) for metric in metrics}
    worst = {m: {"group": lang, "rate": score.rate(lang, m)} for m, lang in langs.items()}
    found = {
        "set": set_name,
        "normalizer": score.normalizer,
        "text_norm": score.text_norm or score.normalizer,
        "run": {key: value for key, value in (run or {}).items() if value},
        "groups": {
            name: _group(group, intervals.groups[name], speakers.get(name))
            for name, group in score.groups.items()
        },
        "total": _group(score.total, intervals.total, speakers.get(None)),
        "macro": {"lid": None} | {metric: score.macro(metric) for metric in metrics},
        "worst_group": {"lid": None} | worst,
        "summary": summary(score, intervals, best_k),
        "bootstrap": {
            "unit": intervals.kind,
            "samples": intervals.samples,
            "seed": intervals.seed,
            "by_utterance": list(intervals.by_utterance),
            "units": dict(intervals.units),
        },
        "confusions": confusions(score.utterances),
        "lid_confusion": lid_confusion(score.utterances) if score.has_lid else {},
        "no_space": list(score.no_space),
        "cut": {"count": len(damage.cut), "lines": list(damage.cut)},
    }
    for key in ("missing", "extra", "empty", "empty_refs"):
        found[key] = _listed(getattr(score, key))
    found["duplicates"] = _listed(damage.duplicates)
    if "per" in metrics:
        found["unknown_phonemes"] = dict(sorted(score.unknown_phonemes.items()))
    return found


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


def share_of(counts: Mapping, kind: str) -> float:
    """One kind's part of a rate; of an empty reference the insertions are all of it."""
    return counts["rate"] * counts[kind] / max(counts["errors"], 1)


def _listed(utt_ids: Sequence[str]) -> dict:
    return {"count": len(utt_ids), "utt_ids": list(utt_ids)}


def _num_speakers(score: Score, units: Units) -> dict[str | None, int]:
    """Speakers of each group and, under None, of all; empty where they are not known."""
    if units.kind != "speaker":
        return {}
    names = score.utterances.unit_names(units.of_utt)
    pairs = set(zip(score.utterances.groups(), names, strict=True))
    return Counter(group for group, _ in pairs) | {None: len(set(names))}


def _group(group: GroupScore, intervals: Mapping[str, Interval], num_speakers: int | None) -> dict:
    found = {"num_utts": group.num_utts, "duration": group.duration, "num_speakers": num_speakers}
    for metric in ("cer", "wer", "per"):
        counts = getattr(group, metric)
        if counts is not None:
            mean = {"utterance_mean": group.utterance_mean[metric]}
            figures = {"errors": counts.errors, **asdict(counts), "rate": counts.rate}
            found[metric] = figures | {"ci": as_list(intervals[metric])} | mean
    lid = {"correct": group.lid_correct, "total": group.num_utts, "rate": group.lid}
    has_lid = "lid" in intervals
    return found | {"lid": lid | {"ci": as_list(intervals["lid"])} if has_lid else None}


def summary(score: Score, intervals: Intervals, best_k: int = BEST_K) -> dict[str, dict]:
    """Figures by metric; rates 0..1.

    micro, micro_ci              all text pooled, and its 95 % interval
    macro, macro_ci              plain mean of the groups' rates
    worst, worst_group           the group with most errors (``lid``: lowest accuracy)
    worst_15, num_worst          mean of the 15 worst groups, or of all if they are fewer
    best_k, k                    mean of the k best groups, or of all if they are fewer
    std                          standard deviation between groups (N - 1), 0 of one group
    utterance_mean               ML-SUPERB's convention: mean of the utterances' rates, over all
    macro_utterance_mean         the same by group, then the groups' mean
    """
    return {metric: _of_metric(score, intervals, metric, best_k) for metric in score.metrics}


def _of_metric(score: Score, intervals: Intervals, metric: str, best_k: int) -> dict:
    rates = [score.rate(group, metric) for group in score.groups]
    best_first = sorted(rates, reverse=metric == "lid")
    num_worst, num_best = min(NUM_WORST, len(rates)), min(best_k, len(rates))
    found = {
        "micro": score.total.lid if metric == "lid" else getattr(score.total, metric).rate,
        "micro_ci": as_list(intervals.total[metric]),
        "macro": score.macro(metric),
        "macro_ci": as_list(intervals.macro[metric]),
        "worst": best_first[-1],
        "worst_group": score.worst(metric),
        "worst_15": statistics.fmean(best_first[-num_worst:]),
        "num_worst": num_worst,
        "best_k": statistics.fmean(best_first[:num_best]),
        "k": num_best,
        "std": statistics.stdev(rates) if len(rates) > 1 else 0.0,
    }
    if metric != "lid":
        means = [group.utterance_mean[metric] for group in score.groups.values()]
        found["utterance_mean"] = score.total.utterance_mean[metric]
        found["macro_utterance_mean"] = statistics.fmean(means)
    return found


def as_list(interval: tuple[float, float] | None) -> list[float] | None:
    """The interval as JSON has it."""
    return None if interval is None else list(interval)
