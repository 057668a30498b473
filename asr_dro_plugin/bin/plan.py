"""``asr-dro plan``: what a configuration builds, before anything is read, downloaded or trained."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from asr_dro_plugin.config_files import join_asr_args, overrides_from_arguments
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.frame_rules import SAMPLE_RATE
from asr_dro_plugin.kaldi_io import read_table
from asr_dro_plugin.stack import (
    FrameCounter,
    Slot,
    check_config,
    describe,
    frame_counter,
    load_config,
)
from asr_dro_plugin.stack_rules import ctc_weight_of, loss_of
from asr_dro_plugin.stack_table import (
    describe_frame_shift,
    describe_loss,
    fact_line,
    stack_lines,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the stack of a configuration as a table or as JSON."""
    args = _parser().parse_args(join_asr_args(argv))
    overrides = overrides_from_arguments(args.asr_args)
    if args.ssl_checkpoint:
        overrides.append(f"ssl_checkpoint={json.dumps(args.ssl_checkpoint)}")
    config = load_config(args.config, overrides)
    check_config(config, args.config)
    try:
        slots = describe(config, count_tokens(args.token_list))
        counter = frame_counter(config)
    except UserError as error:
        raise UserError(f"{args.config}: {error}") from None
    batches = plan_first_epoch(config, Path(args.stats_dir), counter) if args.stats_dir else None
    if args.json:
        found = _as_dict(config, slots, counter) | {"batches": batches and asdict(batches)}
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        print(render(args.config, config, slots, counter))
        if args.stats_dir:
            print(render_batches(batches, config, args.stats_dir))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="asr-dro plan", description=__doc__, allow_abbrev=False)
    parser.add_argument("--config", required=True, help="training configuration (YAML)")
    parser.add_argument("--token_list", help="tokens.txt; without it the vocabulary size is '?'")
    parser.add_argument("--ssl_checkpoint", help="in place of the configuration's")
    parser.add_argument("--stats_dir", help="folder of stage 10: its lengths tell the batches")
    parser.add_argument("--asr_args", default="", help="ESPnet options on top of the configuration")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


def count_tokens(path: str | None) -> int | None:
    """Vocabulary size V; None where the token list is not made yet."""
    if not path or not Path(path).is_file():
        return None
    return len(Path(path).read_text(encoding="utf-8").splitlines())


def render(where: str, config: Mapping, slots: Sequence[Slot], counter: FrameCounter) -> str:
    """The plan as text: one row a slot, the total, the loss and the frame shift."""
    lines = [
        *stack_lines(slots),
        fact_line("loss", describe_loss(config)),
        fact_line("frame shift", describe_frame_shift(counter)),
    ]
    return "\n".join([f"Stack of {where}", *(f"  {line}" for line in lines)])


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
    import numpy as np

    from asr_dro_plugin.samplers import build_sampler, describe_plan

    utt_ids, samples, group_ids = read_lengths(stats_dir / "train")
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
        raise UserError(
            f"{folder} holds what is no number ({error}). Run stage 10 again."
        ) from None
    if not kept:
        raise UserError(f"{path} names no utterance with samples and a group. Run stage 10 again.")
    return kept, [samples[utt_id] for utt_id in kept], group_ids


def render_batches(found: PlannedBatches | None, config: Mapping, stats_dir: str) -> str:
    """The batches as one or two lines below the stack."""
    if found is None:
        return f"  longest      batch not known before stage 10 has measured {stats_dir}"
    size = (
        f"{found.seconds:.1f} s and {found.frames:,} frames with padding "
        f"(longest: {found.first}, {found.longest_seconds:.1f} s)"
    )
    if found.is_planned:
        return (
            f"  longest      batch of {found.num_utterances} utterances: {size}\n"
            f"  epoch 1      by {config['sampler']}: {found.plan}"
        )
    kind = config.get("batch_type", "folded")
    return f"  longest      utterance: {size}; the batches are ESPnet's (batch_type: {kind})"


def _as_dict(config: Mapping, slots: Sequence[Slot], counter: FrameCounter) -> dict:
    return {
        "slots": [asdict(slot) for slot in slots],
        "loss": loss_of(config),
        "ctc_weight": ctc_weight_of(config),
        "frame_shift": counter.frame_shift,
        "frame_shift_exact": counter.exact,
        "frame_shift_from": counter.blame,
    }


if __name__ == "__main__":
    run_main(main)
