"""Check Kaldi data directories; every problem is printed, and any makes the exit code 1."""

import argparse
import sys

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.data.validate import MAX_PRINTED, Checks, validate
from asr_dro_plugin.errors import run_main

OPTIONS = {
    "allow_empty_text": "let transcripts be empty",
    "allow_pipes": "let wav.scp hold commands, which the recipe will then run",
    "check_audio": "look whether the audio files are there",
}


def get_parser(description: str) -> Parser:
    """The command line that validating and fixing share."""
    parser = Parser(description=description)
    parser.add_argument("directories", nargs="+", metavar="DIR", help="a data directory")
    for name, words in OPTIONS.items():
        parser.add_switch(f"--{name}", words, getattr(Checks(), name))
    return parser


def checks_from(arguments: argparse.Namespace) -> Checks:
    """What the options ask for."""
    return Checks(**{name: getattr(arguments, name) for name in OPTIONS})


def report_on(directory: str, checks: Checks) -> bool:
    """Print what is wrong with one directory; whether it is valid."""
    report = validate(directory, checks)
    for line in report.warnings:
        print(f"WARNING: {line}", file=sys.stderr)
    for line in report.lines(MAX_PRINTED):
        print(f"ERROR: {line}", file=sys.stderr)
    return not report.problems


def main() -> int:
    """Returns 1 when a directory is damaged."""
    arguments = get_parser(__doc__).parse_args()
    checks = checks_from(arguments)
    valid = [report_on(directory, checks) for directory in arguments.directories]
    for directory, good in zip(arguments.directories, valid):
        print(f"{directory} is {'valid' if good else 'DAMAGED'}.")
    return int(not all(valid))


if __name__ == "__main__":
    run_main(main)
