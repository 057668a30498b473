"""Group DRO: the loss of a group moves its weight, whatever the weight is."""

from collections.abc import Sequence

from asr_dro_plugin.objectives.group_weighting import GroupWeighting


class GroupDRO(GroupWeighting):
    """log q_g grows by step_size * loss_g; the worst group ends with nearly all the weight.

    Classic group DRO has ``update: batch``.  Keys: see ``GroupWeighting``.
    Source: Sagawa et al. 2020 (arXiv:1911.08731), algorithm 1.
    """

    def __init__(
        self,
        num_groups: int,
        *,
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
            smoothing=None,
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
