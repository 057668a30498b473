"""Stage 4, --feats_type extracted: hidden states of the frozen model, part by part, then merged.

Each set gets a folder of its own: feats.scp, utt2num_frames and extracted.json, which says what
made them.  A part that was stopped goes on where it was; of a changed model, list of layers or
sound all is made anew.  Matrices are (frames, layers x width) in float16, as kaldiio writes numpy
arrays.
"""

import argparse
import logging
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.stack.overrides import join_asr_args

SPARE = 1 << 30  # bytes that stay free


def get_parser() -> Parser:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--config", required=True, help="training configuration, whose frontend is computed")
    add("--asr_args", default="", help="ESPnet options on top of the configuration")
    add("--ssl_checkpoint", help="pretrained model in place of the configuration's")
    add("--data_dirs", nargs="+", required=True, help="filtered sets of stage 4")
    add("--out_dir", required=True, help="gets a folder for each set")
    add("--num_parts", type=int, default=1, help="number of parts of a set")
    add("--part", type=int, default=0, help="make this part, 1..num_parts; 0: all, then merge")
    parser.add_switch("--plan", "only say how much disk is needed, and refuse what has no room")
    parser.add_switch("--merge", "make the tables from the finished parts")
    add("--speeds", default="", help="the factors of speed perturbation, for the plan's words")
    add("--ngpu", type=int, default=0, help="0: the CPU, 1: a GPU")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Plan, make one part of each set, merge, or do all of it."""
    args = get_parser().parse_args(join_asr_args(argv))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    if not 0 <= args.part <= args.num_parts:
        raise UserError(f"--part {args.part} is not one of 1..{args.num_parts}, nor 0 for all.")
    from asr_dro_plugin.base.devices import device_of
    from asr_dro_plugin.stack.check import read_config
    from asr_dro_plugin.stack.extraction import check_extraction

    config = read_config(args.config, args.asr_args, ssl_checkpoint=args.ssl_checkpoint)
    check_extraction(config, args.config)
    device = device_of(min(args.ngpu, 1))
    if args.plan or not (args.part or args.merge):
        refuse_without_room(config, args)
    if args.plan:
        return
    if args.part or not args.merge:
        extract(config, args, device)
    if args.merge or not args.part:
        merge(config, args)


def refuse_without_room(config: Mapping, args: argparse.Namespace) -> None:
    """Say what the features of all sets need, and refuse where the disk has less.

    What is there of them is used again or overwritten.
    """
    import numpy as np

    from asr_dro_plugin.base.kaldi_io import read_table
    from asr_dro_plugin.stack.extraction import (
        bytes_a_frame,
        fewer_bytes,
        frontend_frames,
        is_taken,
    )

    tables = [read_table(Path(each, "utt2num_samples")) for each in args.data_dirs]
    samples = np.array([int(number) for table in tables for number in table.values()])
    samples = samples[is_taken(config, samples)]
    size, frames = bytes_a_frame(config), frontend_frames(config, samples)
    if size is None or frames is None:
        logging.warning("How much disk the features need is not known before they are made.")
        return
    out = Path(args.out_dir)
    there = sum(ark.stat().st_size for ark in out.glob("*/data/*.ark"))
    place = next(each for each in (out, *out.absolute().parents) if each.exists())
    needed, free = size * int(frames.sum()), shutil.disk_usage(place).free
    words = (
        f"The features of {len(samples):,} utterances, {int(frames.sum()):,} frames of {size:,} "
        f"bytes, need {needed / 1e9:.2f} GB in {out}"
    )
    factors = [float(word) for word in args.speeds.replace(",", " ").split()]
    if factors:
        times = sum(1 / factor for factor in factors)
        words += f" (--speed_perturb_factors makes those of the training set {times:.2f} fold)"
    if needed - there + SPARE > free:
        raise UserError(
            f"{words}, and {max(0, free + there - SPARE) / 1e9:.2f} GB can be used there. Take "
            f"{fewer_bytes(config)}, or another disk (--dumpdir)."
        )
    logging.info("%s; %.2f GB are free there.", words, free / 1e9)


def extract(config: Mapping, args: argparse.Namespace, device: str) -> None:
    """One part of each set, or all parts."""
    from asr_dro_plugin.espnet.extract.extraction import build_frontend, extract
    from asr_dro_plugin.espnet.start.extracted import key_of

    frontend = build_frontend(config, device)
    key = key_of(frontend)
    for part in [args.part] if args.part else range(1, args.num_parts + 1):
        for data_dir in args.data_dirs:
            extract(feature_set(config, args, data_dir, key), part, frontend, device)


def merge(config: Mapping, args: argparse.Namespace) -> None:
    """The tables of each set."""
    from asr_dro_plugin.data.feature_store import key_of_parts

    for data_dir in args.data_dirs:
        key = key_of_parts(folder_of(args, data_dir))
        feature_set(config, args, data_dir, key).merge()


def feature_set(config: Mapping, args: argparse.Namespace, data_dir: str, key: Mapping):
    """A set on its way into its folder."""
    from asr_dro_plugin.data.feature_sets import FeatureSet
    from asr_dro_plugin.stack.extraction import is_taken

    out, takes = folder_of(args, data_dir), partial(is_taken, config)
    return FeatureSet(data_dir, out, args.num_parts, key, takes)


def folder_of(args: argparse.Namespace, data_dir: str) -> str:
    """Where the features of a set go."""
    return str(Path(args.out_dir, Path(data_dir).name))


if __name__ == "__main__":
    run_main(main)
