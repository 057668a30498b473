"""What a stack consists of: sizes and parameters of every slot, for the plan."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack import parameter_names
from asr_dro_plugin.stack.adapter_settings import is_adapters, uses_adapter
from asr_dro_plugin.stack.adapters import NETWORKS, with_adapters
from asr_dro_plugin.stack.auxiliary import aux_layers
from asr_dro_plugin.stack.components import facts_of
from asr_dro_plugin.stack.names import SLOTS, component_of
from asr_dro_plugin.stack.parameter_names import CNN_ENTRIES, is_pattern, matches
from asr_dro_plugin.stack.parameters import Tensors, built_component, slot_tensors
from asr_dro_plugin.stack.sizes import checkpoint_of, output_sizes, resolve
from asr_dro_plugin.stack.toy_parts import check_parts


@dataclass(frozen=True)
class Slot:
    """One slot of a stack; a number is None where it cannot be known yet.

    Attributes:
        output_size: features of a frame that leave it (of the slot before, where it is none).
        trainable, frozen: numbers of parameters.
        source: where the counts come from: ``meta`` (built without memory), ``file`` (a local
            checkpoint), ``table`` (``local/ssl_checkpoints.tsv``), or empty.
        note: what else there is to know.
    """

    name: str
    component: str
    output_size: int | None
    trainable: int | None
    frozen: int | None
    source: str = ""
    note: str = ""


def describe(config: Mapping, vocab_size: int | None) -> list[Slot]:
    """The slots of a stack in signal order: ``SLOTS``, ``ctc`` and, if there is one, ``ctc_aux``.

    Args:
        config: a checked configuration; inferred sizes may be missing.
        vocab_size: V, or None before the token list is made.

    Raises:
        UserError: arguments that a component, the objective, the sampler, the optimizer or the
            schedule refuses, or a ``freeze_param`` that matches nothing.
    """
    config = resolve(config)
    check_parts(config)
    checkpoint = checkpoint_of(config)
    sizes = output_sizes(config, checkpoint) | {"decoder": vocab_size, "ctc": vocab_size}
    sizes |= dict.fromkeys(("specaug", "normalize"), sizes["frontend"])
    entries = [str(entry) for entry in config.get("freeze_param") or []]
    frozen = [*entries, *(CNN_ENTRIES if parameter_names.freezes_cnn(config) else ())]
    slots = []
    for slot in (*SLOTS, "ctc"):
        tensors, source = slot_tensors(config, slot, sizes, checkpoint, vocab_size)
        _check_entries(slot, tensors, source, entries)
        tensors, still = with_adapters(config, slot, tensors, checkpoint)
        counts = _split(tensors, source, frozen, still)
        component = built_component(config, slot) or "none"
        slots.append(Slot(slot, component, sizes.get(slot), *counts, source, _note(config, slot)))
    return slots + _auxiliary(config, sizes["encoder"])


def _auxiliary(config: Mapping, input_size: int | None) -> list[Slot]:
    """The output layer of auxiliary targets, where a layer of the encoder has some; its units are
    known once a model was trained."""
    layers, units = aux_layers(config), (config.get("model_conf") or {}).get("aux_token_list")
    if not layers:
        return []
    note = f"learns text_aux after layer {' '.join(layers)}"
    if not units or input_size is None:
        return [Slot("ctc_aux", "builtin", None, None, None, note=note)]
    return [Slot("ctc_aux", "builtin", len(units), (input_size + 1) * len(units), 0, "meta", note)]


def _note(config: Mapping, slot: str) -> str:
    name = component_of(config, slot) if slot in SLOTS else None
    if slot == "frontend" and built_component(config, slot) is None:
        return "raw audio" if config.get("input_size") == 1 else "features from the data"
    if slot == "decoder" and name and built_component(config, slot) is None:
        return f"{name} is dropped: ctc_weight is 1"
    if uses_adapter(config) and (slot, name) in NETWORKS:
        return f"with adapters ({config.get('adapter', 'lora')})"
    updates = parameter_names.frozen_updates(config)
    if updates and facts_of(slot, name).has_cnn:
        return f"pretrained part frozen for the first {updates} updates"
    return ""


def _split(
    tensors: Tensors | None, source: str, entries: Sequence[str], still: Collection[str] = ()
) -> tuple[int | None, int | None]:
    """(trainable, frozen) parameters; (None, None) where they cannot be told apart.

    Args:
        entries: what is frozen but for adapters, as ``freeze_param`` names it.
        still: names of what stands still beside adapters.
    """
    if tensors is None:
        return None, None
    if source == "table" and any(_is_finer(entry, tensors) for entry in entries):
        return None, None
    frozen = {
        name
        for name in tensors
        if name in still
        or (not is_adapters(name) and any(matches(name, entry) for entry in entries))
    }
    num_frozen = sum(tensors[name] for name in frozen)
    return sum(tensors.values()) - num_frozen, num_frozen


def _is_finer(entry: str, tensors: Tensors) -> bool:
    """Whether an entry may point at a part of what the table counts as one."""
    if any(matches(name, entry) for name in tensors):
        return False
    if is_pattern(entry):
        fixed = re.split(r"[*?\[]", entry)[0]
        return any(name.startswith(fixed) or fixed.startswith(name) for name in tensors)
    return any(matches(entry, name) for name in tensors)


def _check_entries(slot: str, tensors: Tensors | None, source: str, entries: Sequence[str]) -> None:
    """Refuse a ``freeze_param`` into this slot that matches nothing: it would freeze nothing."""
    if not tensors or source not in ("meta", "file"):
        return
    for entry in entries:
        if entry.split(".")[0] == slot and not any(matches(name, entry) for name in tensors):
            some = sorted({".".join(name.split(".")[:3]) for name in tensors})
            raise UserError(
                f"{parameter_names.nothing_matches(entry, tensors)} There are {', '.join(some[:8])}"
                f"{' ...' if len(some) > 8 else ''}."
            )
