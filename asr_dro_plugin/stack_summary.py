"""What a stack consists of: sizes and parameters of every slot, for the plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.ssl_checkpoints import Checkpoint
from asr_dro_plugin.stack_names import SLOTS, component_of
from asr_dro_plugin.stack_params import Tensors, built_component, slot_tensors
from asr_dro_plugin.stack_sizes import argument, checkpoint_of, output_sizes, resolve


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
    """The slots of a stack in signal order: ``SLOTS`` and ``ctc``.

    Args:
        config: a checked configuration; inferred sizes may be missing.
        vocab_size: V, or None before the token list is made.

    Raises:
        UserError: arguments that a component refuses, or a ``freeze_param`` that matches nothing.
    """
    config = resolve(config)
    checkpoint = checkpoint_of(config)
    sizes = _all_sizes(config, checkpoint, vocab_size)
    prefixes = [str(prefix) for prefix in config.get("freeze_param") or []]
    slots = []
    for slot in (*SLOTS, "ctc"):
        tensors, source = slot_tensors(config, slot, sizes, checkpoint, vocab_size)
        _check_prefixes(slot, tensors, source, prefixes)
        counts = _split(tensors, source, prefixes)
        component = built_component(config, slot) or "none"
        slots.append(Slot(slot, component, sizes.get(slot), *counts, source, _note(config, slot)))
    return slots


def _note(config: Mapping, slot: str) -> str:
    name = component_of(config, slot) if slot in SLOTS else None
    if slot == "frontend" and built_component(config, slot) is None:
        return "raw audio" if config.get("input_size") == 1 else "features from the data"
    if slot == "decoder" and name and built_component(config, slot) is None:
        return f"{name} is dropped: ctc_weight is 1"
    if slot == "encoder" and name == "wav2vec2":
        updates = argument(config, slot, "freeze_finetune_updates")
        return f"pretrained part frozen for the first {updates} updates" if updates else ""
    return ""


def _all_sizes(
    config: Mapping, checkpoint: Checkpoint | None, vocab_size: int | None
) -> dict[str, int | None]:
    sizes = output_sizes(config, checkpoint)
    same = dict.fromkeys(("specaug", "normalize"), sizes["frontend"])
    return {**sizes, **same, "decoder": vocab_size, "ctc": vocab_size}


def _matches(name: str, prefix: str) -> bool:
    """ESPnet's rule for ``freeze_param``."""
    return name == prefix or name.startswith(f"{prefix}.")


def _split(
    tensors: Tensors | None, source: str, prefixes: Sequence[str]
) -> tuple[int | None, int | None]:
    """(trainable, frozen) parameters; (None, None) where they cannot be told apart."""
    if tensors is None:
        return None, None
    frozen = {name for name in tensors if any(_matches(name, prefix) for prefix in prefixes)}
    if source == "table" and any(_is_finer(prefix, tensors) for prefix in prefixes):
        return None, None
    num_frozen = sum(tensors[name] for name in frozen)
    return sum(tensors.values()) - num_frozen, num_frozen


def _is_finer(prefix: str, tensors: Tensors) -> bool:
    """Whether a prefix points at a part of what the table counts as one."""
    whole = any(_matches(name, prefix) for name in tensors)
    return not whole and any(_matches(prefix, name) for name in tensors)


def _check_prefixes(
    slot: str, tensors: Tensors | None, source: str, prefixes: Sequence[str]
) -> None:
    """Refuse a ``freeze_param`` into this slot that matches nothing: it would freeze nothing."""
    if not tensors or source not in ("meta", "file"):
        return
    for prefix in prefixes:
        if _matches(prefix, slot) and not any(_matches(name, prefix) for name in tensors):
            parts = sorted({".".join(name.split(".")[:3]) for name in tensors})
            raise UserError(
                f"freeze_param '{prefix}' matches no parameter of {slot}. "
                f"There are {', '.join(parts[:8])}{' ...' if len(parts) > 8 else ''}."
            )
