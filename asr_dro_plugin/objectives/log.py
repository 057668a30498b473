"""What an objective has seen, brought to the host in one transfer."""

import torch

from asr_dro_plugin.objectives import totals


def read_log(objective, reset: bool) -> dict[str, list[float]]:
    """Figures of an objective since the last reset, lists of G or (the last four) of one number.

    ``loss``: mean loss of an utterance, ``batch_loss``: mean sum of a batch that held the group
    (both NaN for a group not seen); ``group_weights``: q now; ``utterances``, ``batches``,
    ``frames``, ``labels``, ``seconds`` of finite losses, ``skipped``: utterances of others;
    ``num_updates``, ``num_clipped``: since the last reset; ``mean_loss``: running mean of the
    groups' signal; ``stability``: below 2 q settles, above it swings (empty: no such bound).
    """
    counters = torch.stack([objective.num_updates, objective.num_clipped])
    parts = [
        (objective.log + objective.pending).flatten(),
        objective.group_weights.double(),
        (counters - objective.logged).double(),
        objective.mean_loss[None],
    ]
    values = torch.cat(parts).tolist()
    num_groups = objective.num_groups
    rows = [values[k * num_groups : (k + 1) * num_groups] for k in range(totals.NUM_ROWS + 1)]
    if reset:
        # What is pending stays so, and has been told.
        torch.neg(objective.pending, out=objective.log)
        objective.logged.copy_(counters)
    return {
        "loss": _ratios(rows[totals.LOSS], rows[totals.UTTERANCES]),
        "batch_loss": _ratios(rows[totals.LOSS], rows[totals.BATCHES]),
        "group_weights": rows[totals.NUM_ROWS],
        "utterances": rows[totals.UTTERANCES],
        "batches": rows[totals.BATCHES],
        "frames": rows[totals.FRAMES],
        "labels": rows[totals.LABELS],
        "seconds": rows[totals.SECONDS],
        "skipped": rows[totals.SKIPPED],
        "num_updates": values[-3:-2],
        "num_clipped": values[-2:-1],
        "mean_loss": values[-1:],
        "stability": objective.stability(),
    }


def _ratios(sums: list[float], counts: list[float]) -> list[float]:
    return [total / count if count else float("nan") for total, count in zip(sums, counts)]
