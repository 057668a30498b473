"""Output size of every slot, inferred from the YAML; explicit sizes are held against it.

Sizes are features of a frame.  ``None`` is a size that only the component itself knows (a model
from a hub); nothing is inferred from it and nothing held against it.
"""

import contextlib
from collections.abc import Mapping

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.catalogue import resolve_checkpoint
from asr_dro_plugin.pretrained.layouts import PretrainedModel
from asr_dro_plugin.stack.chosen import chosen, frontend_of, input_size_of
from asr_dro_plugin.stack.combinations import RAW_AUDIO
from asr_dro_plugin.stack.names import SLOTS, component_of
from asr_dro_plugin.stack.ssl_checkpoint import resolve_for, takes_own_weights
from asr_dro_plugin.stack.use_checkpoint import with_model_config


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
        size = config.get("input_size") or RAW_AUDIO
        out.update(frontend=None, frontend_conf={}, input_size=size)
    checkpoint = checkpoint_of(config)
    _infer_ssl_output_size(out, checkpoint)
    sizes = output_sizes(out, checkpoint)
    _fit_preencoder(out, sizes)
    _fit_input_size(out, "encoder", sizes["preencoder"], of="preencoder")
    _fit_unprojected(out, sizes)
    _fit_input_size(out, "postencoder", sizes["encoder"], of="encoder")
    return out


def output_sizes(config: Mapping, checkpoint: PretrainedModel | None) -> dict[str, int | None]:
    """Output size of each slot that changes it, in signal order."""
    sizes, size = {}, input_size_of(config) or RAW_AUDIO
    for slot in ("frontend", "preencoder", "encoder", "postencoder"):
        part = chosen(config, slot, size, checkpoint)
        size = sizes[slot] = part.output_size if part else size
    return sizes


def checkpoint_of(config: Mapping) -> PretrainedModel | None:
    """The SSL checkpoint that a stack starts from, looked up but never fetched.

    None where there is none, or where only s3prl knows the model that is named.

    Raises:
        UserError: ``ssl_checkpoint`` names neither a known checkpoint nor a file.
    """
    if config.get("ssl_checkpoint"):
        return resolve_for(config, fetch=False)
    parts = (chosen(config, slot) for slot in ("frontend", "encoder"))
    part = next((part for part in parts if part and part.facts.names_model), None)
    for name in part.facts.names_model(part) if part else ():  # where ESPnet's own keys point
        with contextlib.suppress(UserError):
            return resolve_checkpoint(str(name), fetch=False)
    return None


def _infer_ssl_output_size(config: dict, checkpoint: PretrainedModel | None) -> None:
    """With our ``ssl_checkpoint``, the wav2vec2 encoder keeps the model's own width by default, and
    an encoder that is built from ``model_config`` has it written out.

    ESPnet's default, 256, would put a linear layer behind it that nobody asked for; a YAML without
    our key keeps that default.
    """
    if not config.get("ssl_checkpoint"):
        return
    if takes_own_weights(config) and checkpoint.model_config:
        config.update(with_model_config(config, checkpoint))
    if component_of(config, "encoder") == "wav2vec2":
        conf = config.get("encoder_conf", {})
        config["encoder_conf"] = {"output_size": checkpoint.output_size, **conf}


def _fit_preencoder(config: dict, sizes: Mapping[str, int | None]) -> None:
    """Give the linear preencoder its input size."""
    if component_of(config, "preencoder") != "linear":
        return
    conf, needed = config.setdefault("preencoder_conf", {}), sizes["frontend"]
    fetched = config.get("ssl_checkpoint")  # it may be a hub's, whose size is told then
    if needed is None and "input_size" not in conf and not fetched:
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
    encoder, needed = chosen(config, "encoder"), sizes["preencoder"]
    layer = encoder["input_layer"]
    if layer not in encoder.facts.unprojected or needed in (None, sizes["encoder"]):
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
