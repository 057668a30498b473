"""How many frames CTC sees for an utterance of so many samples, without building a model."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.stack.encoder_frames import encoder_step
from asr_dro_plugin.stack.frame_rules import Step, frontend_step, postencoder_step
from asr_dro_plugin.stack.names import component_of
from asr_dro_plugin.stack.sizes import argument, frontend_of


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


def frame_counter(config: Mapping) -> FrameCounter:
    """The counter of a stack.

    Raises:
        UserError: an ``input_layer`` that the encoder does not have.
    """
    steps = [frontend_step(config), encoder_step(config), postencoder_step(config)]
    known = [step for step in steps if step is not None]
    unknown = _unknown_rules(config)
    for slot in unknown:
        logging.warning("The frame rule of %s is not known: alignment is checked loosely.", slot)
    return FrameCounter(tuple(known), exact=not unknown)


def _unknown_rules(config: Mapping) -> list[str]:
    found = []
    for slot, rule in (("frontend", frontend_step), ("encoder", encoder_step)):
        name = frontend_of(config) if slot == "frontend" else component_of(config, slot)
        if name is not None and rule(config) is None and name != "identity":
            found.append(f"{slot} {name}")
    if component_of(config, "encoder") == "conformer" and argument(config, "encoder", "ctc_trim"):
        found.append("encoder conformer with ctc_trim")
    return found
