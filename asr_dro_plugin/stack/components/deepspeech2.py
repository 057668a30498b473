"""Encoder ``deepspeech2``: ``nets.deepspeech2``."""

from asr_dro_plugin.stack.components.component import Chosen, Component
from asr_dro_plugin.stack.components.rules import RECURRENCE, Step, View, ceilings

# Of its convolutions over time, by variant (``nets.deepspeech2.VARIANTS``).
STRIDES = {"hw2": (2, 2, 1), "sooftware": (2, 1)}
KERNEL = 11  # over time, padded by 5


def _size(chosen: Chosen) -> int:
    """The directions are summed in one variant and joined in the other."""
    return (1 + (chosen["variant"] == "sooftware")) * chosen["hidden_size"]


def _frames(chosen: Chosen) -> Step:
    return ceilings(chosen.label, STRIDES.get(chosen["variant"], ()))


def _view(chosen: Chosen) -> View:
    return View([(KERNEL, stride) for stride in STRIDES[chosen["variant"]]], "", RECURRENCE)


DEEPSPEECH2 = Component(
    path="asr_dro_plugin.espnet.parts.encoders:DeepSpeech2Encoder",
    plain="asr_dro_plugin.nets.deepspeech2:DeepSpeech2",
    attribute="net",
    size=_size, frames=_frames, view=_view,
)  # fmt: skip
