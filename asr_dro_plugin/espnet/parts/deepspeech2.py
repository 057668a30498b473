"""DeepSpeech 2 as ESPnet's ``AbsEncoder``: a thin adapter, the network lives in ``nets``."""

from collections.abc import Sequence

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder

from asr_dro_plugin.nets.deepspeech2 import DeepSpeech2


class DeepSpeech2Encoder(AbsEncoder):
    """``nets.deepspeech2.DeepSpeech2`` for ESPnet; see there for the arguments.

    Its linear layer is ESPnet's CTC layer, which has a bias; so had ``hw2``, but not
    ``sooftware``.
    """

    def __init__(
        self,
        input_size: int,
        variant: str = "hw2",
        hidden_size: int = 512,
        num_layers: int | None = None,
        channels: Sequence[int] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.net = DeepSpeech2(input_size, variant, hidden_size, num_layers, channels, dropout)

    def output_size(self) -> int:
        """H, or 2 H where the directions are joined."""
        return self.net.output_size

    def forward(
        self,
        xs_pad: torch.Tensor,
        ilens: torch.Tensor,
        prev_states: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """(B, T, D), (B,) -> (B, S, H), (B,), None."""
        encoder_out, encoder_out_lens = self.net(xs_pad[:, : int(ilens.max())], ilens)
        return encoder_out, encoder_out_lens, None
