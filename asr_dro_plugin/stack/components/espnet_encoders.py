"""ESPnet's encoders: what of them a plan needs to know."""

import math
from pathlib import Path

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.stack.components import rules
from asr_dro_plugin.stack.components.component import Chosen, Component, Takes
from asr_dro_plugin.stack.components.rules import ATTENTION, Frames, Layers, Step, View
from asr_dro_plugin.stack.components.wav2vec2 import CONVOLUTIONS
from asr_dro_plugin.stack.components.whisper import ESPNETS_WHISPER

# input_layer of the transformer-like ones: (kernel, stride) of its convolutions over time.
INPUT_LAYERS: dict[str | None, Layers] = {
    None: (), "linear": (), "embed": (), "wav2vec": (),
    "conv1d1": ((3, 1), (3, 1)), "conv1d2": ((3, 1), (3, 2)), "conv1d3": ((3, 1), (5, 3)),
    "conv2d": ((3, 2), (3, 2)), "conv2d1": ((3, 1), (3, 1)), "conv2d2": ((3, 2), (3, 1)),
    "conv2d6": ((3, 2), (5, 3)), "conv2d8": ((3, 2), (3, 2), (3, 2)),
}  # fmt: skip
_COMMON = (None, "linear", "embed", "conv2d", "conv2d6", "conv2d8")
_ALL = (*_COMMON, "conv2d1", "conv2d2")


def _input_layer(chosen: Chosen) -> Step:
    layer, legal = chosen["input_layer"], chosen.facts.input_layers
    if layer not in legal:
        names = [str(name or "null") for name in legal]
        raise UserError(
            f"encoder_conf.input_layer is '{layer}', which {chosen.name} does not have."
            f"{suggestion(str(layer), names)} Legal: {', '.join(names)}."
        )
    doubt = "with ctc_trim" if chosen["ctc_trim"] else ""
    return rules.convolutions(chosen.label, INPUT_LAYERS[layer], doubt)


def _attention(chosen: Chosen) -> View:
    return View(INPUT_LAYERS.get(chosen["input_layer"], ()), "", ATTENTION)


def _transformer(*layers: str | None, view=_attention, **more) -> Component:
    """Blocks behind one of these input layers."""
    return Component(frames=_input_layer, view=view, input_layers=layers, **more)


def _rnn_frames(chosen: Chosen) -> Step:
    """``espnet2.legacy...encoders.RNNP``: (L + 1) // s after each layer; RNN never subsamples."""
    subsample = (chosen["subsample"] or ())[: chosen["num_layers"]]
    strides = [s for s in subsample if s > 1] if chosen["use_projection"] else []

    def rule(frames: Frames) -> Frames:
        for stride in strides:
            frames = (frames + 1) // stride
        return frames

    return Step(chosen.label, math.prod(strides), rule)


def _rnn_view(chosen: Chosen, before: Layers = ()) -> View:
    return View(before, "", rules.RECURRENCE if chosen["bidirectional"] else rules.PAST)


def _file_of_w2v(chosen: Chosen) -> list[str]:
    if not chosen["w2v_url"]:
        return []
    return [str(Path(chosen["w2v_dir_path"], Path(chosen["w2v_url"]).name))]


def _behind_wav2vec2(chosen: Chosen) -> dict[str, int]:
    """What FairSeqWav2Vec2Encoder puts behind the model."""
    width, size = chosen.checkpoint.output_size or 0, chosen["output_size"]
    tensors = {} if size == width else {"output_layer": (width + 1) * size}
    return tensors | ({"after_norm": 2 * size} if chosen["normalize_before"] else {})


def _wav2vec2(**more) -> Component:
    """The waveform through wav2vec 2.0's convolutions."""
    return Component(
        frames=lambda chosen: rules.convolutions(chosen.label, CONVOLUTIONS),
        view=lambda chosen: View(CONVOLUTIONS, "", ATTENTION),
        raw_audio=True, loads_weights=True, has_cnn=True, **more,
    )  # fmt: skip


_HUBERT_PRETRAIN = Component(raw_audio=True, loads_weights=True, has_cnn=True)

ESPNET_ENCODERS = {
    "transformer": _transformer(*_ALL, "wav2vec", "conv1d2", unprojected=("wav2vec",)),
    "transformer_multispkr": _transformer(*_ALL, unprojected=(None,)),
    "conformer": _transformer(*_ALL, unprojected=(None,)),
    "multiconv_conformer": _transformer(*_ALL[1:]),  # annotated as text: null is refused
    "longformer": _transformer(*_ALL[1:], view=None, package="longformer"),
    "branchformer": _transformer(*_ALL),
    "e_branchformer": _transformer(*_ALL, "conv1d1", "conv1d2", "conv1d3"),
    "contextual_block_transformer": _transformer(*_COMMON, unprojected=(None,), view=None),
    "contextual_block_conformer": _transformer(*_COMMON, unprojected=(None,), view=None),
    "rnn": Component(frames=_rnn_frames, view=_rnn_view),
    "vgg_rnn": Component(
        frames=lambda chosen: rules.ceilings(chosen.label, (2, 2)),
        view=lambda chosen: _rnn_view(chosen, [(3, 1), (3, 1), (2, 2)] * 2),
    ),
    "wav2vec2": _wav2vec2(
        checkpoints=Takes(("fairseq",)), names_model=_file_of_w2v,
        network="encoders", beside_network=_behind_wav2vec2,
    ),
    "hubert": _wav2vec2(),
    "hubert_pretrain": _HUBERT_PRETRAIN,
    "torchaudiohubert": _HUBERT_PRETRAIN,
    "whisper": ESPNETS_WHISPER,
    "avhubert": Component(
        size=lambda chosen: chosen["encoder_embed_dim"], raw_audio=True, loads_weights=True
    ),
    "beats": Component(size=lambda chosen: None, raw_audio=True, loads_weights=True),
}  # fmt: skip
