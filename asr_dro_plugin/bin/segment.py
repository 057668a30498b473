"""Cut long recordings at their pauses into pieces of a wanted length: a Kaldi data directory.

Pauses are where voice activity detection hears no speech or, with --exp, where a model says
nothing; with --text, they lie between the words of the recording's text, which is cut along.
"""

import argparse
import warnings
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.kaldi_io import read_lines, read_table
from asr_dro_plugin.base.overwrite import add_overwrite, refuse_earlier
from asr_dro_plugin.bin.align import add_text_options, load
from asr_dro_plugin.errors import UserError, run_main

EPILOG = """Uses:
  asr-dro segment talk.mp3 --out data/talk
  asr-dro segment talk.mp3 --out data/talk --exp exp/asr_X --text talk.txt \\
        --text_norm lower_no_punct

Exit code: 0 done, 1 bad input, 2 a wrong option, 3 done but for what is listed.
"""


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro segment", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("audio", nargs="+", help="recordings of any rate, container and length")
    add("--out", required=True, help="data directory to write; no audio is copied")
    add_overwrite(parser)
    parser.add_switch("--strict", "stop at the first recording that cannot be cut")
    cut = parser.add_argument_group("where is cut")
    add = cut.add_argument
    add("--min", type=float, default=5.0, help="shortest piece in seconds")
    add("--max", type=float, default=20.0, help="longest piece in seconds")
    add("--pause", type=float, default=0.3, help="shortest pause to cut in, seconds")
    add("--pad", type=float, default=0.2, help="silence kept at either end of a piece, seconds")
    cut.add_switch("--cut_speech", "cut longer stretches without a pause where it does least harm")
    text = parser.add_argument_group("cutting along a text")
    add = text.add_argument
    add("--text", metavar="FILE", help="text of the recording or, of several, a table "
        "'name text' (name: the file's without its ending); needs --exp")  # fmt: skip
    add("--low_score", type=float, default=-2.0, help="with --text, a text fits badly whose "
        "characters' mean log probability is below this")  # fmt: skip
    cut.add_switch("--keep", "keep pieces that are too long, too short, begin in speech or "
                   "whose text fits badly; summary.json lists them anyway", True)  # fmt: skip
    add_text_options(parser, required=False)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Cut, list what is not as it was wanted; exit 3 if there was any."""
    args = get_parser().parse_args(argv)
    from asr_dro_plugin.audio.vad import load_model
    from asr_dro_plugin.data.segments_dir import NO_LANGUAGE, recording_ids, write_segments_dir
    from asr_dro_plugin.decoding.segment import Lengths
    from asr_dro_plugin.decoding.segment_recordings import Cutter, cut_all, report

    refuse_earlier([Path(args.out) / name for name in ("wav.scp", "segments")], args.overwrite)
    lengths = Lengths(args.min, args.max, args.pad)
    paths = recording_ids(args.audio)
    texts = read_texts(args, list(paths))
    model = load(args) if args.exp else None
    if model is None:
        load_model()  # of voice activity: refused here where its package is missing
    cutter = Cutter(lengths, args.pause, args.cut_speech, args.low_score, args.lang, model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about itself
        recordings = cut_all(paths, texts, cutter, args.strict)
    write_segments_dir(args.out, recordings, args.lang or NO_LANGUAGE, args.keep)
    report(recordings, args.out)
    return 0


def read_texts(args: argparse.Namespace, names: list[str]) -> dict[str, str]:
    """Recording -> text, empty without --text."""
    if not args.text:
        return {}
    if not args.exp:
        raise UserError("--text needs a model that finds its words. Give --exp EXP.")
    if len(names) == 1:
        return {names[0]: " ".join(read_lines(args.text))}
    texts = read_table(args.text)
    if missing := [name for name in names if name not in texts]:
        raise UserError(
            f"{args.text} has no text for {len(missing)} of {len(names)} recordings (first: "
            f"{missing[0]}). Give each a line 'name text'."
        )
    return texts


if __name__ == "__main__":
    run_main(main)
