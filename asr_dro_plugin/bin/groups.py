"""``asr-dro groups``: groups.txt and utt2group of data directories that ESPnet's scripts made.

Each utterance's group is that of utt2category, else of utt2lang.  The recipe of asr-dro does the
same in its stage 10.
"""

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import run_main

EPILOG = """Uses:
  asr-dro groups data/train data/dev
"""


def main(argv: list[str] | None = None) -> int:
    """Write the files, say what the groups are."""
    parser = Parser(prog="asr-dro groups", description=__doc__, epilog=EPILOG)
    parser.add_argument("train_dir", help="training set, for example data/train; gets groups.txt")
    parser.add_argument("valid_dirs", nargs="*", help="validation sets, for example data/dev")
    args = parser.parse_args(argv)
    from asr_dro_plugin.preflight.group_files import write_groups

    groups = write_groups(args.train_dir, args.valid_dirs)
    print(f"{args.train_dir}/groups.txt: {len(groups)} groups: {' '.join(groups.names)}")
    return 0


if __name__ == "__main__":
    run_main(main)
