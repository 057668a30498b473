"""``asr-dro plan``: what a configuration builds, before anything is read, downloaded or trained."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.preflight.first_epoch import PlannedBatches, plan_first_epoch
from asr_dro_plugin.stack.check import check_config
from asr_dro_plugin.stack.combinations import ctc_weight_of, loss_of
from asr_dro_plugin.stack.frames import FrameCounter, frame_counter
from asr_dro_plugin.stack.overrides import join_asr_args, overrides_from_arguments
from asr_dro_plugin.stack.summary import Slot, describe
from asr_dro_plugin.stack.table import describe_frame_shift, describe_loss, fact_line, stack_lines


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
