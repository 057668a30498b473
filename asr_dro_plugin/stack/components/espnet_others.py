"""ESPnet's normalizers, preencoders, postencoders and decoders: what a plan needs to know."""

import math

from asr_dro_plugin.stack.components.component import Chosen, Component
from asr_dro_plugin.stack.components.rules import Step, View
from asr_dro_plugin.stack.components.whisper import ESPNETS_WHISPER_DECODER


def _mvn_view(chosen: Chosen) -> View:
    words = {"norm_means": "mean", "norm_vars": "variance"}
    used = [word for key, word in words.items() if chosen[key]]
    return View(statistics=f"{' and '.join(used)} of the utterance" if used else "")


def _adaptor_frames(chosen: Chosen) -> Step:
    """floor(T / 2 ** layers)."""
    factor = 2 ** chosen["length_adaptor_n_layers"]
    return Step(chosen.label, factor, lambda frames: frames // factor)


def _adaptor_size(chosen: Chosen) -> int | None:
    return chosen["output_size"] if chosen["input_layer"] == "linear" else chosen.input_size


ESPNET_OTHERS = {
    "normalize": {
        "global_mvn": Component(view=lambda chosen: View(), no_parameters=True),
        "utterance_mvn": Component(view=_mvn_view, no_parameters=True),
    },
    "preencoder": {
        "sinc": Component(
            size=lambda chosen: math.prod(chosen[f"{end}_channels"] for end in ("in", "out"))
        ),
        "linear": Component(view=lambda chosen: View()),
    },
    "postencoder": {
        "length_adaptor": Component(
            size=_adaptor_size,
            frames=_adaptor_frames,
            view=lambda chosen: View([(2, 2)] * chosen["length_adaptor_n_layers"]),
        ),
        "hugging_face_transformers": Component(
            size=lambda chosen: None, frames=_adaptor_frames, loads_weights=True
        ),
    },
    "decoder": {
        "whisper": ESPNETS_WHISPER_DECODER,
        "hugging_face_transformers": Component(loads_weights=True),
    },
}
