"""Encoder ``quartznet``: ``nets.quartznet``."""

from collections.abc import Mapping

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.components.component import Chosen, Component
from asr_dro_plugin.stack.components.rules import Step, View, ceilings
from asr_dro_plugin.stack.construct import construct_part

PLAIN = "asr_dro_plugin.nets.quartznet:QuartzNet"
SIZE = 1024  # channels of its last published block at width 1


def _blocks(chosen: Chosen) -> list[Mapping]:
    """The blocks that the YAML lists; none where they are the published ones.

    Raises:
        UserError: one that is no mapping, or does not say how many channels it gives.
    """
    blocks = chosen["blocks"] or []
    for index, block in enumerate(blocks):
        if not isinstance(block, Mapping) or not isinstance(block.get("filters"), int):
            raise UserError(
                f"encoder_conf.blocks[{index}] is {block}, but a block of quartznet is a mapping "
                "that names its filters, a whole number: {filters: 256, kernel: 33}."
            )
    return blocks


def _size(chosen: Chosen) -> int:
    blocks = _blocks(chosen)
    return blocks[-1]["filters"] if blocks else max(1, round(chosen["width"] * SIZE))


def _frames(chosen: Chosen) -> Step:
    blocks = _blocks(chosen) or [{"stride": 2}]
    return ceilings(chosen.label, [block.get("stride", 1) for block in blocks])


def _view(chosen: Chosen) -> View:
    """Its blocks; the residual paths beside them see one frame."""
    conf = {**chosen.conf, "input_size": 1}
    shapes = construct_part("encoder", "quartznet", PLAIN, conf).shapes
    layers = [(s.kernel, s.stride, s.dilation) for s in shapes for _ in range(s.repeat)]
    gated = any(shape.se for shape in shapes)
    return View(layers, "squeeze-and-excitation gates" if gated else "")


QUARTZNET = Component(
    path="asr_dro_plugin.espnet.parts.encoders:QuartzNetEncoder",
    plain=PLAIN,
    attribute="net",
    size=_size, frames=_frames, view=_view,
)  # fmt: skip
