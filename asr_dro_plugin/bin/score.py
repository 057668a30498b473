"""Score one set, compare two hypotheses, collect an experiment's scores, or compare experiments."""

import argparse
from collections.abc import Callable, Sequence

from asr_dro_plugin.base.arguments import Group, Parser, boolean
from asr_dro_plugin.base.overwrite import add_overwrite
from asr_dro_plugin.errors import UserError, run_main, suggestion
from asr_dro_plugin.text.normalizers import KINDS

EPILOG = """Uses:
  REF HYP
        print one set's table: CER, WER, LID per group, macro, worst, total, 95 % intervals.
        REF and HYP are Kaldi's text, a folder of {id}.txt, JSON lines or trn
        for example: asr-dro score data/test/text exp/asr_X/decode_Y/test/text
  REF HYP --compare HYP2
        the same of both, and which differences are more than chance
  REF HYP --forced HYP3 --train_text exp/asr_X
        why each language fails: parts of its CER that add up to it
  dump/raw/test_prompts/text exp/asr_X/decode_Y/test_prompts/text --partial
        the same of a decoding that is under way or was killed: what is there so far, printed only
  --results exp/asr_X
        collect exp/asr_X/<inference_tag>/<set>/score.json into exp/asr_X/RESULTS.md
  --spread exp/asr_seed1 exp/asr_seed2 exp/asr_seed3 --set test_prompts
        print mean and spread of one set over experiments

Exit code: 0 all scored, 1 bad input (or --strict true and something is missing), 2 a wrong option,
or REF or HYP does not exist, 3 scored, but hypotheses are missing, extra, double or cut, or
references are empty.
"""
RUN_OPTIONS = ("asr_config", "inference_config", "model_file", "git_commit")


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro score", description=__doc__, epilog=EPILOG)
    parser.add_argument("texts", metavar="REF HYP", nargs="*", help="references and hypotheses")
    use = parser.add_argument_group("which use (one of these)").add_mutually_exclusive_group()
    use.add_argument("--ref", "--transcriptions_dir", metavar="REF", help="instead of REF")
    use.add_argument("--results", metavar="EXP", help="experiment to write RESULTS.md for")
    use.add_argument("--spread", metavar="EXP", nargs="+", help="experiments to compare")
    one = parser.add_argument_group("one set")
    one.add_argument("--hyp", "--predictions_dir", metavar="HYP", help="instead of HYP")
    one.add_argument("--compare", metavar="HYP2", help="a second hypothesis, tested against HYP")
    one.add_argument("--forced", metavar="HYP3", help="the same model's, told each one's language: "
        "what naming it costs")  # fmt: skip
    _add_tables(parser.add_argument_group("what is known of the utterances").add_argument)
    _add_output(parser.add_argument_group("what is written"))
    noted = parser.add_argument_group("what is noted in the score and in RESULTS.md")
    for name in RUN_OPTIONS:
        noted.add_argument(f"--{name}", metavar="…", help="of the run")
    one.add_argument("--text_norm", "--normalizer", default="lower_no_punct",
        help=f"what is done to both texts: {KINDS} (default: %(default)s)")  # fmt: skip
    _add_switch(one, "--strict", "exit with 1 where something is missing, extra, double, cut, or "
                "a reference empty (default: false: 3)")  # fmt: skip
    _add_switch(one, "--partial", "score what a decoding has written so far, in parts/ beside "
                "--hyp (default: false)")  # fmt: skip
    parser.add_argument("--name", "--set", help="set's name (default: folder of REF)")
    parser.add_argument("--inference_tag", help="with --spread: which decoding, if several")
    return parser


def _add_switch(group: argparse._ArgumentGroup, name: str, words: str) -> None:
    """``--name`` alone stands for true."""
    group.add_argument(name, type=boolean, nargs="?", const=True, default=False,
        metavar="true|false", help=words)  # fmt: skip


def _add_tables(add: Callable) -> None:
    add("--groups", "--utt2lang", metavar="FILE", help="language (or another group) of each "
        "utterance (default: utt2lang beside REF, else all are one group); none: one "
        "group")  # fmt: skip
    add("--utt2dur", help="its seconds (default: utt2dur or utt2num_samples beside REF)")
    add("--units", "--utt2spk", metavar="FILE", help="its speaker or recording, which the "
        "intervals are drawn by (default: utt2spk beside REF, else utterances); none: "
        "utterances")  # fmt: skip
    add("--languages", metavar="FILE", help="table that says which languages are written without "
        "spaces (default: local/languages.tsv); none: all have spaces")  # fmt: skip
    add("--train_text", metavar="FILE|EXP", help="the model's training text, or the trained "
        "experiment: which characters it never saw")  # fmt: skip
    add("--phoneme_map", metavar="FILE", help="count PER too: lines of symbol, tab, its phonemes; "
        "the longest symbol matches")  # fmt: skip
    add("--format", metavar="FORM[,FORM]", help="kaldi, folder, jsonl or trn, of both or of "
        "REF,HYP (default: by ending and content)")  # fmt: skip


def _add_output(group: Group) -> None:
    add = group.add_argument
    add("--json", metavar="FILE", help="every figure and count")
    add("--utts", metavar="FILE", help="one line an utterance, tabs between")
    add("--alignments", metavar="FILE", help="REF over HYP, as sclite prints them")
    add_overwrite(group)
    _add_switch(group, "--details", "print what is taken for what, characters, words and "
                "languages (default: false)")  # fmt: skip
    add("--best_k", type=int, default=15, metavar="K", help="mean of the K best (default: 15)")


def main(argv: Sequence[str] | None = None) -> int:
    """Do one of the uses; the exit code."""
    parser = get_parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        word = unknown[0].split("=")[0]
        parser.error(f"unknown option {word}.{suggestion(word, parser._option_string_actions)}")
    if args.results:
        from asr_dro_plugin.reporting import results_md

        print(f"Wrote {results_md.write_results(args.results)}")
        return 0
    if args.spread:
        return print_spread(args)
    texts = [*filter(None, [args.ref]), *args.texts, *filter(None, [args.hyp])]
    if len(texts) != 2 or (args.ref and not args.hyp and not args.texts):
        parser.error("give REF and HYP, or --results, or --spread; see --help")
    if args.best_k < 1:
        parser.error("--best_k must be at least 1")
    args.ref, args.hyp = texts
    from asr_dro_plugin.reporting.read.training_text import find_training_text
    from asr_dro_plugin.scoring.scored_set import score_set

    training = find_training_text(args.train_text, args.text_norm) if args.train_text else None
    score_set(args, {name: getattr(args, name) for name in RUN_OPTIONS}, training)
    return 0


def print_spread(args: argparse.Namespace) -> int:
    """Print mean and spread of one set over experiments."""
    from asr_dro_plugin.reporting.read import score_files
    from asr_dro_plugin.scoring import spread

    if not args.name:
        raise UserError("--spread needs the set's name. Add for example --set test_prompts.")
    chosen = (score_files.the_report(exp, args.name, args.inference_tag) for exp in args.spread)
    print(spread.spread_table(dict(zip(args.spread, chosen, strict=True))))
    return 0


if __name__ == "__main__":
    run_main(main)
