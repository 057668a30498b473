"""ESPnet's ASR model with the batch's group ids at hand."""

import torch
from espnet2.asr.espnet_model import ESPnetASRModel

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.groups import GroupMap

Losses = tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]


class DROASRModel(ESPnetASRModel):
    """``ESPnetASRModel`` that takes ``group_ids`` beside ``speech`` and ``text``.

    Args:
        groups: names of the groups in id order; kept in ``exp/.../config.yaml`` under
            ``model_conf`` so that ESPnet's own loaders build the same model.
    All other arguments are ESPnet's.
    """

    def __init__(self, *args, groups: list[str] | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.group_map = GroupMap(groups) if groups else None

    def forward(
        self,
        speech: torch.Tensor,
        speech_lengths: torch.Tensor,
        text: torch.Tensor,
        text_lengths: torch.Tensor,
        group_ids: torch.Tensor | None = None,
        **kwargs,
    ) -> Losses:
        """Loss of a batch.

        Args:
            speech: (B, samples); text: (B, U) padded with -1; their lengths: (B,).
            group_ids: (B,) or (B, 1) as the collate function stacks one number an utterance.
            kwargs: ``utt_id`` and the lengths of ``group_ids``, as ESPnet passes them.

        Returns:
            loss (scalar), stats by name, weight (B).
        """
        if group_ids is not None:
            kwargs["group_ids"] = self.checked_group_ids(group_ids, speech.shape[0])
        return super().forward(speech, speech_lengths, text, text_lengths, **kwargs)

    def checked_group_ids(self, group_ids: torch.Tensor, num_utterances: int) -> torch.Tensor:
        """``group_ids`` as (B,), refused where they cannot belong to this model's groups."""
        if group_ids.numel() != num_utterances:
            raise UserError(
                f"A batch of {num_utterances} utterances came with {group_ids.numel()} group ids; "
                "one a line is needed. Run stage 10 again."
            )
        flat = group_ids.reshape(-1)
        # Only where the ids are on the CPU: a look at a GPU tensor would stall the device.
        if self.group_map is not None and flat.device.type == "cpu":
            highest = int(flat.max())
            if highest >= len(self.group_map) or int(flat.min()) < 0:
                raise UserError(
                    f"Group id {highest} is outside 0..{len(self.group_map) - 1} "
                    f"({' '.join(self.group_map.names)}). Run stage 10 again."
                )
        return flat
