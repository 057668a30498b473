"""Times of a given transcript's words in its audio, and how well each transcript fits.

The score of an utterance is the mean over its tokens of the model's log probabilities: 0 is
certain, and low ones are worth a look (a wrong transcript, speech cut off).
"""

import argparse
import re
import warnings
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.kaldi_io import read_lines, read_table
from asr_dro_plugin.base.loading import loading
from asr_dro_plugin.base.overwrite import add_overwrite, refuse_earlier
from asr_dro_plugin.base.quiet_terminal import quiet_import
from asr_dro_plugin.decoding.command_line import add_model_options
from asr_dro_plugin.errors import SomeLeftOut, UserError, run_main
from asr_dro_plugin.text.normalizers import KINDS

EPILOG = """Uses:
  asr-dro align talk.wav talk.txt --exp exp/asr_X --lang eng --text_norm lower_no_punct
  asr-dro align --data_dir dump/raw/test --exp exp/asr_X --out aligned
        aligned/ctm (words with times), scores, left_out

Exit code: 0 done, 1 bad input, 2 a wrong option, 3 done but for what is listed.
"""
LANGUAGE_CODE = re.compile("[a-z]{3}")


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro align", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("pair", nargs="*", metavar="AUDIO TEXTFILE", help="a recording and the text of all of it")
    add("--data_dir", help="instead: a data directory with wav.scp and text")
    parser.add_switch("--strict", "stop at the first utterance that cannot be aligned")
    output = parser.add_argument_group("what is written")
    output.add_argument("--out", help="folder for the output (default: the terminal)")
    output.add_argument("--format", choices=["ctm", "json"], default="ctm", help="ctm: words; "
        "json: words and characters, one utterance a line")  # fmt: skip
    output.add_argument("--low_score", type=float, default=-2.0, help="list scores below this")
    add_overwrite(output)
    add_text_options(parser, required=True)
    return parser


def add_text_options(parser: Parser, required: bool) -> None:
    """The model, and how a text is brought into the form of its training text."""
    add_model_options(parser.add_argument_group("the model"), required)
    add = parser.add_argument_group("the text").add_argument
    add("--text_norm", default="none", help=f"what the text goes through: {KINDS}")
    add("--lang", type=language_code, default="", metavar="CODE",
        help="language (ISO 639-3) of a text without a tag")  # fmt: skip


def language_code(word: str) -> str:
    """A code as the tags have it; empty for none."""
    if word and not LANGUAGE_CODE.fullmatch(word):
        raise argparse.ArgumentTypeError(f"'{word}' is no ISO 639-3 code, such as eng")
    return word


def main(argv: list[str] | None = None) -> int:
    """Align, list what could not be; exit 3 if there was any."""
    args = get_parser().parse_args(argv)
    if bool(args.data_dir) == bool(args.pair) or len(args.pair) not in (0, 2):
        raise UserError("Give --data_dir DIR, or one AUDIO and one TEXTFILE.")
    for path in args.pair:
        if not Path(path).is_file():
            raise UserError(f"{path} does not exist. Give a recording, and a file with its text.")
    from asr_dro_plugin.audio.read_ahead import Location
    from asr_dro_plugin.decoding import align_texts

    if args.out:
        refuse_earlier(align_texts.targets(args.out, args.format), args.overwrite)
    if args.data_dir:
        texts = read_table(Path(args.data_dir) / "text")
        locations = align_texts.locations_of(args.data_dir)
    else:
        audio, text = args.pair
        texts, locations = {audio: " ".join(read_lines(text))}, [Location(audio, audio)]
    aligner = load(args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about itself
        align = lambda utterance, text: aligner(utterance, text, args.lang)  # noqa: E731
        results = align_texts.aligned(locations, texts, align, args.strict)
        scores, faults = align_texts.write_aligned(results, args.out, args.format)
    align_texts.list_low(scores, args.low_score)
    if faults:
        where = f", see {args.out}/left_out" if args.out else ", see above"
        total = len(texts.keys() | {location.utt_id for location in locations})
        raise SomeLeftOut(f"{faults} of {total} utterances are not aligned{where}.")
    return 0


def load(args: argparse.Namespace):
    """The experiment as an ``Aligner``, without a word on the terminal."""
    from asr_dro_plugin.decoding.align_texts import model_for_texts

    model, texts = model_for_texts(args)
    with loading(f"{model.exp}/{model.file}"), quiet_import():
        import asr_dro_plugin.espnet  # noqa: F401  registers our classes
        from asr_dro_plugin.espnet.decode.alignment import load_aligner

        return load_aligner(model, texts)


if __name__ == "__main__":
    run_main(main)
