"""Unpack a model that asr-dro pack, or ESPnet, has made; every file is checked first."""

import contextlib
import logging

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import UserError, run_main

EPILOG = """Uses:
  asr-dro unpack model.zip --out model
  asr-dro transcribe talk.mp3 --exp model
"""


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro unpack", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("archive", help="the packed model, a .zip")
    add("--out", required=True, help="the folder to make; it must not be there yet")
    add("--max_gib", type=float, default=32.0, help="refuse what unpacks to more, GiB")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Unpack, and say how to use it."""
    args = get_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    if not args.max_gib > 0:
        raise UserError(f"--max_gib {args.max_gib:g} leaves no room. Give a positive number.")
    from asr_dro_plugin.experiment.model_files import best_model_file
    from asr_dro_plugin.packing.unpack import unpack

    made = unpack(args.archive, args.out, args.max_gib)
    for warning in made.warnings:
        logging.warning(warning)
    choice = f" --model_file {made.model_file}"
    with contextlib.suppress(UserError):  # a configuration of ESPnet's may say what we do not know
        choice = "" if best_model_file(made.exp) == made.model_file else choice
    print(f"{args.out}: {made.name}{', every checksum verified' if made.is_ours else ''}.")
    print(f"Use it: asr-dro transcribe AUDIO --exp {made.exp}{choice}")
    return 0


if __name__ == "__main__":
    run_main(main)
