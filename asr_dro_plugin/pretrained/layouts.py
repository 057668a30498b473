"""What a pretrained speech model on this disk is: its layout, architecture and sizes.

Three layouts hold them; which one a path has is read from its content: ``hf`` (a Hugging Face
folder), ``s3prl`` (s3prl's file) and ``fairseq`` (fairseq's file).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.fairseq_files import read_config
from asr_dro_plugin.pretrained.hf_folders import SOURCE, network_config, read_json, tensor_numels
from asr_dro_plugin.pretrained.plain_pickles import load_as_data

LAYOUTS = ("hf", "s3prl", "fairseq")
LAYOUT_WORDS = {
    "hf": "a Hugging Face folder", "s3prl": "an s3prl file", "fairseq": "a fairseq file",
}  # fmt: skip
# Architectures of Hugging Face's that are built alike, and all that are read.
WAV2VEC2_TYPES = ("wav2vec2", "hubert", "wavlm")
MODEL_TYPES = ("hubert", "wav2vec2", "wavlm", "whisper")
# The networks of a Hugging Face model beside its heads for pretraining, CTC or text.
HF_BODY = (
    "masked_spec_embed", "feature_extractor.", "feature_projection.", "encoder.", "decoder.",
    "adapter.",
)  # fmt: skip


@dataclass(frozen=True)
class PretrainedModel:
    """A pretrained model on disk (or still to be fetched) and the sizes that the stack needs.

    Attributes:
        output_size, num_layers, num_params: None for a hub's model that is not here yet.
        model_type: Hugging Face's word for the architecture; empty for a hub's that is not here.
        model_config: what its network is built from; None while it is not here.
    """

    name: str
    path: Path
    layout: str
    output_size: int | None
    num_layers: int | None
    num_params: int | None
    model_type: str = "wav2vec2"
    model_config: Mapping | None = None


def inspect_checkpoint(path: Path, name: str | None = None) -> PretrainedModel:
    """Layout, architecture and sizes of a local checkpoint, from its content (weights are not
    copied).

    Args:
        name: how the user calls it; by default its path.

    Raises:
        UserError: none that is known, or settings and weights of two models.
    """
    path = Path(path).absolute()
    layout, numels = layout_and_sizes(path)
    config = model_config_at(path, name or str(path)) if layout == "hf" else {}
    model_type = config.get("model_type", "wav2vec2")
    found = (re.search(r"encoder\.layers\.(\d+)\.", name) for name in numels)
    layers = {match[1] for match in found if match}
    widths = [n for name, n in numels.items() if name.endswith("encoder.layer_norm.weight")]
    if not widths or not layers:
        what = "wav2vec 2.0" if layout != "hf" else model_type
        raise UserError(f"{path} holds no {what} transformer: no encoder.layers in it.")
    said = config.get("encoder_layers", config.get("num_hidden_layers", len(layers)))
    if said != len(layers):
        raise UserError(
            f"{path}/config.json describes {said} layers, and the weights beside it have "
            f"{len(layers)}. They are of two models: fetch it again."
        )
    sizes = (widths[0], len(layers), sum(numels.values()))
    return PretrainedModel(path.name, path, layout, *sizes, model_type, config or None)


def model_config_at(path: Path, name: str) -> dict:
    """What a network like that of a local checkpoint is built from: plain containers.

    ``config.json`` of a Hugging Face folder, and what would stand in it for a file of fairseq's or
    s3prl's.  ``_name_or_path`` is ``name``.
    """
    if path.is_dir():
        return network_config(path, name)
    return {**read_config(path), SOURCE: name}


def width_of(model_config: Mapping) -> int | None:
    """Features of a frame that leave the encoder of ``model_config``."""
    keys = ("d_model", "hidden_size")
    if model_config.get("add_adapter") and model_config.get("output_hidden_size"):
        keys = ("output_hidden_size",)
    return next((model_config[key] for key in keys if model_config.get(key)), None)


def layout_and_sizes(path: Path) -> tuple[str, dict[str, int]]:
    """Layout of a local checkpoint, and the number of elements of each of its tensors by name."""
    return _inspect_folder(path) if path.is_dir() else _inspect_file(path)


def _inspect_folder(path: Path) -> tuple[str, dict[str, int]]:
    model_type = str(read_json(path, "config.json").get("model_type"))
    if model_type not in MODEL_TYPES:
        raise UserError(
            f"{path}/config.json describes a {model_type}; ssl_checkpoint takes "
            f"{', '.join(MODEL_TYPES)}. For others set frontend_conf.frontend_conf (upstream, "
            "path_or_url) yourself."
        )
    prefix = "model." if model_type == "whisper" else f"{model_type}."
    body = {name.removeprefix(prefix): n for name, n in tensor_numels(path).items()}
    return "hf", {name: numel for name, numel in body.items() if name.startswith(HF_BODY)}


def _numels(weights: Mapping) -> dict[str, int]:
    return {name: value.numel() for name, value in weights.items() if hasattr(value, "numel")}


def _inspect_file(path: Path) -> tuple[str, dict[str, int]]:
    state = load_as_data(path)
    keys = set(state) if isinstance(state, dict) else set()
    if {"task_cfg", "model_cfg", "model_weight"} <= keys:
        return "s3prl", _numels(state["model_weight"])
    if "model" in keys and keys & {"cfg", "args"}:
        return "fairseq", _numels(state["model"])
    raise UserError(
        f"{path} is neither s3prl's layout (task_cfg, model_cfg, model_weight) nor fairseq's "
        f"(model, cfg): it holds {', '.join(sorted(map(str, keys))[:6]) or type(state).__name__}."
    )
