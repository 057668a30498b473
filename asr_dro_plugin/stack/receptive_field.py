"""How much of an utterance one output frame depends on, from the YAML alone.

Convolutions see a stretch: a kernel k with dilation d, on a signal of which every j-th sample is
left, adds (k - 1) d j samples.  Two things see the whole utterance: statistics over its frames
(mean and variance, a squeeze-and-excitation gate), which the convolutions behind them can still be
counted past; and attention or recurrence, where the counting ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.stack.chosen import chosen, input_size_of

SLOTS_THAT_SEE = ("frontend", "normalize", "preencoder", "encoder", "postencoder")


@dataclass(frozen=True)
class ReceptiveField:
    """What one output frame of a stack depends on.

    Attributes:
        num_samples: at 16 kHz, by the convolutions before the first attention or recurrence; None
            where a component is not known, or where the data hold features.
        whole: components that see the whole utterance, each with what does; none: the receptive
            field is finite.
        ends_at: attention or recurrence, behind which nothing is counted; else empty.
        unknown: components that are not known.
    """

    num_samples: int | None
    whole: tuple[str, ...] = ()
    ends_at: str = ""
    unknown: tuple[str, ...] = ()

    @property
    def is_finite(self) -> bool:
        """Whether ``num_samples`` is all there is."""
        return not self.whole and self.num_samples is not None

    @property
    def seconds(self) -> float | None:
        """``num_samples`` as a duration."""
        return None if self.num_samples is None else self.num_samples / SAMPLE_RATE

    def __str__(self) -> str:
        if self.unknown:
            return f"not known ({', '.join(self.unknown)})"
        words = "not known: the data hold features"
        if self.num_samples is not None:
            seconds = self.seconds
            long = f"{1000 * seconds:g} ms" if seconds < 1 else f"{seconds:.4g} s"
            words = f"{long} ({self.num_samples:,} samples)"
        if not self.whole:
            return words
        rest = f"before the {self.ends_at}" if self.ends_at else "by convolutions alone"
        return f"the whole utterance, through {'; '.join(self.whole)}; {words} {rest}"

    def as_dict(self) -> dict:
        """For programs."""
        return {
            "finite": self.is_finite,
            "seconds": self.seconds if self.is_finite else None,
            "local_samples": self.num_samples,
            "local_seconds": self.seconds,
            "whole_utterance": list(self.whole),
            "unknown": list(self.unknown),
        }


def receptive_field(config: Mapping) -> ReceptiveField:
    """The receptive field of a frame at CTC."""
    samples, jump, whole, unknown, ends_at = 1, 1, [], [], ""
    for part in filter(None, (chosen(config, slot) for slot in SLOTS_THAT_SEE)):
        view = part.view
        if view is None:
            unknown.append(part.label)
            continue
        for kernel, stride, *dilation in () if ends_at else view.layers:
            samples += (kernel - 1) * (dilation or [1])[0] * jump
            jump *= stride
        if words := ", ".join(filter(None, [view.statistics, view.mixing])):
            whole.append(f"{part.label} ({words})")
        if view.mixing and not ends_at:
            ends_at = view.mixing.split(",")[0].split(" in ")[0]
    features = input_size_of(config) not in (None, 1)
    counted = None if unknown or features else samples
    return ReceptiveField(counted, tuple(whole), ends_at, tuple(unknown))
