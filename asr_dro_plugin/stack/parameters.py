"""Parameters of each slot by name, counted without memory and without downloads.

Single modules are built on torch's meta device (shapes alone); the parameters of a pretrained model
come from its file, or from ``local/ssl_checkpoints.tsv`` while it is not here.
"""

import contextlib
import importlib
import io
from collections.abc import Mapping

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.layouts import OWN_WEIGHTS, Checkpoint, layout_and_sizes
from asr_dro_plugin.stack.combinations import ctc_weight_of
from asr_dro_plugin.stack.names import (
    COMPONENTS,
    CTC_CLASS,
    JOINT_NETWORK_CLASS,
    PLAIN_CLASSES,
    component_of,
)
from asr_dro_plugin.stack.sizes import argument, frontend_of

# Their constructors load weights from a hub or a file, so they are never built for a plan.
PRETRAINED = {
    "frontend": {"s3prl", "espnet_ssl", "fused", "whisper", "huggingface"},
    "encoder": {
        "wav2vec2", "hubert", "hubert_pretrain", "torchaudiohubert", "whisper", "avhubert", "beats",
    },
    "postencoder": {"hugging_face_transformers"},
    "decoder": {"whisper", "hugging_face_transformers"},
}  # fmt: skip
# Not built either: they have no parameters, and some arguments come from the recipe.
PARAMETERLESS = {
    "frontend": {"log_mel"}, "normalize": {"global_mvn", "utterance_mvn"}, "encoder": {"identity"},
}  # fmt: skip

# Parameters of wav2vec 2.0's convolutions in the checkpoints of the table: 512 channels, kernels
# 10 3 3 3 3 2 2, each with bias and layer norm.
TABLE_FEATURE_EXTRACTOR = 512 * (10 + 512 * (4 * 3 + 2 * 2)) + 7 * 3 * 512

# And of their heads for pretraining, which only fairseq's files hold: quantizer (2 groups of 320
# vectors of 384, and a linear layer that chooses them), project_q and final_proj.
TABLE_HEADS = 2 * 320 * (384 + 512 + 1) + (768 + 1) * 768 + (1024 + 1) * 768

Tensors = dict[str, int]  # parameter name in the whole model -> number of elements


def built_component(config: Mapping, slot: str) -> str | None:
    """What the model really holds in a slot: ESPnet drops what the loss does not need."""
    weight = ctc_weight_of(config)
    if slot == "ctc":
        return (config.get("ctc_conf") or {}).get("ctc_type", "builtin") if weight > 0 else None
    name = frontend_of(config) if slot == "frontend" else component_of(config, slot)
    if slot == "decoder" and weight == 1 and name not in ("transducer", "linear_decoder"):
        return None
    return name


def slot_tensors(
    config: Mapping,
    slot: str,
    sizes: Mapping[str, int | None],
    checkpoint: Checkpoint | None,
    vocab_size: int | None,
) -> tuple[Tensors | None, str]:
    """Parameters of a slot, and where they were read; None where they are not known.

    Raises:
        UserError: the component refuses its arguments.
    """
    name = built_component(config, slot)
    if name is None:
        return {}, ""
    if name in PARAMETERLESS.get(slot, ()):
        return {}, "meta"
    if name in PRETRAINED.get(slot, ()):
        return _pretrained(config, slot, name, checkpoint)
    if name in OWN_WEIGHTS and not argument(config, slot, "model_config"):
        return _not_here(slot, checkpoint)
    given = _given(slot, sizes, vocab_size)
    if None in given.values():
        return None, ""
    tensors = _build(slot, name, {**(config.get(f"{slot}_conf") or {}), **given})
    if name == "transducer":
        tensors |= _joint_network(config, sizes["encoder"], given["vocab_size"])
    return (None if slot in ("decoder", "ctc") and vocab_size is None else tensors), "meta"


def _given(slot: str, sizes: Mapping[str, int | None], vocab_size: int | None) -> dict:
    """What the task passes to a constructor."""
    vocab = vocab_size or 2  # enough to see whether the arguments are accepted
    return {
        "encoder": {"input_size": sizes["preencoder"]},
        "postencoder": {"input_size": sizes["encoder"]},
        "decoder": {"vocab_size": vocab, "encoder_output_size": sizes["postencoder"]},
        "ctc": {"odim": vocab, "encoder_output_size": sizes["postencoder"]},
    }.get(slot, {})


def _build(slot: str, name: str, arguments: Mapping) -> Tensors:
    """Build one module without memory and count its parameters."""
    module, attribute = build_module(slot, name, arguments)
    head = f"{slot}.{attribute}." if attribute else f"{slot}."
    return {f"{head}{key}": parameter.numel() for key, parameter in module.named_parameters()}


def build_module(slot: str, name: str, arguments: Mapping):
    """One component without memory, and the attribute under which its adapter keeps it.

    Raises:
        UserError: it refuses its arguments.
    """
    path = CTC_CLASS if slot == "ctc" else COMPONENTS[slot][name]
    path, attribute = PLAIN_CLASSES.get(path, (path, ""))
    arguments = dict(arguments)
    if name == "transducer":  # meets the encoder in the joint network only
        del arguments["encoder_output_size"]
        arguments["embed_pad"] = 0
    try:
        module = construct(path, arguments)
    except Exception as error:  # whatever a constructor raises is about its arguments
        line = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{slot}_conf of {slot} {name} is refused: {line.rstrip('.')}.") from error
    return module, attribute


def built_encoder(config: Mapping, input_size: int | None):
    """The encoder of a stack without memory; None where only its pretrained model could tell."""
    name = component_of(config, "encoder")
    unknown = name in PRETRAINED["encoder"] or name in PARAMETERLESS["encoder"]
    if unknown or input_size is None:
        return None
    if name in OWN_WEIGHTS and not argument(config, "encoder", "model_config"):
        return None
    conf = {**(config.get("encoder_conf") or {}), "input_size": input_size}
    return build_module("encoder", name, conf)[0]


def construct(path: str, arguments: Mapping, device: str = "meta"):
    """An object of ``"package.module:Class"``, by default without memory for its tensors.

    The one place outside ``asr_dro_plugin.espnet`` that imports ESPnet, by a name of the tables:
    single modules only, for importing a task costs ten seconds.
    """
    import torch

    module_name, class_name = path.split(":")
    with contextlib.redirect_stderr(io.StringIO()):  # ESPnet tells there what it lacks on a GPU
        constructor = getattr(importlib.import_module(module_name), class_name)
    with torch.device(device):
        return constructor(**arguments)


def _joint_network(config: Mapping, encoder_size: int | None, vocab_size: int) -> Tensors:
    """Parameters of the joint network, which the model keeps beside the decoder."""
    decoder_size = argument(config, "decoder", "hidden_size")
    sizes = {
        "output_size": vocab_size, "encoder_size": encoder_size, "decoder_size": decoder_size,
    }  # fmt: skip
    module = construct(JOINT_NETWORK_CLASS, {**sizes, **(config.get("joint_net_conf") or {})})
    return {f"joint_network.{key}": p.numel() for key, p in module.named_parameters()}


def _pretrained(
    config: Mapping, slot: str, name: str, checkpoint: Checkpoint | None
) -> tuple[Tensors | None, str]:
    """Parameters of an SSL model: from its file if it is here, else from the table."""
    if checkpoint is None or name not in ("s3prl", "wav2vec2"):
        return None, ""
    body = "frontend.upstream.upstream.model" if name == "s3prl" else "encoder.encoders"
    extra = (_featurizer if name == "s3prl" else _output_layer)(config, checkpoint)
    if checkpoint.path.exists():
        sizes = _tensor_sizes(checkpoint)
        return {**{f"{body}.{key}": numel for key, numel in sizes.items()}, **extra}, "file"
    front = TABLE_FEATURE_EXTRACTOR
    sizes = {f"{body}.feature_extractor": front, body: checkpoint.num_params - front}
    return {**sizes, **extra}, "table"


def _not_here(slot: str, checkpoint: Checkpoint | None) -> tuple[Tensors | None, str]:
    """Parameters of a model that has not been fetched yet, as the table counts them."""
    if checkpoint is None or checkpoint.num_params is None:
        return None, ""
    front = TABLE_FEATURE_EXTRACTOR
    rest = checkpoint.num_params - front - (TABLE_HEADS if checkpoint.layout == "fairseq" else 0)
    body = f"{slot}.net.model"
    return {f"{body}.feature_extractor": front, body: rest}, "table"


def _tensor_sizes(checkpoint: Checkpoint) -> Tensors:
    """Elements of each tensor of a local checkpoint, named as in the wav2vec 2.0 model."""
    _, sizes = layout_and_sizes(checkpoint.path)
    finetuned = "w2v_encoder.w2v_model."  # fairseq wraps a model that was trained for ASR
    if any(name.startswith(finetuned) for name in sizes):
        inner = {name: n for name, n in sizes.items() if name.startswith(finetuned)}
        return {name.removeprefix(finetuned): n for name, n in inner.items()}
    return sizes


def _featurizer(config: Mapping, checkpoint: Checkpoint) -> Tensors:
    """One weight for each hidden state: the input of the first layer and all outputs."""
    chosen = argument(config, "frontend", "layer") != -1
    return {"frontend.featurizer.weights": 1 if chosen else checkpoint.num_layers + 1}


def _output_layer(config: Mapping, checkpoint: Checkpoint) -> Tensors:
    """What FairSeqWav2Vec2Encoder puts behind the model."""
    size = argument(config, "encoder", "output_size")
    tensors = {}
    if size != checkpoint.output_size:
        tensors["encoder.output_layer"] = (checkpoint.output_size + 1) * size
    if argument(config, "encoder", "normalize_before"):
        tensors["encoder.after_norm"] = 2 * size
    return tensors
