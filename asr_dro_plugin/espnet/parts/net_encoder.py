"""A network of ``nets`` as ESPnet's ``AbsEncoder``."""

import inspect

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder


class NetEncoder(AbsEncoder):
    """Has the arguments of its network, and keeps it as ``net``.

    ``class QuartzNetEncoder(NetEncoder, net=QuartzNet)`` is all that most of them are.  ESPnet
    reads the options of a component from its signature.
    """

    make_net: type[torch.nn.Module]

    def __init_subclass__(cls, net: type[torch.nn.Module] | None = None) -> None:
        if net is not None:  # else a network's second encoder, with another reader
            cls.make_net, cls.__signature__ = net, inspect.signature(net)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__()
        self.net = self.make_net(*args, **kwargs)

    def output_size(self) -> int:
        """H."""
        return self.net.output_size

    def forward(
        self,
        xs_pad: torch.Tensor,
        ilens: torch.Tensor,
        prev_states: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """(B, T, D), (B,) -> (B, S, H), (B,), None.  Frames beyond the longest are cut off."""
        encoder_out, encoder_out_lens = self.net(xs_pad[:, : int(ilens.max())], ilens)
        return encoder_out, encoder_out_lens, None
