"""QuartzNet as ESPnet's encoder: a thin adapter, the network lives in ``nets.quartznet``."""

from collections.abc import Mapping, Sequence

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder

from asr_dro_plugin.nets.quartznet import QuartzNet


class QuartzNetEncoder(AbsEncoder):
    """``nets.quartznet.QuartzNet`` for ESPnet; see there for the arguments."""

    def __init__(
        self,
        input_size: int,
        num_repeats: int = 3,
        repeat: int = 5,
        width: float = 1.0,
        se: bool = False,
        dropout: float = 0.0,
        blocks: Sequence[Mapping] | None = None,
        conv_mask: bool = True,
    ) -> None:
        super().__init__()
        self.net = QuartzNet(input_size, num_repeats, repeat, width, se, dropout, blocks, conv_mask)

    def output_size(self) -> int:
        """C."""
        return self.net.output_size

    def forward(
        self,
        xs_pad: torch.Tensor,
        ilens: torch.Tensor,
        prev_states: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """(B, T, D), (B,) -> (B, S, C), (B,), None."""
        encoder_out, encoder_out_lens = self.net(xs_pad[:, : int(ilens.max())], ilens)
        return encoder_out, encoder_out_lens, None
