"""Score one set, collect an experiment's scores, or compare experiments."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from asr_dro_plugin.errors import UserError, run_main, suggestion
from asr_dro_plugin.kaldi_io import read_table
from asr_dro_plugin.options import boolean

EPILOG = """Three uses:
  --ref dump/raw/test_prompts/text --hyp exp/asr_X/decode_Y/test_prompts/text
        print one set's table (and write --json): CER, WER, LID per language, macro, worst, total
  --ref dump/raw/test_prompts/text --hyp exp/asr_X/decode_Y/test_prompts/text --partial
        the same of a decoding that is under way or was killed: what is there so far, printed only
  --results exp/asr_X
        collect exp/asr_X/<inference_tag>/<set>/score.json into exp/asr_X/RESULTS.md
  --spread exp/asr_seed1 exp/asr_seed2 exp/asr_seed3 --set test_prompts
        print mean and spread of one set over experiments

Exit code: 0 done, 1 bad input (or --strict true and ids do not match), 2 a wrong option.
"""
RATE = 16000  # Hz, of utt2num_samples
RUN_OPTIONS = ("asr_config", "inference_config", "model_file", "git_commit")


def get_parser() -> argparse.ArgumentParser:
    """All options of the command."""
    parser = argparse.ArgumentParser(
        prog="score", description=__doc__, epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    use = parser.add_argument_group("which use (one of these)").add_mutually_exclusive_group()
    use.add_argument("--ref", metavar="TEXT", help="reference transcripts, Kaldi's text")
    use.add_argument("--results", metavar="EXP", help="experiment to write RESULTS.md for")
    use.add_argument("--spread", metavar="EXP", nargs="+", help="experiments to compare")
    one = parser.add_argument_group("one set (with --ref)")
    one.add_argument("--hyp", metavar="TEXT", help="recognised text, same format")
    one.add_argument("--utt2lang", help="language of each utterance (default: beside --ref)")
    one.add_argument(
        "--utt2dur", help="its seconds (default: utt2dur or utt2num_samples beside --ref)"
    )
    one.add_argument(
        "--text_norm", "--normalizer", default="lower_no_punct",
        help="what is done to both texts: none, nfc, lower_no_punct … (default: %(default)s)",
    )  # fmt: skip
    one.add_argument("--json", metavar="FILE", help="write the score here")
    one.add_argument(
        "--strict", type=boolean, default=False, metavar="true|false",
        help="fail where ids are missing or extra, after the table (default: false)",
    )  # fmt: skip
    one.add_argument(
        "--partial", type=boolean, nargs="?", const=True, default=False, metavar="true|false",
        help="score what a decoding has written so far, in parts/ beside --hyp (default: false)",
    )  # fmt: skip
    for name in RUN_OPTIONS:
        one.add_argument(f"--{name}", metavar="…", help="noted in the score, shown in RESULTS.md")
    parser.add_argument("--name", "--set", help="set's name (default: folder of --ref)")
    parser.add_argument("--inference_tag", help="with --spread: which decoding, if several")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Do one of the three uses; the exit code."""
    parser = get_parser()
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        word = unknown[0].split("=")[0]
        parser.error(f"unknown option {word}.{suggestion(word, parser._option_string_actions)}")
    if args.results:
        return write_results(args.results)
    if args.spread:
        return print_spread(args)
    if not (args.ref and args.hyp):
        parser.error("give --ref and --hyp, or --results, or --spread; see --help")
    return score_set(args)


def score_set(args: argparse.Namespace) -> int:
    """Print one set's table and write its score; 1 where ``--strict`` finds ids that differ."""
    from asr_dro_plugin.scoring import error_rates, report, table

    folder = Path(args.ref).absolute().parent
    languages = read_table(args.utt2lang or folder / "utt2lang", allow_empty_value=False)
    references, hypotheses = _texts(args)
    score = error_rates.score(
        references, hypotheses, languages, args.text_norm, _durations(args, folder)
    )
    run = {name: getattr(args, name) for name in RUN_OPTIONS}
    run["model_file"] = _followed(args.model_file)
    found = report.build_report(score, args.name or folder.name, run)
    if args.json:
        report.write_report(args.json, found)
    print(table.text_table(found))
    if args.strict and (score.missing or score.extra):
        raise UserError(
            f"{args.hyp} lacks {len(score.missing)} and adds {len(score.extra)} utterances "
            f"against {args.ref}. Decode the set again, or give --strict false."
        )
    return 0


def _texts(args: argparse.Namespace) -> tuple[dict[str, str], dict[str, str]]:
    """References and hypotheses; with ``--partial`` those of the utterances decoded so far."""
    references = read_table(args.ref)
    if not args.partial:
        return references, read_table(args.hyp)
    from asr_dro_plugin.hypotheses import read_so_far

    if args.json:
        raise UserError("--partial prints a score that is not final. Leave --json away.")
    parts = Path(args.hyp).parent / "parts"
    hypotheses = read_so_far(parts) or (read_table(args.hyp) if Path(args.hyp).exists() else {})
    so_far = {utt_id: text for utt_id, text in references.items() if utt_id in hypotheses}
    if not so_far:
        raise UserError(
            f"{parts} holds none of the {len(references)} hypotheses yet. Run stage 12."
        )
    print(
        f"Partial: {len(so_far)} of {len(references)} utterances are decoded, the longest of each "
        "part first.\n"
    )
    return so_far, hypotheses


def write_results(exp: str) -> int:
    """Write ``RESULTS.md`` and say where it is."""
    from asr_dro_plugin.scoring import results_md

    print(f"Wrote {results_md.write_results(exp)}")
    return 0


def print_spread(args: argparse.Namespace) -> int:
    """Print mean and spread of one set over experiments."""
    from asr_dro_plugin.scoring import results_md, spread

    if not args.name:
        raise UserError("--spread needs the set's name. Add for example --set test_prompts.")
    reports = {}
    for exp in args.spread:
        reports[exp] = _chosen(exp, results_md.find_reports(exp), args.name, args.inference_tag)
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


def _durations(args: argparse.Namespace, folder: Path) -> dict[str, float] | None:
    """Seconds by utterance, from the file named or the one beside the reference, if any."""
    path = Path(args.utt2dur or folder / "utt2dur")
    scale = 1.0
    if not args.utt2dur and not path.exists():
        path, scale = folder / "utt2num_samples", 1.0 / RATE
        if not path.exists():
            return None
    try:
        return {utt_id: float(value) * scale for utt_id, value in read_table(path).items()}
    except ValueError as error:
        raise UserError(f"{path} holds something other than a number ({error}).") from None


def _followed(model_file: str | None) -> str | None:
    """What was really decoded: ``valid.ave.pth -> valid.ave_3best.pth`` where it is a link."""
    if model_file and os.path.islink(model_file):
        return f"{model_file} -> {os.readlink(model_file)}"
    return model_file


if __name__ == "__main__":
    run_main(main)
