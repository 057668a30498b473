"""Hidden states of a pretrained model as ESPnet's ``AbsFrontend``, from speech or kept ones."""

import torch
from espnet2.asr.frontend.abs_frontend import AbsFrontend

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.parts.encoders import ArgumentsOfNet


class HiddenLayerFrontend(ArgumentsOfNet, AbsFrontend):
    """A ``nets.hidden_layers.HiddenLayers`` for ESPnet, which it keeps as ``net``.

    What it takes is speech (B, N), or what ``hidden_layers`` gave for it before, its L states of a
    frame in a row: (B, T, L * D), float16 perhaps.  From either it gives the same features.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__()
        self.net = self.make_net(*args, **kwargs)

    def output_size(self) -> int:
        """D."""
        return self.net.output_size

    @property
    def pretrained(self) -> torch.nn.Module:
        """What makes the hidden states."""
        return self.net.model

    @property
    def kept_settings(self) -> dict:
        """What decides them beside its weights."""
        return self.net.kept_settings

    def forward(
        self, input: torch.Tensor, input_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) or (B, T, L * D), and (B,) -> (B, T, D), (B,).

        Raises:
            UserError: kept hidden states of another number or width.
        """
        if input.dim() == 2:
            return self.net(input, input_lengths)
        return self.weighted_sum(self._split(input)), input_lengths

    def hidden_layers(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N), (B,) -> the chosen hidden states (B, T, L, D), pooled, and (B,)."""
        return self.net.hidden_layers(speech, lengths)

    def weighted_sum(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B, T, L, D) -> (B, T, D), by weights that learn."""
        return self.net.weighted_sum(hidden)

    def _split(self, kept: torch.Tensor) -> torch.Tensor:
        """(B, T, L * D) -> (B, T, L, D) in the weights' type."""
        num, width = len(self.net.numbers), self.net.output_size
        if kept.shape[2] != num * width:
            raise UserError(
                f"The data hold features of {kept.shape[2]} numbers a frame, and the frontend's "
                f"{num} hidden states of {width} are {num * width}. They are of other layers or of "
                "another model: extract them again."
            )
        return kept.unflatten(2, (num, width)).to(self.net.layer_weights.dtype)
