"""Stage 4: leave out utterances unfit for training or validation, and list unseen characters."""

import logging

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.arguments import Parser, fraction
from asr_dro_plugin.errors import run_main


def get_parser() -> Parser:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--in_dir", required=True, help="dump of stage 3, for example dump/raw/org/train")
    add("--out_dir", required=True, help="where the filtered tables go")
    add("--role", required=True, choices=["train", "valid", "test"],
        help="train, valid: unfit utterances go; test: only what has no sound goes")  # fmt: skip
    add("--min_wav_duration", type=float, default=0.1, help="seconds; this long is kept")
    add("--max_wav_duration", type=float, default=20.0, help="seconds; this long is kept")
    add("--min_num_chars", type=int, default=1, help="characters beside the tag; so many are kept")
    add("--fs", type=int, default=SAMPLE_RATE, help="sample rate of the dump in Hz")
    add("--max_drop", type=fraction, default=0.05, help="largest share of a language to leave out")
    add("--train_dir", help="filtered training set: characters it lacks are listed")
    add("--token_list", help="given tokens.txt: what it lacks is listed, and dropped in train")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Filter one set."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    from asr_dro_plugin.data.filter import FilterLimits, filter_dir

    limits = FilterLimits(args.min_wav_duration, args.max_wav_duration, args.min_num_chars, args.fs)
    dirs = args.in_dir, args.out_dir
    filter_dir(*dirs, args.role, limits, args.max_drop, args.train_dir, args.token_list)


if __name__ == "__main__":
    run_main(main)
