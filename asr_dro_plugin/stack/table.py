"""The stack of a configuration as text: what ``asr-dro info`` prints."""

from collections.abc import Mapping, Sequence

from asr_dro_plugin.base.text_table import aligned
from asr_dro_plugin.stack.combinations import ctc_weight_of, loss_of
from asr_dro_plugin.stack.frames import FrameCounter
from asr_dro_plugin.stack.summary import Slot

# Slots that are always shown; the others where they hold something.
ALWAYS = ("frontend", "preencoder", "encoder", "decoder", "ctc")
HEADER = ("slot", "component", "output size", "trainable", "frozen", "counted from")
SOURCES = {"meta": "module", "table": "from table", "file": "checkpoint", "model": "model file"}


def stack_lines(slots: Sequence[Slot]) -> list[str]:
    """One line a slot below a header, and the total."""
    shown = [slot for slot in slots if slot.name in ALWAYS or slot.component != "none"]
    rows = [HEADER, *map(_row, shown), _total(shown)]
    width = max(len(row[-1]) for row in rows)  # words, where numbers go to the right
    return aligned([(*row[:-1], row[-1].ljust(width)) for row in rows], num_left=2)


def describe_loss(config: Mapping) -> str:
    """The loss and the option that chose it."""
    weight, loss = ctc_weight_of(config), loss_of(config)
    words = {
        "ctc": "CTC",
        "ce": "cross entropy of the decoder",
        "hybrid": f"{weight:g} x CTC + {1 - weight:g} x cross entropy of the decoder",
        "transducer": f"transducer + {weight:g} x CTC",
    }
    return f"{words[loss]} (model_conf.ctc_weight {weight:g})"


def describe_frame_shift(counter: FrameCounter) -> str:
    """Milliseconds from frame to frame and the component that makes them."""
    bound = "" if counter.exact else "at least "
    return f"{bound}{1000 * counter.frame_shift:g} ms: {counter.blame}"


def _row(slot: Slot) -> tuple[str, ...]:
    source = SOURCES.get(slot.source, "")
    note = f"{source}; {slot.note}" if source and slot.note else source or slot.note
    if slot.component == "none":
        return (slot.name, "none", "-", "-", "-", note)
    sizes = (slot.output_size, slot.trainable, slot.frozen)
    numbers = ("?" if size is None else f"{size:,}" for size in sizes)
    return (slot.name, slot.component, *numbers, note)


def _total(slots: Sequence[Slot]) -> tuple[str, ...]:
    """Sums; marked where a slot could not be counted yet."""
    known = [slot for slot in slots if slot.trainable is not None]
    mark = "" if len(known) == len(slots) else " + ?"
    trainable, frozen = (sum(getattr(s, kind) for s in known) for kind in ("trainable", "frozen"))
    return ("total", "", "", f"{trainable:,}{mark}", f"{frozen:,}{mark}", "")
