"""``asr-dro preflight``: figures by language before training, and refusal of what cannot work.

Reads tables only.  Exit code 1 where something cannot work, a line each; what is only odd is a
warning.  Stage 10 of the recipe is this command with --write_shapes true: every text is tokenised
once, for the figures and for the files of lengths and groups that training reads.
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser, boolean, fraction
from asr_dro_plugin.errors import run_main
from asr_dro_plugin.stack.overrides import join_asr_args
from asr_dro_plugin.text.tokens import TOKEN_TYPES

EPILOG = """Uses:
  asr-dro preflight --config conf/train_asr_ctc_dro_mini.yaml --train_dir dump/raw/train_X \\
      --valid_dir dump/raw/dev_X --tokens data/token_list/char/tokens.txt
"""


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro preflight", description=__doc__, epilog=EPILOG)
    add = parser.add_argument_group("the stack").add_argument
    add("--config", required=True, help="training configuration: its stack decides the frames")
    add("--override", action="append", default=[], metavar="KEY=VALUE",
        help="change of the configuration")  # fmt: skip
    add("--asr_args", default="", help="ESPnet options on top of the configuration")
    add = parser.add_argument_group("the data").add_argument
    add("--train_dir", required=True, help="filtered training set, for example dump/raw/train")
    add("--valid_dir", required=True, help="filtered validation set")
    add("--test_dirs", nargs="*", default=[], help="filtered test sets; one that is not made yet "
        "is passed over")  # fmt: skip
    add("--features_dir", help="features that training reads in place of audio (stage 4 with "
        "--feats_type extracted): they must be whole")  # fmt: skip
    add = parser.add_argument_group("its tokens").add_argument
    add("--tokens", required=True, help="tokens.txt of stage 5, or a given one")
    add("--token_type", choices=TOKEN_TYPES, default="char", help="kind of token (default: char)")
    add("--bpemodel", help="bpe.model or tokenizer.json of stage 5")
    add("--nlsyms", help="nlsyms.txt of stage 5 (default: the tags of --tokens)")
    add = parser.add_argument_group("what is refused and written").add_argument
    add("--out_dir", help="gets preflight.txt and preflight.json, for example exp/asr_stats_TAG")
    add("--max_drop", type=fraction, default=0.05,
        help="largest share of a language that may be unalignable (default: 0.05)")  # fmt: skip
    add("--write_shapes", type=boolean, default=False, help="whether --out_dir gets "
        "the lengths and groups for training, too")  # fmt: skip
    add("--aux_dir", help="folder of auxiliary targets (stage 5 with --aux_text): --out_dir gets "
        "them as numbers")  # fmt: skip
    add = parser.add_argument_group("going on from a trained model").add_argument
    add("--init_exp", help="experiment to continue from: its tokens must be kept")
    add("--init_groups", help="groups.txt of the model to continue: its groups are kept")
    add("--extend_groups", type=boolean, default=False, help="whether tokens and groups may "
        "be added to it")  # fmt: skip
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, judge, print, write; 1 where training cannot work."""
    parser = get_parser()
    args = parser.parse_args(join_asr_args(argv))
    if args.write_shapes and not args.out_dir:
        parser.error("--write_shapes true needs --out_dir")
    if args.aux_dir and not args.write_shapes:
        parser.error("--aux_dir needs --write_shapes true")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    from asr_dro_plugin.preflight import report
    from asr_dro_plugin.preflight.measure import Ruler
    from asr_dro_plugin.stack.check import read_config
    from asr_dro_plugin.stack.frames import frame_counter
    from asr_dro_plugin.stack.limits import limits_of

    config = read_config(args.config, args.asr_args, args.override)
    tokens, to_ids = _tokens(args, config)
    ruler = Ruler(to_ids, tokens, frame_counter(config), limits_of(config))
    sets, notes = _measure(args, ruler)
    if args.features_dir:
        report.refuse_other_lengths(sets[:2], Path(args.features_dir), config)
    problems = report.continuation_problems(args.tokens, tokens, args.init_exp, args.extend_groups)
    refused = [*problems, *report.problems(sets, ruler, args.max_drop)]
    notes += report.warnings(sets, ruler)
    lines, found = report.conclusion(args.config, config, sets, ruler, notes, refused)
    if args.out_dir:
        report.write(Path(args.out_dir), lines, found)
    print("\n".join(line for line in lines if not line.startswith("ERROR: ")), flush=True)
    for line in refused:
        print(f"ERROR: {line}", file=sys.stderr)
    if args.write_shapes and not refused:
        from asr_dro_plugin.preflight.aux_files import write_aux_ids
        from asr_dro_plugin.preflight.shape_files import write_statistics

        parts, groups = {"train": sets[0], "valid": sets[1]}, _groups(args, sets[0])
        if args.aux_dir:
            write_aux_ids(args.out_dir, args.aux_dir, parts, ruler.frames)
        write_statistics(args.out_dir, parts, ruler, args.token_type, groups, args.max_drop)
    return 1 if refused else 0


def _measure(args: argparse.Namespace, ruler) -> tuple[list, list[str]]:
    """All sets, the training set first, and a note on each test set that is not made yet."""
    from asr_dro_plugin.data.utt_tables import UttTables
    from asr_dro_plugin.preflight.measure import TABLES

    there = [folder for folder in args.test_dirs if Path(folder, "text").exists()]
    folders = {"train": [args.train_dir], "valid": [args.valid_dir], "test": there}
    sets: list = []
    for role, folder in ((role, folder) for role, given in folders.items() for folder in given):
        seen = sets[0].characters if sets else None
        sets.append(ruler.measure(UttTables.read(folder, TABLES), role, seen))
    notes = [
        f"{folder} is not made yet: not looked at. Run stages 3 and 4."
        for folder in args.test_dirs
        if folder not in there
    ]
    return sets, notes


def _groups(args: argparse.Namespace, train):
    from collections import Counter

    from asr_dro_plugin.preflight.shape_files import choose_groups

    categories = Counter(train.data.tables["utt2category"].values())
    return choose_groups(categories, args.init_groups, args.extend_groups)


def _tokens(args: argparse.Namespace, config: Mapping):
    """The list, and text -> ids as training has them."""
    from asr_dro_plugin.base.kaldi_io import read_lines
    from asr_dro_plugin.text import tokens

    listed = tokens.read_tokens(args.tokens)
    nlsyms = read_lines(args.nlsyms) if args.nlsyms else tokens.tags_in(listed)
    language = (config.get("preprocessor_conf") or {}).get("whisper_language")
    tokenizer = tokens.build_tokenizer(args.token_type, nlsyms, args.bpemodel, language)
    return listed, tokens.token_ids(tokenizer, listed)


if __name__ == "__main__":
    run_main(main)
