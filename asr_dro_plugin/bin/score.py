"""Score one set, compare two hypotheses, collect an experiment's scores, or compare experiments."""

import argparse
import os
from collections.abc import Sequence

from asr_dro_plugin.base.arguments import boolean
from asr_dro_plugin.errors import SomeLeftOut, UserError, run_main, suggestion
from asr_dro_plugin.text.normalizers import KINDS

EPILOG = """Uses:
  REF HYP
        print one set's table: CER, WER, LID per group, macro, worst, total, 95 % intervals.
        REF and HYP are Kaldi's text, a folder of {id}.txt, JSON lines or trn
  REF HYP --compare HYP2
        the same of both, and which differences are more than chance
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
WRITTEN = ("json", "utts", "alignments")


def get_parser() -> argparse.ArgumentParser:
    """All options of the command."""
    parser = argparse.ArgumentParser(
        prog="asr-dro score", description=__doc__, epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("texts", metavar="REF HYP", nargs="*", help="references and hypotheses")
    use = parser.add_argument_group("which use (one of these)").add_mutually_exclusive_group()
    use.add_argument("--ref", "--transcriptions_dir", metavar="REF", help="instead of REF")
    use.add_argument("--results", metavar="EXP", help="experiment to write RESULTS.md for")
    use.add_argument("--spread", metavar="EXP", nargs="+", help="experiments to compare")
    one = parser.add_argument_group("one set")
    one.add_argument("--hyp", "--predictions_dir", metavar="HYP", help="instead of HYP")
    one.add_argument("--compare", metavar="HYP2", help="a second hypothesis, tested against HYP")
    _add_tables(parser.add_argument_group("what is known of the utterances"))
    _add_output(parser.add_argument_group("what is written"))
    one.add_argument(
        "--text_norm", "--normalizer", default="lower_no_punct",
        help=f"what is done to both texts: {KINDS} (default: %(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--strict", type=boolean, nargs="?", const=True, default=False, metavar="true|false",
        help="exit with 1 where something is missing, extra, double, cut, or a reference empty "
        "(default: false: 3)",
    )  # fmt: skip
    one.add_argument(
        "--partial", type=boolean, nargs="?", const=True, default=False, metavar="true|false",
        help="score what a decoding has written so far, in parts/ beside --hyp (default: false)",
    )  # fmt: skip
    parser.add_argument("--name", "--set", help="set's name (default: folder of REF)")
    parser.add_argument("--inference_tag", help="with --spread: which decoding, if several")
    return parser


def _add_tables(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--groups", "--utt2lang", metavar="FILE",
        help="language (or another group) of each utterance (default: utt2lang beside REF, "
        "else all are one group); none: one group",
    )  # fmt: skip
    group.add_argument(
        "--utt2dur", help="its seconds (default: utt2dur or utt2num_samples beside REF)"
    )
    group.add_argument(
        "--units", "--utt2spk", metavar="FILE",
        help="its speaker or recording, which the intervals are drawn by (default: utt2spk "
        "beside REF, else utterances); none: utterances",
    )  # fmt: skip
    group.add_argument(
        "--languages", metavar="FILE",
        help="table that says which languages are written without spaces (default: "
        "local/languages.tsv); none: all have spaces",
    )  # fmt: skip
    group.add_argument(
        "--phoneme_map", metavar="FILE",
        help="count PER too: lines of symbol, tab, its phonemes; the longest symbol matches",
    )  # fmt: skip
    group.add_argument(
        "--format", metavar="FORM[,FORM]",
        help="kaldi, folder, jsonl or trn, of both or of REF,HYP (default: by ending and content)",
    )  # fmt: skip


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--json", metavar="FILE", help="every figure and count")
    group.add_argument("--utts", metavar="FILE", help="one line an utterance, tabs between")
    group.add_argument("--alignments", metavar="FILE", help="REF over HYP, as sclite prints them")
    group.add_argument(
        "--details", type=boolean, nargs="?", const=True, default=False, metavar="true|false",
        help="print what is taken for what, characters, words and languages (default: false)",
    )  # fmt: skip
    group.add_argument(
        "--best_k", type=int, default=15, metavar="K", help="mean of the K best (default: 15)"
    )
    for name in RUN_OPTIONS:
        group.add_argument(f"--{name}", metavar="…", help="noted in the score and in RESULTS.md")


def main(argv: Sequence[str] | None = None) -> int:
    """Do one of the uses; the exit code."""
    parser = get_parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        word = unknown[0].split("=")[0]
        parser.error(f"unknown option {word}.{suggestion(word, parser._option_string_actions)}")
    if args.results:
        return write_results(args.results)
    if args.spread:
        return print_spread(args)
    texts = [*filter(None, [args.ref]), *args.texts, *filter(None, [args.hyp])]
    if len(texts) != 2 or (args.ref and not args.hyp and not args.texts):
        parser.error("give REF and HYP, or --results, or --spread; see --help")
    if args.best_k < 1:
        parser.error("--best_k must be at least 1")
    args.ref, args.hyp = texts
    return score_set(args)


def score_set(args: argparse.Namespace) -> int:
    """Print one set's table and write what is asked for; complain of ids at the end."""
    from asr_dro_plugin.scoring import alignments, details, report, table, utterances
    from asr_dro_plugin.scoring.comparison import compare_scores
    from asr_dro_plugin.scoring.scored_set import ScoredSet

    if args.partial:
        _refuse_to_write(args)
    scored = ScoredSet(args)
    score, damage = scored.score(args.hyp)
    run = {name: getattr(args, name) for name in RUN_OPTIONS}
    run["model_file"] = _followed(args.model_file)
    found = report.build_report(score, scored.name, run, scored.tables.units, damage, args.best_k)
    shown, complaints = [table.text_table(found)], scored.complaints(args.hyp, score, damage)
    if args.details:
        shown.append(details.details_table(found))
    if args.compare:
        other, other_damage = scored.score(args.compare)
        found["comparison"] = compare_scores(score, other, scored.tables.units)
        shown.append(details.comparison_table(found["comparison"]))
        complaints += scored.complaints(args.compare, other, other_damage)
    if args.json:
        report.write_report(args.json, found)
    if args.utts:
        utterances.write_utterances(args.utts, score.utterances, scored.tables.units.of_utt)
    if args.alignments:
        alignments.write_alignments(args.alignments, score.utterances)
    print("\n\n".join(shown))
    if complaints and not args.partial:
        raise (UserError if args.strict else SomeLeftOut)(" ".join(complaints))
    return 0


def _refuse_to_write(args: argparse.Namespace) -> None:
    for name in (*WRITTEN, "compare"):
        if getattr(args, name):
            raise UserError(f"--partial prints a score that is not final. Leave --{name} away.")


def write_results(exp: str) -> int:
    """Write ``RESULTS.md`` and say where it is."""
    from asr_dro_plugin.reporting import results_md

    print(f"Wrote {results_md.write_results(exp)}")
    return 0


def print_spread(args: argparse.Namespace) -> int:
    """Print mean and spread of one set over experiments."""
    from asr_dro_plugin.reporting.read import score_files
    from asr_dro_plugin.scoring import spread

    if not args.name:
        raise UserError("--spread needs the set's name. Add for example --set test_prompts.")
    reports = {}
    for exp in args.spread:
        reports[exp] = _chosen(exp, score_files.find_reports(exp), args.name, args.inference_tag)
    print(spread.spread_table(reports))
    return 0


def _chosen(exp: str, reports: dict, set_name: str, tag: str | None) -> dict:
    """The one report of a set; several decodings without ``--inference_tag`` are an error."""
    tags = [each for each, name in reports if name == set_name and tag in (None, each)]
    if len(tags) == 1:
        return reports[tags[0], set_name]
    there = " ".join(sorted({f"{each}/{name}" for each, name in reports}))
    fact = "several scores" if tags else "no score"
    raise UserError(
        f"{exp} holds {fact} of {set_name} (there are: {there}). Give --set and --inference_tag."
    )


def _followed(model_file: str | None) -> str | None:
    """What was really decoded: ``valid.ave.pth -> valid.ave_3best.pth`` where it is a link."""
    if model_file and os.path.islink(model_file):
        return f"{model_file} -> {os.readlink(model_file)}"
    return model_file


if __name__ == "__main__":
    run_main(main)
