"""How many frames CTC sees for an utterance of so many samples, without building a model."""

import bisect
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.stack.chosen import chosen
from asr_dro_plugin.stack.components.rules import Step

SLOTS_WITH_FRAMES = ("frontend", "encoder", "postencoder")


@dataclass(frozen=True)
class FrameCounter:
    """Frames at CTC for audio at 16 kHz: a chain of steps, one for each slot that matters.

    ``exact`` is False where a component's rule is not known: then the count is an upper bound and
    ``frame_shift`` a lower one, so that nothing is called too short that is not.
    """

    steps: tuple[Step, ...]
    exact: bool = True

    @property
    def frame_shift(self) -> float:
        """Seconds from one frame to the next."""
        return math.prod(step.stride for step in self.steps) / SAMPLE_RATE

    @property
    def blame(self) -> str:
        """The step that makes frames long, e.g. ``encoder conv_ctc (stride 4 on 10 ms frames)``."""
        *before, last = [step for step in self.steps if step.stride > 1] or self.steps
        shift = 1000 * math.prod(step.stride for step in before) / SAMPLE_RATE
        if not before:
            return f"{last.name} (a frame each {1000 * last.stride / SAMPLE_RATE:g} ms)"
        return f"{last.name} (stride {last.stride} on {shift:g} ms frames)"

    def num_frames(self, num_samples):
        """Frames of audio of ``num_samples`` at 16 kHz: an int for an int, else an int64 array.

        0 stands for audio that is too short for the stack, which ESPnet refuses or crashes on.
        """
        frames = np.asarray(num_samples, dtype=np.int64)
        for step in self.steps:
            frames = np.maximum(step.rule(frames), 0)
        return int(frames) if np.ndim(num_samples) == 0 else frames

    @cached_property
    def min_samples(self) -> int:
        """The fewest samples that give a frame; no fewer than one."""
        most = 1
        while not self.num_frames(most):
            most *= 2
        return bisect.bisect_left(range(1, most + 1), 1, key=self.num_frames) + 1


def frame_counter(config: Mapping) -> FrameCounter:
    """The counter of a stack.

    Raises:
        UserError: an ``input_layer`` that the encoder does not have.
    """
    steps, unknown = [], []
    for part in filter(None, (chosen(config, slot) for slot in SLOTS_WITH_FRAMES)):
        step = part.step
        if step is not None:
            steps.append(step)
        if step is None or step.doubt:
            unknown.append(f"{part.label} {step.doubt}" if step else part.label)
    for name in unknown:
        logging.warning("The frame rule of %s is not known: alignment is checked loosely.", name)
    return FrameCounter(tuple(steps), exact=not unknown)
