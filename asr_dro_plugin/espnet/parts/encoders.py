"""Our encoders as ESPnet's ``AbsEncoder``: thin adapters, the networks live in ``nets``."""

import inspect

import torch
from espnet2.asr.encoder.abs_encoder import AbsEncoder

from asr_dro_plugin.nets.convnet import ConvNet
from asr_dro_plugin.nets.deepspeech2 import DeepSpeech2
from asr_dro_plugin.nets.quartznet import QuartzNet


class ArgumentsOfNet:
    """``class Part(ArgumentsOfNet, net=Net)`` has the arguments of ``Net``, which it makes as
    ``make_net``.  ESPnet reads the options of a component from its signature."""

    make_net: type[torch.nn.Module]

    def __init_subclass__(cls, net: type[torch.nn.Module] | None = None) -> None:
        if net is not None:  # else a network's second part, with another reader
            cls.make_net, cls.__signature__ = net, inspect.signature(net)


class NetEncoder(ArgumentsOfNet, AbsEncoder):
    """Has the arguments of its network, and keeps it as ``net``.

    ``class QuartzNetEncoder(NetEncoder, net=QuartzNet)`` is all that most of them are.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__()
        self.net = self.make_net(*args, **kwargs)

    def output_size(self) -> int:
        """H."""
        return self.net.output_size

    def forward(
        self, xs_pad: torch.Tensor, ilens: torch.Tensor, prev_states: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """(B, T, D), (B,) -> (B, S, H), (B,), None."""
        return *self.encoded(xs_pad, ilens), None

    def encoded(
        self, inputs: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same without None; frames beyond the longest utterance are cut off."""
        return self.net(inputs[:, : int(lengths.max())], lengths)


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
        self, xs_pad: torch.Tensor, ilens: torch.Tensor, prev_states: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """(B, T, D), (B,) -> the same.  Frames beyond the longest utterance are cut off."""
        return xs_pad[:, : int(ilens.max())], ilens, None


class ConvCTCEncoder(NetEncoder, net=ConvNet):
    """``nets.convnet.ConvNet`` for ESPnet; see there for the arguments."""

    def encoded(self, inputs: torch.Tensor, lengths: torch.Tensor) -> tuple:
        """See ``NetEncoder``; with ``interctc_layer_idx`` the first is (output, [(k, output k)]),
        as ESPnet's encoders have it."""
        x, between, lengths = self.net.layers(inputs[:, : int(lengths.max())], lengths)
        return (x, between) if between else x, lengths


class DeepSpeech2Encoder(NetEncoder, net=DeepSpeech2):
    """``nets.deepspeech2.DeepSpeech2`` for ESPnet; see there for the arguments.

    Its linear layer is ESPnet's CTC layer, which has a bias; so had ``hw2``, but not
    ``sooftware``.
    """


class QuartzNetEncoder(NetEncoder, net=QuartzNet):
    """``nets.quartznet.QuartzNet`` for ESPnet; see there for the arguments."""
