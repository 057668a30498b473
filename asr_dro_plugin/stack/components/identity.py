"""Encoder ``identity``: the frontend is the whole model."""

from asr_dro_plugin.stack.components.component import Component
from asr_dro_plugin.stack.components.rules import View, unchanged

IDENTITY = Component(
    path="asr_dro_plugin.espnet.parts.encoders:IdentityEncoder",
    size=lambda chosen: chosen.input_size,
    frames=lambda chosen: unchanged(chosen.label),
    view=lambda chosen: View(),
    no_parameters=True,
)
