"""The longest batch of a training's first epoch, before anything is built: what memory it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.samplers import build_sampler
from asr_dro_plugin.samplers.describe import describe_plan
from asr_dro_plugin.stack.frames import FrameCounter


@dataclass(frozen=True)
class PlannedBatches:
    """What of an epoch's batches decides how much memory training needs.

    Attributes:
        num_utterances: of the longest batch; 1 and the longest utterance where ESPnet makes the
            batches, which are known in training only.
        seconds, frames: of it, padding included; frames are those that CTC sees.
        first: its longest utterance, and its longest_seconds.
        is_planned: whether a sampler of ours planned it.
        plan: the sampler's plan in a line; empty where there is none.
    """

    num_utterances: int
    seconds: float
    frames: int
    first: str
    longest_seconds: float
    is_planned: bool
    plan: str


def plan_first_epoch(
    config: Mapping, stats_dir: Path, counter: FrameCounter
) -> PlannedBatches | None:
    """The longest batch of the first epoch, as training plans it; None before stage 10."""
    if not (stats_dir / "train" / "speech_shape").exists():
        return None
    return longest_batch(config, counter, *read_lengths(stats_dir / "train"))


def batch_facts(found: PlannedBatches | None, config: Mapping, stats_dir: Path) -> dict[str, str]:
    """The same in words, by their title."""
    if found is None:
        return {"longest": f"batch not known before stage 10 has measured {stats_dir}"}
    size = (
        f"{found.seconds:.1f} s and {found.frames:,} frames with padding "
        f"(longest: {found.first}, {found.longest_seconds:.1f} s)"
    )
    if found.is_planned:
        return {
            "longest": f"batch of {found.num_utterances} utterances: {size}",
            "epoch 1": f"by {config['sampler']}: {found.plan}",
        }
    kind = config.get("batch_type", "folded")
    return {"longest": f"utterance: {size}; the batches are ESPnet's (batch_type: {kind})"}


def longest_batch(
    config: Mapping,
    counter: FrameCounter,
    utt_ids: Sequence[str],
    samples: Sequence[int],
    group_ids: Sequence[int],
) -> PlannedBatches:
    """The longest batch of the first epoch of so long utterances.

    Args:
        config: a training configuration.
        counter: frames of the stack.
        utt_ids, samples, group_ids: of the N utterances that training takes, in its order.
    """
    durations, plan = np.array(samples) / SAMPLE_RATE, ""
    batches = [np.array([np.argmax(durations)])]
    if is_planned := config.get("iterator_type") == "task":
        sampler = build_sampler(config.get("sampler"), **(config.get("sampler_conf") or {}))
        batches = sampler.plan(durations, group_ids, int(config.get("seed", 0)), epoch=1)
        plan = str(describe_plan(batches, durations, group_ids, sampler.duration))
    longest = max(batches, key=lambda batch: len(batch) * durations[batch].max())
    first = longest[np.argmax(durations[longest])]
    return PlannedBatches(
        len(longest), len(longest) * float(durations[first]),
        len(longest) * counter.num_frames(samples[first]),
        utt_ids[first], float(durations[first]), is_planned, plan,
    )  # fmt: skip


def read_lengths(folder: Path) -> tuple[list[str], list[int], list[int]]:
    """Names, samples and group ids of the utterances that training takes, in its order."""
    path = folder / "speech_shape"
    shapes = read_table(path, allow_empty_value=False)
    groups_file = folder / "utt2group"
    groups = read_table(groups_file) if groups_file.exists() else dict.fromkeys(shapes, "0")
    try:
        samples = {utt_id: int(shape.split(",", 1)[0]) for utt_id, shape in shapes.items()}
        kept = [utt_id for utt_id in samples if samples[utt_id] > 0 and utt_id in groups]
        group_ids = [int(groups[utt_id]) for utt_id in kept]
    except ValueError as error:
        fact = f"{folder} holds what is no number ({error})"
        raise UserError(f"{fact}. Run stage 10 again.") from None
    if min(group_ids, default=0) < 0:
        raise UserError(f"{groups_file} has a group below 0. Run stage 10 again.")
    if not kept:
        raise UserError(f"{path} names no utterance with samples and a group. Run stage 10 again.")
    return kept, [samples[utt_id] for utt_id in kept], group_ids
