"""CTC-DRO: the larger a group's weight, the less its loss moves it."""

from collections.abc import Sequence

from asr_dro_plugin.objectives.group_weighting import GroupWeighting, absolute_or_relative

DEFAULT_SMOOTHING_REL = 0.6


class CTCDRO(GroupWeighting):
    """log q_g grows by step_size * loss_g / (q_g + smoothing); no group ends with all the weight.

    Keys: see ``GroupWeighting``, and
        smoothing, smoothing_rel: alpha, or alpha = smoothing_rel / G (the default, 0.6 / G).

    Source: Bartelds et al. 2025 (arXiv:2502.01777), algorithm 1.
    """

    def __init__(
        self,
        num_groups: int,
        *,
        smoothing: float | None = None,
        smoothing_rel: float | None = None,
        agg: str = "sum",
        step_size: float | None = None,
        step_size_rel: float | None = None,
        signal: str = "sum",
        reference: dict | None = None,
        reference_at: str = "step",
        acts_on: str = "loss",
        update: str = "round",
        round_limit: int | None = None,
        reduction: str = "utterance",
        length_norm: str = "none",
        size_adjustment: float = 0.0,
        group_sizes: Sequence[int] | None = None,
        cap: float = 1.0,
        floor: float | None = None,
        duration: float = 50.0,
        group_names: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            num_groups,
            smoothing=_absolute(smoothing, smoothing_rel, num_groups),
            agg=agg,
            step_size=step_size,
            step_size_rel=step_size_rel,
            signal=signal,
            reference=reference,
            reference_at=reference_at,
            acts_on=acts_on,
            update=update,
            round_limit=round_limit,
            reduction=reduction,
            length_norm=length_norm,
            size_adjustment=size_adjustment,
            group_sizes=group_sizes,
            cap=cap,
            floor=floor,
            duration=duration,
            group_names=group_names,
        )


def _absolute(smoothing: float | None, smoothing_rel: float | None, num_groups: int) -> float:
    smoothing, smoothing_rel = absolute_or_relative(
        "smoothing", smoothing, smoothing_rel, DEFAULT_SMOOTHING_REL
    )
    return smoothing_rel / num_groups if smoothing is None else smoothing
