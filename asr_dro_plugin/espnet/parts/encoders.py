"""Our encoders as ESPnet's ``AbsEncoder``: thin adapters, the networks live in ``nets``."""

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder

from asr_dro_plugin.espnet.parts.net_encoder import NetEncoder
from asr_dro_plugin.nets.convnet import ConvNet


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
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """(B, T, D), (B,) -> the same.  Frames beyond the longest utterance are cut off."""
        return xs_pad[:, : int(ilens.max())], ilens, None


class ConvCTCEncoder(NetEncoder, net=ConvNet):
    """``nets.convnet.ConvNet`` for ESPnet; see there for the arguments."""
