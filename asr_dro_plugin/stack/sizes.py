"""Output size of every slot, inferred from the YAML; explicit sizes are held against it.

Sizes are features of a frame.  ``None`` is a size that only the component itself knows (a model
from a hub); nothing is inferred from it and nothing held against it.
"""

import math
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.catalogue import resolve_checkpoint, resolve_for, takes_own_weights
from asr_dro_plugin.pretrained.layouts import OWN_WEIGHTS, Checkpoint, width_of
from asr_dro_plugin.pretrained.resolve import with_model_config
from asr_dro_plugin.stack.names import COMPONENTS, NO_COMPONENT, SLOTS, component_of
from asr_dro_plugin.stack.signatures import signature_of

RAW_AUDIO = 1  # ESPnet's input_size for a waveform: one number a sample

QUARTZNET_SIZE = 1024  # channels of its last block at width 1

# Width of OpenAI's Whisper models (Radford et al. 2022, arXiv:2212.04356, table 1).
WHISPER_SIZES = {
    "tiny": 384, "base": 512, "small": 768, "medium": 1024, "large": 1280, "turbo": 1280,
}  # fmt: skip

# Encoder and input_layer that put no layer between the features and the first block.
UNPROJECTED = {
    ("transformer", "wav2vec"), ("transformer_multispkr", None), ("conformer", None),
    ("contextual_block_transformer", None), ("contextual_block_conformer", None),
}  # fmt: skip


def resolve(config: Mapping) -> dict:
    """A copy of a configuration with every inferred size and empty slot written out.

    ``frontend: none`` becomes ``input_size: 1``, which is how ESPnet takes raw audio.

    Raises:
        UserError: an explicit size that does not fit; names the key, its value and the legal one.
    """
    out = {k: dict(v) if isinstance(v, Mapping) else v for k, v in config.items()}
    for slot in SLOTS:
        if slot in out:
            out[slot] = component_of(config, slot)
    if frontend_of(config) is None:
        out.update(
            frontend=None, frontend_conf={}, input_size=config.get("input_size") or RAW_AUDIO
        )
    checkpoint = checkpoint_of(config)
    _infer_ssl_output_size(out, checkpoint)
    sizes = output_sizes(out, checkpoint)
    _fit_preencoder(out, sizes)
    _fit_input_size(out, "encoder", sizes["preencoder"], of="preencoder")
    _fit_unprojected(out, sizes)
    _fit_input_size(out, "postencoder", sizes["encoder"], of="encoder")
    return out


def frontend_of(config: Mapping) -> str | None:
    """Name of the frontend; None for none and where ``input_size`` says that data hold features."""
    return component_of(config, "frontend") if input_size_of(config) is None else None


def input_size_of(config: Mapping) -> int | None:
    """Size of the data's features where the YAML states it; ESPnet reads text as a number too."""
    size = config.get("input_size")
    return None if size is None or str(size).lower() in NO_COMPONENT else int(size)


def argument(config: Mapping, slot: str, name: str) -> object:
    """Value of a component's argument: from the YAML, else the class's default."""
    conf = config.get(f"{slot}_conf") or {}
    if name in conf:
        return conf[name]
    path = COMPONENTS[slot][component_of(config, slot)]
    parameter = signature_of(path).parameters.get(name)
    return parameter.default if parameter else None


def output_sizes(config: Mapping, checkpoint: Checkpoint | None) -> dict[str, int | None]:
    """Output size of each slot that changes it, in signal order."""
    frontend = _frontend_size(config, checkpoint)
    preencoder = _preencoder_size(config, frontend)
    encoder = _encoder_size(config, preencoder, checkpoint)
    postencoder = _postencoder_size(config, encoder)
    return {
        "frontend": frontend, "preencoder": preencoder, "encoder": encoder,
        "postencoder": postencoder,
    }  # fmt: skip


def _frontend_size(config: Mapping, checkpoint: Checkpoint | None) -> int | None:
    match frontend_of(config):
        case None:
            return input_size_of(config) or RAW_AUDIO
        case "default" | "log_mel":
            return argument(config, "frontend", "n_mels")
        case "sliding_window":
            return argument(config, "frontend", "win_length")
        case "s3prl":
            return checkpoint.output_size if checkpoint else None
        case "whisper":
            return _whisper_size(argument(config, "frontend", "whisper_model"))
        case "wav2vec_cnn":
            shapes = argument(config, "frontend", "shapes")
            return shapes[-1][0]
        case "fused":
            frontends = argument(config, "frontend", "frontends") or []
            return len(frontends) * argument(config, "frontend", "proj_dim")
    return None


def _preencoder_size(config: Mapping, input_size: int | None) -> int | None:
    match component_of(config, "preencoder"):
        case None:
            return input_size
        case "sinc":
            channels = [argument(config, "preencoder", f"{end}_channels") for end in ("in", "out")]
            return math.prod(channels)
    return argument(config, "preencoder", "output_size")


def _encoder_size(
    config: Mapping, input_size: int | None, checkpoint: Checkpoint | None
) -> int | None:
    match component_of(config, "encoder"):
        case "identity":
            return input_size
        case "conv_ctc":
            return argument(config, "encoder", "hidden_size")
        case "quartznet":
            if blocks := quartznet_blocks(config):
                return blocks[-1]["filters"]
            return max(1, round(argument(config, "encoder", "width") * QUARTZNET_SIZE))
        case "deepspeech2":
            joined = argument(config, "encoder", "variant") == "sooftware"
            return (1 + joined) * argument(config, "encoder", "hidden_size")
        case "whisper":
            return _whisper_size(argument(config, "encoder", "whisper_model"))
        case "avhubert":
            return argument(config, "encoder", "encoder_embed_dim")
        case "beats":
            return None
        case name if name in OWN_WEIGHTS:
            model_config = argument(config, "encoder", "model_config")
            if model_config:
                return width_of(model_config)
            return checkpoint.output_size if checkpoint else None
    return argument(config, "encoder", "output_size")


def quartznet_blocks(config: Mapping) -> list[Mapping]:
    """The blocks that the YAML lists; none where they are the published ones.

    Raises:
        UserError: one that is no mapping, or does not say how many channels it gives.
    """
    blocks = argument(config, "encoder", "blocks") or []
    for index, block in enumerate(blocks):
        if not isinstance(block, Mapping) or not isinstance(block.get("filters"), int):
            raise UserError(
                f"encoder_conf.blocks[{index}] is {block}, but a block of quartznet is a mapping "
                "that names its filters, a whole number: {filters: 256, kernel: 33}."
            )
    return blocks


def _postencoder_size(config: Mapping, input_size: int | None) -> int | None:
    match component_of(config, "postencoder"):
        case None:
            return input_size
        case "length_adaptor":
            projected = argument(config, "postencoder", "input_layer") == "linear"
            return argument(config, "postencoder", "output_size") if projected else input_size
    return None


def _whisper_size(model: str) -> int | None:
    return WHISPER_SIZES.get(model.split(".")[0].split("-")[0])


def checkpoint_of(config: Mapping) -> Checkpoint | None:
    """The SSL checkpoint that a stack starts from, looked up but never fetched.

    None where there is none, or where only s3prl knows the model that is named.

    Raises:
        UserError: ``ssl_checkpoint`` names neither a known checkpoint nor a file.
    """
    if config.get("ssl_checkpoint"):
        return resolve_for(config, fetch=False)
    for name in _checkpoints_named(config):
        try:
            return resolve_checkpoint(str(name), fetch=False)
        except UserError:
            continue
    return None


def _checkpoints_named(config: Mapping) -> list[str]:
    """Where ESPnet's own keys point, the most specific first."""
    if frontend_of(config) == "s3prl":
        conf = argument(config, "frontend", "frontend_conf") or {}
        return [name for key in ("path_or_url", "upstream") if (name := conf.get(key))]
    if component_of(config, "encoder") == "wav2vec2" and argument(config, "encoder", "w2v_url"):
        directory = Path(argument(config, "encoder", "w2v_dir_path"))
        return [str(directory / Path(argument(config, "encoder", "w2v_url")).name)]
    return []


def _infer_ssl_output_size(config: dict, checkpoint: Checkpoint | None) -> None:
    """With our ``ssl_checkpoint``, the wav2vec2 encoder keeps the model's own width by default, and
    an encoder that is built from ``model_config`` has it written out.

    ESPnet's default, 256, would put a linear layer behind it that nobody asked for; a YAML without
    our key keeps that default.
    """
    if not config.get("ssl_checkpoint"):
        return
    if takes_own_weights(config) and checkpoint.model_config:
        config.update(with_model_config(config, checkpoint))
    if component_of(config, "encoder") != "wav2vec2":
        return
    config["encoder_conf"] = {
        "output_size": checkpoint.output_size,
        **config.get("encoder_conf", {}),
    }


def _fit_preencoder(config: dict, sizes: Mapping[str, int | None]) -> None:
    """Give the linear preencoder its input size."""
    if component_of(config, "preencoder") != "linear":
        return
    conf, needed = config.setdefault("preencoder_conf", {}), sizes["frontend"]
    if needed is None and "input_size" not in conf:
        raise UserError(
            f"preencoder_conf.input_size cannot be inferred from {_source(config, 'frontend')}. "
            "Set it, or name the model with ssl_checkpoint."
        )
    _compare(conf, "preencoder", needed, _source(config, "frontend"))
    if needed is not None:
        conf["input_size"] = needed


def _fit_input_size(config: dict, slot: str, needed: int | None, of: str) -> None:
    """Hold an explicit input size against the inferred one, then drop it: ESPnet passes it."""
    conf = config.get(f"{slot}_conf")
    if not conf or "input_size" not in conf:
        return
    source = of if component_of(config, of) else "frontend"
    _compare(conf, slot, needed, _source(config, source))
    del conf["input_size"]


def _fit_unprojected(config: Mapping, sizes: Mapping[str, int | None]) -> None:
    """Without an input layer the blocks must be as wide as the features."""
    name, needed = component_of(config, "encoder"), sizes["preencoder"]
    layer = argument(config, "encoder", "input_layer")
    if (name, layer) not in UNPROJECTED or needed in (None, sizes["encoder"]):
        return
    before = "preencoder" if component_of(config, "preencoder") else "frontend"
    raise UserError(
        f"encoder_conf.output_size is {sizes['encoder']}, but with input_layer {layer or 'null'} "
        f"it must be what {_source(config, before)} gives. Legal: {needed}, or another input_layer."
    )


def _compare(conf: Mapping, slot: str, needed: int | None, source: str) -> None:
    given = conf.get("input_size")
    if given is not None and needed is not None and given != needed:
        raise UserError(
            f"{slot}_conf.input_size is {given}, but {source} gives {needed}. Legal: {needed}. "
            "Leave it out: it is inferred."
        )


def _source(config: Mapping, slot: str) -> str:
    name = frontend_of(config) if slot == "frontend" else component_of(config, slot)
    return f"{slot} {name or 'none'}"
