"""Build n-gram language models, and measure their perplexity (stages 6-9)."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.overwrite import add_overwrite, refuse_earlier
from asr_dro_plugin.errors import SomeLeftOut, UserError, run_main
from asr_dro_plugin.text.normalizers import KINDS, recorded

EPILOG = """Uses:
  asr-dro lm build --order 3 corpus.txt
        lm/joint/ with lm.arpa.gz, unigrams.txt, lm.json (and lm.bin where build_binary is on PATH)
  asr-dro lm build --groups data/train/utt2lang --per both --out exp/lm data/train/text
        one model of all languages and one of each
  asr-dro lm perplexity exp/lm data/dev/text --groups data/dev/utt2lang
        perplexity and unknown words per language

`build` does what the recipe's stages do one by one: `collect` (6), `estimate` (7), `binary` (9).
A text is plain, one sentence a line, or Kaldi's with an id first (--kaldi true, or by --groups);
gzip or not; a language tag [eng] at its beginning is taken off.

Exit code: 0 done, 1 bad input, 2 a wrong option, 3 done but for what is listed.
"""


EXAMPLES = {
    "build": "asr-dro lm build --order 3 corpus.txt",
    "collect": "asr-dro lm collect data/train/text --out lm_text",
    "estimate": "asr-dro lm estimate lm_text --out lm",
    "perplexity": "asr-dro lm perplexity lm data/dev/text --groups data/dev/utt2lang",
    "binary": "asr-dro lm binary lm",
}


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro lm", description=__doc__, epilog=EPILOG)
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")

    def step(name: str, run: Callable, what: str) -> Parser:
        epilog = f"Uses:\n  {EXAMPLES[name]}\n"
        found = steps.add_parser(name, help=what, description=what, epilog=epilog)
        found.set_defaults(run=run)
        return found

    build = step("build", run_build, "all steps: from text to models")
    collect = step("collect", run_collect, "stage 6: the text of each model, normalised")
    estimate = step("estimate", run_estimate, "stage 7: models of collected texts")
    perplexity = step("perplexity", run_perplexity, "stage 8: perplexity and unknown words")
    binary = step("binary", run_binary, "stage 9: KenLM's binary of each model")
    for one in (build, collect):
        _text_options(one)
        one.add_argument("--per", choices=["joint", "language", "both"], default="joint",
            help="one model of all text, one of each language, or both")  # fmt: skip
        one.add_argument("--text_norm", default="none", help=f"what is done to the text: {KINDS}")
    collect.add_argument("--out", required=True, help="folder that gets the texts")
    estimate.add_argument("text_dir", help="folder that collect wrote")
    for one in (build, estimate):
        one.add_argument("--out", default="lm", help="folder of the models")
        add_overwrite(one)
        _model_options(one)
    for one in (perplexity, binary):
        one.add_argument("lm_dir", metavar="LM", help="folder of models, or one model's file")
    _text_options(perplexity)
    perplexity.add_argument("--text_norm", help="normaliser (default: that of the models)")
    perplexity.add_argument("--json", metavar="FILE", help="write every figure here")
    add_overwrite(perplexity)
    for one in (build, collect, estimate, perplexity):
        one.add_switch("--strict", "fail where something must be left out (default: false, exit "
                       "code 3)")  # fmt: skip
    return parser


def _text_options(parser: Parser) -> None:
    parser.add_argument("text", nargs="+", metavar="TEXT", help="plain or Kaldi's, gzip or not")
    parser.add_argument("--groups", metavar="UTT2LANG", help="language of each utterance id")
    parser.add_switch(
        "--kaldi", "whether an id begins each line (default: true with --groups)", None
    )


def _model_options(parser: Parser) -> None:
    add = parser.add_argument_group("the model").add_argument
    add("--order", type=int, default=3, help="longest n-grams")
    add("--unit", choices=["word", "char"], default="word", help="of n-grams")
    add("--prune", default="0", metavar='"0 0 1"', help="leave out n-grams that occur so often "
        "or less, a number for each order")  # fmt: skip
    add("--estimator", choices=["auto", "builtin", "lmplz"], default="auto",
        help="auto: KenLM's lmplz where it is on PATH, else our own")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Do one step; the exit code."""
    args = get_parser().parse_args(argv)
    if Path(getattr(args, "out", "")).is_file():
        raise UserError(f"--out {args.out} is a file. Name a folder.")
    args.run(args)
    return 0


def run_build(args: argparse.Namespace) -> None:
    """From text to models; every model is whole or absent."""
    from asr_dro_plugin.lm.stages import build_models

    settings, rules = _settings(args), (args.strict, args.overwrite)
    for line in build_models(_sentences(args), args.per, args.out, settings, *rules):
        print(line)


def run_collect(args: argparse.Namespace) -> None:
    """Write the text of each model."""
    from asr_dro_plugin.lm.stages import collect_all, refuse_unknown

    sentences = _sentences(args)
    print(collect_all(sentences, args.per, args.out, args.strict))
    refuse_unknown(sentences)


def run_estimate(args: argparse.Namespace) -> None:
    """Estimate a model of each collected text."""
    from asr_dro_plugin.lm.stages import estimate_all, lines_about, refuse_failed

    made, failed = estimate_all(
        args.text_dir, args.out, _settings(args), strict=args.strict, overwrite=args.overwrite
    )
    print(*lines_about(made, failed), sep="\n")
    refuse_failed(failed, made)


def run_binary(args: argparse.Namespace) -> None:
    """Make KenLM's binary beside each model."""
    from asr_dro_plugin.lm.stages import binaries

    print(binaries(args.lm_dir))


def run_perplexity(args: argparse.Namespace) -> None:
    """Print the table; 3 where a language or an utterance could not be scored."""
    from asr_dro_plugin.base.files import write_json
    from asr_dro_plugin.lm.perplexity import measure, perplexity_table, remarks, text_norm_of
    from asr_dro_plugin.lm.text import sentences_of

    refuse_earlier(filter(None, [args.json]), args.overwrite)
    text_norm = args.text_norm or text_norm_of(args.lm_dir)
    found = measure(args.lm_dir, sentences_of(args.text, text_norm, args.groups, args.kaldi))
    if args.json:
        about = {"text": args.text, "text_norm": recorded(text_norm), **found}
        write_json(args.json, about)
    print(perplexity_table(found))
    if left := remarks(found):
        raise (UserError if args.strict else SomeLeftOut)("; ".join(left))


def _settings(args: argparse.Namespace):
    from asr_dro_plugin.lm.build import LmSettings

    words = args.prune.replace(",", " ").split()
    if not all(word.isdigit() for word in words):
        raise UserError(f'--prune "{args.prune}" is not a list of numbers, as in "0 0 1".')
    return LmSettings(args.order, args.unit, tuple(map(int, words)), args.estimator)


def _sentences(args: argparse.Namespace):
    from asr_dro_plugin.lm.text import sentences_of

    need_language = args.per != "joint"
    return sentences_of(args.text, args.text_norm, args.groups, args.kaldi, need_language)


if __name__ == "__main__":
    run_main(main)
