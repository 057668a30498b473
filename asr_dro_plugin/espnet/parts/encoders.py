"""Our encoders as ESPnet's ``AbsEncoder``: thin adapters, the networks live in ``nets``."""

from collections.abc import Sequence

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder

from asr_dro_plugin.nets.convnet import ConvNet

Encoded = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]


class IdentityEncoder(AbsEncoder):
    """Passes features on unchanged: the frontend is the whole model, CTC's linear layer its head.

    Args:
        input_size: D, which is also the output size.
    """

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self._output_size = input_size

    def output_size(self) -> int:
        """D."""
        return self._output_size

    def forward(
        self,
        xs_pad: torch.Tensor,
        ilens: torch.Tensor,
        prev_states: torch.Tensor | None = None,
    ) -> Encoded:
        """(B, T, D), (B,) -> the same.  Frames beyond the longest utterance are cut off."""
        return xs_pad[:, : int(ilens.max())], ilens, None


class ConvCTCEncoder(AbsEncoder):
    """``nets.convnet.ConvNet`` for ESPnet; see there for the arguments."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 256,
        num_blocks: int = 6,
        kernel_size: int = 7,
        strides: Sequence[int] = (2, 2),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.net = ConvNet(input_size, hidden_size, num_blocks, kernel_size, strides, dropout)

    def output_size(self) -> int:
        """H."""
        return self.net.output_size

    def forward(
        self,
        xs_pad: torch.Tensor,
        ilens: torch.Tensor,
        prev_states: torch.Tensor | None = None,
    ) -> Encoded:
        """(B, T, D), (B,) -> (B, S, H), (B,), None."""
        encoder_out, encoder_out_lens = self.net(xs_pad[:, : int(ilens.max())], ilens)
        return encoder_out, encoder_out_lens, None
