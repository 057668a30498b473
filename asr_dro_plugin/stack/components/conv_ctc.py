"""Encoder ``conv_ctc``: ``nets.convnet``."""

from asr_dro_plugin.stack.components.component import Chosen, Component
from asr_dro_plugin.stack.components.rules import View, ceilings


def _view(chosen: Chosen) -> View:
    """Strided and residual convolutions; the blocks' gates take the mean over the utterance."""
    kernel, blocks = chosen["kernel_size"], chosen["num_blocks"]
    strided = [(kernel, stride) for stride in chosen["strides"]]
    gates = "gates of its blocks" if blocks and chosen["gates"] else ""
    return View([*strided, *[(kernel, 1)] * blocks], gates)


CONV_CTC = Component(
    path="asr_dro_plugin.espnet.parts.encoders:ConvCTCEncoder",
    plain="asr_dro_plugin.nets.convnet:ConvNet",
    attribute="net",
    size=lambda chosen: chosen["hidden_size"],
    frames=lambda chosen: ceilings(chosen.label, chosen["strides"]),
    view=_view,
)
