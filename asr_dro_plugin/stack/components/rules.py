"""How components change the number of frames, and how far they see: the forms that rules take."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Frames = Any  # (N,) of int64, one an utterance
Rule = Callable[[Frames], Frames]
Layers = Sequence[tuple[int, ...]]  # (kernel, stride) or (kernel, stride, dilation), in order

ATTENTION, RECURRENCE = "attention", "recurrence in both directions"
PAST = "recurrence, all before the frame"
STATISTICS = "mean and variance of the utterance"
GROUP_NORM = "group norm over the utterance"


@dataclass(frozen=True)
class Step:
    """One slot's effect on the frame count.

    Attributes:
        name: the slot and its component.
        stride: input frames a frame.
        rule: frames in, frames out.
        doubt: why there may be fewer frames than the rule says; else empty.
    """

    name: str
    stride: int
    rule: Rule
    doubt: str = ""


@dataclass(frozen=True)
class View:
    """What one component's output frame depends on.

    Attributes:
        layers: its convolutions.
        statistics: of the whole utterance, behind or between the convolutions.
        mixing: what lets a frame see all others, behind the convolutions.
    """

    layers: Layers = ()
    statistics: str = ""
    mixing: str = ""


def unchanged(name: str) -> Step:
    """As many frames as come in."""
    return Step(name, 1, lambda frames: frames)


def convolutions(name: str, layers: Layers, doubt: str = "") -> Step:
    """A stack of unpadded convolutions: each gives floor((L - kernel) / stride) + 1."""

    def rule(frames: Frames) -> Frames:
        for kernel, stride in layers:
            frames = ((frames - kernel) // stride + 1).clip(0)
        return frames

    return Step(name, math.prod(stride for _, stride in layers), rule, doubt)


def ceilings(name: str, strides: Sequence[int]) -> Step:
    """Padded strided layers: each gives ceil(L / stride)."""

    def rule(frames: Frames) -> Frames:
        for stride in strides:
            frames = -(-frames // stride)
        return frames

    return Step(name, math.prod(strides), rule)
