"""Write RESULTS.md and one HTML page of experiments: who fails, how sure, what to try next."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import SomeLeftOut, UserError, run_main

EPILOG = """Uses:
  asr-dro report exp/asr_X                              exp/asr_X/RESULTS.md and report.html
  asr-dro report exp/asr_A exp/asr_B --out report.html  B against A, significant changes marked
The page needs nothing else: no network, no other file. Mail it, open it on a phone.
Several decodings of one experiment (greedy, beam, lm) are compared with each other as well.

What is missing is named on the page, with how to get it.
Exit code: 0 done, 1 bad input, 2 a wrong option, 3 done but for damaged files, which are named.
"""
MAX_NAMED = 3
HEAD = b"<!DOCTYPE html>"


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro report", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("exp", nargs="+", metavar="EXP", help="experiments; the first is the base")
    add = parser.add_argument_group("what is shown").add_argument
    add("--set", metavar="NAME", help="set shown in full (default: the first test set)")
    add("--inference_tag", metavar="TAG", help="this decoding only (default: all)")
    add("--dump", metavar="DIR", help="folder of the data sets (default: where training read them)")
    add("--audio", type=_count, metavar="N",
        help="worst utterances with sound, 0 for none (default: all that are shown)")  # fmt: skip
    output = parser.add_argument_group("what is written")
    output.add_argument("--out", metavar="FILE", help="the page (default of one: EXP/report.html)")
    output.add_switch("--results", "write EXP/RESULTS.md too", default=True)
    output.add_switch("--strict", "fail before writing where a file is damaged")
    return parser


def _count(word: str) -> int:
    if not word.isdecimal():
        raise argparse.ArgumentTypeError(f"'{word}' is no number of utterances")
    return int(word)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files and say where they are; the exit code."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if len(args.exp) > 1 and not args.out:
        parser.error("several experiments need --out FILE, the page that shows them all")
    from asr_dro_plugin.base.files import write_text
    from asr_dro_plugin.reporting.page.build import collect, page
    from asr_dro_plugin.reporting.read.experiment import faults_of, open_experiments
    from asr_dro_plugin.reporting.words import plural

    experiments = open_experiments(args.exp, args.dump)
    material = collect(experiments, args.set, args.inference_tag, args.audio)
    content = page(material)
    faults = faults_of(experiments)
    if faults and args.strict:
        raise UserError(f"{faults[0]} (--strict: nothing was written)")
    out = Path(args.out) if args.out else experiments[0].path / "report.html"
    if out.is_file() and not out.read_bytes()[: len(HEAD)].startswith(HEAD):
        raise UserError(f"{out} is there already and is no page. Give another --out.")
    write_text(out, content)
    print(f"Wrote {out} ({len(content.encode()) / 1e6:.1f} MB)")
    if args.results:
        _write_results(experiments)
        faults = faults_of(experiments)
    if faults:
        listed = " ".join(faults[:MAX_NAMED])
        more = f" All are on the page {out}." if len(faults) > MAX_NAMED else ""
        count = plural(len(faults), "file")
        raise SomeLeftOut(f"{count} could not be used and left out: {listed}{more}")
    return 0


def _write_results(experiments: Sequence) -> None:
    from asr_dro_plugin.reporting.results_md import write_results

    for experiment in experiments:
        if not experiment.decodings:
            print(f"{experiment.path} has no score yet, so no RESULTS.md. Run stages 12 and 13.")
            continue
        reports = {(each.tag, each.set_name): each.report for each in experiment.decodings}
        path = experiment.attempt(lambda e=experiment, r=reports: write_results(e.path, r))
        print(f"Wrote {path}" if path else f"{experiment.path}/RESULTS.md stays as it was.")


if __name__ == "__main__":
    run_main(main)
