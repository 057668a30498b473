"""One line of figures over all groups: the average, the worst, and how far they lie apart."""

import statistics

from asr_dro_plugin.scoring.confidence import Intervals
from asr_dro_plugin.scoring.scores import Score

NUM_WORST = 15  # of ML-SUPERB 2.0's challenge
BEST_K = 15


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
