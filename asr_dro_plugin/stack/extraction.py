"""Can the features of a stack's pretrained model be computed once, and how large will they be?

``--feats_type extracted`` stores hidden states of the frontend's pretrained model, which then must
not learn, and must not hear another waveform in each epoch.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.adapter_settings import uses_adapter
from asr_dro_plugin.stack.chosen import chosen
from asr_dro_plugin.stack.components import Chosen, names_with
from asr_dro_plugin.stack.frames import FrameCounter
from asr_dro_plugin.stack.limits import limits_of
from asr_dro_plugin.stack.names import NO_COMPONENT
from asr_dro_plugin.stack.parameter_names import frozen_updates, matches
from asr_dro_plugin.stack.signatures import signature_of
from asr_dro_plugin.stack.sizes import checkpoint_of

BYTES = 2  # of a float16
RAW = "or give --feats_type raw."
# ESPnet's options that change the waveform in training, and those of its preprocessor.
OF_THE_WAVEFORM = ("rir_scp", "noise_scp", "speech_volume_normalize")
OF_THE_PREPROCESSOR = ("data_aug_effects", "min_sample_size")
# Arguments of frontends that act in training only.
OF_TRAINING = (
    "dropout", "attention_dropout", "activation_dropout", "layerdrop", "mask_time_prob",
    "mask_feature_prob",
)  # fmt: skip


def check_extraction(config: Mapping, where: str) -> None:
    """Refuse a stack whose training from extracted features would not be its own.

    Raises:
        UserError: the first reason, with the remedy.
    """
    for problem in extraction_problems(config):
        raise UserError(f"{where}: --feats_type extracted: {problem}")


def extraction_problems(config: Mapping) -> Iterator[str]:
    """Reasons for which features of a stack cannot be computed once."""
    part = chosen(config, "frontend")
    if part is None or part.facts.num_states is None:
        yield (
            f"{part.label if part else 'frontend none'} has no hidden states to keep. Use a "
            f"frontend of a pretrained model ({', '.join(names_with('num_states', 'frontend'))}), "
            + RAW
        )
        return
    yield from _learning(config, part)
    given = [key for key in OF_THE_WAVEFORM if _is_given(config.get(key))]
    conf = config.get("preprocessor_conf") or {}
    given += [f"preprocessor_conf.{key}" for key in OF_THE_PREPROCESSOR if conf.get(key)]
    if given:
        yield (
            f"{', '.join(given)} would change the waveform, which training does not read then. "
            f"Leave it out, {RAW}"
        )
    given = [f"frontend_conf.{key}" for key in OF_TRAINING if part.conf.get(key)]
    if given:
        yield (
            f"{', '.join(given)} would be ignored, for the pretrained model computes nothing in "
            f"training. Leave it out, {RAW}"
        )


def _learning(config: Mapping, part: Chosen) -> Iterator[str]:
    """A pretrained model that learns, for good or later."""
    network = f"frontend.{part.facts.network}"
    if uses_adapter(config):
        yield f"use_adapter changes the pretrained model in training. Leave it out, {RAW}"
    if updates := frozen_updates(config):
        yield (
            f"the pretrained model learns from update {updates} on (freeze_finetune_updates). Set "
            f"freeze_param: [{network}] instead, {RAW}"
        )
    entries = config.get("freeze_param") or []
    if not any(matches(network, str(entry)) for entry in entries):
        yield (
            f"the pretrained model is not frozen. Set freeze_param: [{network}] (or --asr_args "
            f'"--freeze_param {network}"), {RAW}'
        )


def _is_given(value: object) -> bool:
    return value is not None and str(value).lower() not in NO_COMPONENT


def bytes_a_frame(config: Mapping) -> int | None:
    """Size of a frame's features on the disk; None where only the built model knows."""
    part = chosen(config, "frontend", checkpoint=checkpoint_of(config))
    states, size = part.facts.num_states(part), part.output_size
    return None if states is None or size is None else BYTES * states * size


def frontend_frames(config: Mapping, num_samples: np.ndarray) -> np.ndarray | None:
    """Frames that leave the frontend for (N,) samples; None where its rule is not known."""
    step = chosen(config, "frontend").step
    return None if step is None else FrameCounter((step,)).num_frames(num_samples)


def is_taken(config: Mapping, num_samples: np.ndarray) -> np.ndarray:
    """(N,) whether the pretrained model takes utterances of so many samples.

    The others stage 10 leaves out: longer than the model's window, or too short for a frame.
    """
    frames, limit = frontend_frames(config, num_samples), limits_of(config).max_seconds
    taken = np.ones(len(num_samples), bool) if frames is None else frames > 0
    return taken if limit is None else taken & (num_samples <= limit * SAMPLE_RATE)


def fewer_bytes(config: Mapping) -> str:
    """What makes the features smaller, in words."""
    arguments = signature_of(chosen(config, "frontend").path).parameters
    words = {
        "layers": "fewer frontend_conf.layers", "pool": "a larger frontend_conf.pool",
        "layer": "one frontend_conf.layer instead of all",
    }  # fmt: skip
    return " or ".join(said for key, said in words.items() if key in arguments)
