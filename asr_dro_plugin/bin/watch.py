"""A training run, live on the terminal until it is over (or Ctrl-C); it reads files only."""

import argparse
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import run_main


def main(argv: list[str] | None = None) -> int:
    """Show the run until it is over or interrupted."""
    args = _parser().parse_args(argv)
    from asr_dro_plugin.reporting.terminal.watch import watch

    return watch(args.exp, once=args.once, interval=args.interval)


def _parser() -> Parser:
    epilog = "Uses:\n  asr-dro watch exp/asr_train_X\n"
    parser = Parser(prog="asr-dro watch", description=__doc__, epilog=epilog)
    add = parser.add_argument
    add("exp", type=Path, help="folder of the training, exp/asr_train_...")
    add("--once", action="store_true", help="one page with all languages, then done")
    add("--interval", type=_seconds, default=2.0, help="seconds between looks")
    return parser


def _seconds(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"'{word}' is not a number of seconds from 0.1 to 3600")
    return value


if __name__ == "__main__":
    run_main(main)
