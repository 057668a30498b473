"""Stage 3: dump a data directory as 16 kHz mono FLAC archives, part by part, then merge."""

import logging

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.arguments import Parser, fraction
from asr_dro_plugin.errors import UserError, run_main


def get_parser() -> Parser:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--data_dir", required=True, help="Kaldi data directory of stage 1 or 2")
    add("--out_dir", required=True, help="the dump; its path goes into wav.scp as given")
    add("--feats_type", choices=["raw", "raw_copy"], default="raw",
        help="raw: FLAC archives; raw_copy: plain files stay in place")  # fmt: skip
    add("--fs", type=int, default=SAMPLE_RATE, help="sample rate of the dump in Hz")
    parser.add_switch("--allow_pipes", "whether wav.scp may run commands")
    add("--num_parts", type=int, default=1, help="number of parts of the dump")
    add("--part", type=int, default=0, help="dump this part, 1..num_parts; 0: all, then merge")
    parser.add_switch("--merge", "make the tables from the finished parts")
    add("--max_drop", type=fraction, default=0.05, help="largest share of a language to leave out")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Dump one part, merge, or do all of it."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    if not 0 <= args.part <= args.num_parts:
        raise UserError(f"--part {args.part} is not one of 1..{args.num_parts}, nor 0 for all.")
    from asr_dro_plugin.data.dump import DumpSettings, dump_part, merge

    settings = DumpSettings(
        args.data_dir, args.out_dir, args.feats_type, args.fs, args.allow_pipes, args.num_parts
    )
    if args.part or not args.merge:
        for part in [args.part] if args.part else range(1, args.num_parts + 1):
            dump_part(settings, part)
    if args.merge or not args.part:
        merge(settings, args.max_drop)


if __name__ == "__main__":
    run_main(main)
