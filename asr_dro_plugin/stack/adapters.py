"""Which stacks take adapters, and what adapters change in a stack's counts."""

import logging
from collections.abc import Iterator, Mapping

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.layouts import PretrainedModel, layout_and_sizes
from asr_dro_plugin.stack.adapter_settings import Houlsby, LoRA, settings_of, still_of, uses_adapter
from asr_dro_plugin.stack.components import facts_of, names_with
from asr_dro_plugin.stack.names import SLOTS, component_of
from asr_dro_plugin.stack.sizes import checkpoint_of

TABLE_CHANNELS = 512  # of the convolutions of the table's checkpoints
# Where the pretrained network of a component lies in the model.
NETWORKS = {
    (slot, name): f"{slot}.{facts_of(slot, name).network}"
    for slot in ("frontend", "encoder", "decoder")
    for name in names_with("takes_adapters", slot)
}


def adapter_problems(config: Mapping) -> Iterator[str]:
    """Adapters on a stack that cannot have them, and settings that cannot be."""
    if not uses_adapter(config):
        ignored = [key for key in ("adapter_conf", "save_strategy") if _is_set(config, key)]
        if ignored:
            logging.warning("%s: ignored, for use_adapter is false.", " and ".join(ignored))
        return
    encoder = component_of(config, "encoder")
    if encoder == "wav2vec2":
        yield (
            "use_adapter cannot reach the network of encoder wav2vec2, which is fairseq's. Set "
            "encoder: fairseq_wav2vec2, which reads the same file."
        )
    elif not any(component_of(config, slot) == name for slot, name in NETWORKS):
        names = ", ".join(sorted({f"{slot} {name}" for slot, name in NETWORKS}))
        yield (
            f"use_adapter is about a pretrained speech model, and this stack has none (encoder "
            f"{encoder}). Legal: {names}; else leave use_adapter out."
        )
    try:
        settings = settings_of(config)
        if sizes := _known_sizes(config):
            settings.added(sizes)  # which knows its targets and layers, or says so
    except UserError as error:
        yield str(error)


def _known_sizes(config: Mapping) -> dict[str, int]:
    """Sizes of a wav2vec 2.0, as far as a look at a header or the table tells them."""
    try:
        checkpoint = checkpoint_of(config)
    except UserError:  # which is told where checkpoints are looked for
        return {}
    slots = [key for key in NETWORKS if component_of(config, key[0]) == key[1]]
    if checkpoint is None or checkpoint.num_layers is None or len(slots) != 1:
        return {}
    prefix = NETWORKS[slots[0]]
    if not checkpoint.path.exists():
        return like_wav2vec2(prefix, checkpoint)
    if checkpoint.layout != "hf":
        return {}
    _, sizes = layout_and_sizes(checkpoint.path)
    return {f"{prefix}.{name}": numel for name, numel in sizes.items()}


def _is_set(config: Mapping, key: str) -> bool:
    return config.get(key) not in (None, {}, "all")


def with_adapters(
    config: Mapping, slot: str, tensors: dict[str, int] | None, checkpoint: PretrainedModel | None
) -> tuple[dict[str, int] | None, set[str]]:
    """Parameters of a slot with its adapters', and the names of those that stand still.

    Args:
        tensors: the slot's parameters without adapters: by name, or the sums that the table has of
            a checkpoint that is not here.

    Raises:
        UserError: a target that the network does not have.
    """
    name = component_of(config, slot) if slot in SLOTS else None
    prefix = NETWORKS.get((slot, name))
    if prefix is None or not tensors or not uses_adapter(config):
        return tensors, set()
    settings = settings_of(config)
    own = {name: n for name, n in tensors.items() if f"{name}.".startswith(f"{prefix}.")}
    if prefix in tensors:
        if checkpoint is None or checkpoint.output_size is None or settings.trains_more:
            return None, set()
        added = settings.added(like_wav2vec2(prefix, checkpoint))
        return tensors | added, set(own) if settings.freeze else set()
    refuse_unheard(settings, checkpoint and checkpoint.layout)
    added = settings.added(own)
    if checkpoint is not None and checkpoint.layout == "s3prl":  # ESPnet's: one behind each layer
        added = {name: n for name, n in added.items() if ".fc2." in name}
    return tensors | added, still_of(settings, own)


def refuse_unheard(settings: LoRA | Houlsby, layout: str | None) -> None:
    """Refuse LoRA in s3prl's own network, whose attention takes weights and calls no layers.

    Raises:
        UserError: it is that.
    """
    if layout == "s3prl" and isinstance(settings, LoRA):
        raise UserError(
            "adapter lora cannot reach the attention of a checkpoint in s3prl's layout, which "
            "takes weights and calls no layers. Use adapter: houlsby, or a Hugging Face folder."
        )


def like_wav2vec2(prefix: str, checkpoint: PretrainedModel) -> dict[str, int]:
    """Sizes of linear layers and norms of a checkpoint that is not here: wav2vec 2.0's are all
    alike, with feed-forward networks of four times the width behind 512 channels."""
    width = checkpoint.output_size
    projection = f"{prefix}.feature_projection.projection"
    sizes = {f"{projection}.weight": TABLE_CHANNELS * width, f"{projection}.bias": width}
    shapes = {f"attention.{name}_proj": (width, width) for name in ("q", "k", "v", "out")}
    shapes["feed_forward.intermediate_dense"] = (width, 4 * width)
    shapes["feed_forward.output_dense"] = (4 * width, width)
    for number in range(checkpoint.num_layers):
        layer = f"{prefix}.encoder.layers.{number}"
        sizes |= {f"{layer}.layer_norm.{part}": width for part in ("weight", "bias")}
        for name, (num_in, num_out) in shapes.items():
            sizes[f"{layer}.{name}.weight"] = num_in * num_out
            sizes[f"{layer}.{name}.bias"] = num_out
    return sizes
