"""Times of a given transcript's words in its audio, and how well each transcript fits.

The score of an utterance is the mean over its tokens of the model's log probabilities: 0 is
certain, and low ones are worth a look (a wrong transcript, speech cut off).
"""

import argparse
import contextlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser, boolean
from asr_dro_plugin.base.devices import device_of
from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import read_lines, read_table, write_table
from asr_dro_plugin.base.quiet_terminal import quiet_import
from asr_dro_plugin.errors import SomeLeftOut, UserError, run_main
from asr_dro_plugin.experiment.model_files import read_experiment_config
from asr_dro_plugin.text.normalizers import KINDS, get_normalizer

MAX_LISTED = 10
EPILOG = """Uses:
  asr-dro align talk.wav talk.txt --exp exp/asr_X --lang eng --text_norm lower_no_punct
  asr-dro align --data_dir dump/raw/test --exp exp/asr_X --out aligned
        aligned/ctm (words with times), scores, left_out

Exit code: 0 done, 1 bad input, 2 a wrong option, 3 done but for what is listed.
"""
LANGUAGE_CODE = re.compile("[a-z]{3}")


def get_parser() -> Parser:
    """Options of the command."""
    parser = Parser(prog="asr-dro align", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("pair", nargs="*", metavar="AUDIO TEXTFILE", help="a recording and the text of all of it")
    add("--data_dir", help="instead: a data directory with wav.scp and text")
    add("--out", help="folder for the output (default: the terminal)")
    add("--format", choices=["ctm", "json"], default="ctm", help="ctm: words; json: words and "
        "characters, one utterance a line (default: ctm)")  # fmt: skip
    add("--low_score", type=float, default=-2.0, help="list scores below this (default: -2)")
    add("--strict", type=boolean, default=False, metavar="true|false",
        help="stop at the first utterance that cannot be "
        "aligned (default: false)")  # fmt: skip
    add_model_options(parser, required=True)
    return parser


def add_model_options(parser: argparse.ArgumentParser, required: bool) -> None:
    """The model, and how a text is brought into the form of its training text."""
    add = parser.add_argument
    add("--exp", required=required, help="trained experiment")
    add("--model_file", help="its model file (default: the average by its best_model_criterion)")
    add("--text_norm", default="none", help=f"what the text goes through: {KINDS} "
        "(default: none)")  # fmt: skip
    add("--lang", type=language_code, default="", metavar="CODE",
        help="language (ISO 639-3) of a text without a tag")  # fmt: skip
    add("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")


def language_code(word: str) -> str:
    """A code as the tags have it; empty for none."""
    if word and not LANGUAGE_CODE.fullmatch(word):
        raise argparse.ArgumentTypeError(f"'{word}' is no ISO 639-3 code, such as eng")
    return word


def main(argv: list[str] | None = None) -> int:
    """Align, list what could not be; exit 3 if there was any."""
    args = get_parser().parse_args(argv)
    check_usage(args)
    texts, locations = read_texts(args), find_locations(args)
    aligner = load(args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about itself
        scores, faults = write(args, aligned(args, locations, texts, aligner))
    report_low(scores, args.low_score)
    if faults:
        where = f", see {args.out}/left_out" if args.out else ", see above"
        total = len(texts.keys() | {location.utt_id for location in locations})
        raise SomeLeftOut(f"{faults} of {total} utterances are not aligned{where}.")
    return 0


def check_usage(args: argparse.Namespace) -> None:
    """Either a data directory, or a recording and its text."""
    if bool(args.data_dir) == bool(args.pair) or len(args.pair) not in (0, 2):
        raise UserError("Give --data_dir DIR, or one AUDIO and one TEXTFILE.")
    for path in args.pair:
        if not Path(path).is_file():
            raise UserError(f"{path} does not exist. Give a recording, and a file with its text.")


def read_texts(args: argparse.Namespace) -> dict[str, str]:
    """utt_id -> text; a text file is one text, its lines joined."""
    if args.data_dir:
        return read_table(Path(args.data_dir) / "text")
    return {args.pair[0]: " ".join(read_lines(args.pair[1]))}


def find_locations(args: argparse.Namespace) -> list:
    """Where the utterances' sound is, in the order of their ids."""
    from asr_dro_plugin.audio.read_ahead import Location
    from asr_dro_plugin.data.wav_scp import read_items

    if not args.data_dir:
        return [Location(args.pair[0], args.pair[0])]
    items = read_items(args.data_dir, allow_pipes=False, need_text=False)
    if changed := [item.utt_id for item in items if item.speed != 1]:
        raise UserError(
            f"{args.data_dir}/utt2speed changes the speed of {changed[0]}. Align the directory "
            "from which it was made."
        )
    return [Location(each.utt_id, each.path, each.start, each.end) for each in items]


def load(args: argparse.Namespace):
    """The experiment as an ``Aligner``, without a word on the terminal."""
    get_normalizer(args.text_norm)
    device = device_of(args.ngpu)  # before ten seconds of imports
    read_experiment_config(args.exp, tokenizer=True)
    with quiet_import():
        import asr_dro_plugin.espnet  # noqa: F401  registers our classes
        from asr_dro_plugin.espnet.decode.alignment import load_aligner

        aligner = load_aligner(args.exp, args.model_file, device, args.text_norm)
    tags = aligner.texts.tags
    if args.lang and tags and f"[{args.lang}]" not in tags:
        known = " ".join(sorted(tags))
        print(f"WARNING: the model has no [{args.lang}], only {known}.", file=sys.stderr)
    return aligner


def aligned(
    args: argparse.Namespace, locations: list, texts: dict[str, str], aligner: Callable
) -> Iterator:
    """A transcript with words for each location; one that cannot be aligned has its fault."""
    from asr_dro_plugin.audio.read_ahead import read_ahead
    from asr_dro_plugin.base.progress import Progress
    from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript

    both = [location for location in locations if location.utt_id in texts]
    for name, fault in alone(locations, texts).items():
        if args.strict:
            raise UserError(f"{name}: {fault}")
        yield Transcript(name, (Hypothesis(texts.get(name, ""), 0.0),), fault=fault)
    with Progress(len(both), "align") as bar:
        for [utterance] in read_ahead([location] for location in both):
            name, text = utterance.utt_id, texts[utterance.utt_id]
            best, fault = Hypothesis(text, 0.0), ""
            try:
                found = aligner(utterance, text, args.lang)
                best = Hypothesis(text, found.score, None, None, found.words, found.chars)
            except UserError as error:
                if args.strict:
                    raise UserError(f"{name}: {error}") from None
                fault = str(error)
            yield Transcript(name, (best,), duration=utterance.duration or None, fault=fault)
            bar.advance()


def alone(locations: list, texts: dict[str, str]) -> dict[str, str]:
    """utt_id -> fault, of what has a text without audio or audio without a text."""
    heard = {location.utt_id for location in locations}
    silent = {utt_id: "It has a text, but no audio." for utt_id in texts if utt_id not in heard}
    unknown = {u: "It has audio, but no text." for u in sorted(heard) if u not in texts}
    return silent | unknown


def write(args: argparse.Namespace, results: Iterator) -> tuple[dict[str, float], int]:
    """Write each result as it comes, name some faults on stderr; scores, number of faults."""
    from asr_dro_plugin.transcripts.files import ctm_lines
    from asr_dro_plugin.transcripts.transcript import to_json

    name = {"ctm": "ctm", "json": "align.jsonl"}[args.format]
    scores: dict[str, float] = {}
    left_out: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        path = Path(args.out or "") / name
        stream = stack.enter_context(atomic_write(path)) if args.out else sys.stdout
        for result in results:
            stream.write(ctm_lines(result) if args.format == "ctm" else to_json(result) + "\n")
            if result.fault:
                left_out[result.utt_id] = result.fault
            else:
                scores[result.utt_id] = result.best.score
    if args.out:
        write_table(Path(args.out) / "scores", {u: f"{score:.4f}" for u, score in scores.items()})
        write_table(Path(args.out) / "left_out", left_out)
    list_some([f"{utt_id}: {fault}" for utt_id, fault in left_out.items()])
    return scores, len(left_out)


def report_low(scores: dict[str, float], limit: float) -> None:
    """Name the utterances whose text fits worst."""
    low = sorted((score, utt_id) for utt_id, score in scores.items() if score < limit)
    list_some([f"{utt_id} fits badly: score {score:.2f}" for score, utt_id in low])


def list_some(lines: list[str]) -> None:
    """Print lines on stderr, and of many how many more there are."""
    more = [f"... and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    print(*lines[:MAX_LISTED], *more, sep="\n", end="\n" if lines else "", file=sys.stderr)


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
