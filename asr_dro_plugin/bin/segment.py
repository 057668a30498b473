"""Cut long recordings at their pauses into pieces of a wanted length: a Kaldi data directory.

Pauses are where voice activity detection hears no speech or, with --exp, where a model says
nothing; with --text, they lie between the words of the recording's text, which is cut along.
"""

import argparse
import sys
import warnings
from dataclasses import replace
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser, boolean
from asr_dro_plugin.base.kaldi_io import read_lines, read_table
from asr_dro_plugin.bin.align import add_model_options, list_some, load
from asr_dro_plugin.data.segments_dir import (
    NO_LANGUAGE,
    Recording,
    Segment,
    recording_ids,
    summary,
    to_thousandths,
    write_segments_dir,
)
from asr_dro_plugin.errors import SomeLeftOut, UserError, run_main

EPILOG = """Uses:
  asr-dro segment talk.mp3 --out data/talk
  asr-dro segment talk.mp3 --out data/talk --exp exp/asr_X --text talk.txt \\
        --text_norm lower_no_punct

Exit code: 0 done, 1 bad input, 2 a wrong option, 3 done but for what is listed.
"""


def get_parser() -> Parser:
    """Options of the command."""
    parser = Parser(prog="asr-dro segment", description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("audio", nargs="+", help="recordings of any rate, container and length")
    add("--out", required=True, help="data directory to write; no audio is copied")
    add("--min", type=float, default=5.0, help="shortest piece in seconds (default: 5)")
    add("--max", type=float, default=20.0, help="longest piece in seconds (default: 20)")
    add("--pause", type=float, default=0.3, help="shortest pause to cut in, seconds (default: 0.3)")
    add("--pad", type=float, default=0.2, help="silence kept at either end of a piece, seconds "
        "(default: 0.2)")  # fmt: skip
    add("--text", metavar="FILE", help="text of the recording or, of several, a table "
        "'name text' (name: the file's without its ending); needs --exp")  # fmt: skip
    add("--cut_speech", type=boolean, default=False, metavar="true|false",
        help="cut longer stretches without a pause "
        "where it does least harm (default: false)")  # fmt: skip
    add("--low_score", type=float, default=-2.0, help="with --text, a text fits badly whose "
        "characters' mean log probability is below this (default: -2)")  # fmt: skip
    add("--keep", type=boolean, default=True, metavar="true|false",
        help="keep pieces that are too long, too short, "
        "begin in speech or whose text fits badly (default: true); summary.json lists them "
        "anyway")  # fmt: skip
    add("--strict", type=boolean, default=False, metavar="true|false",
        help="stop at the first recording that cannot be "
        "cut (default: false)")  # fmt: skip
    add_model_options(parser, required=False)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Cut, list what is not as it was wanted; exit 3 if there was any."""
    args = get_parser().parse_args(argv)
    from asr_dro_plugin.decoding.segment import Lengths

    lengths = Lengths(args.min, args.max, args.pad)
    paths = recording_ids(args.audio)
    texts = read_texts(args, list(paths))
    model = load_pauses(args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about itself
        recordings = cut_all(args, paths, texts, lengths, model)
    write_segments_dir(args.out, recordings, args.lang or NO_LANGUAGE, args.keep)
    return report(args, recordings)


def load_pauses(args: argparse.Namespace):
    """The ``Aligner`` of --exp; None for voice activity detection, which is then installed."""
    if args.exp:
        return load(args)
    from asr_dro_plugin.audio.vad import load_model

    load_model()
    return None


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


def cut_all(args: argparse.Namespace, paths, texts, lengths, model) -> dict[str, Recording]:
    """Every recording with its pieces, or with the fault for which it has none."""
    from asr_dro_plugin.audio.read_ahead import Location, load
    from asr_dro_plugin.base.progress import Progress

    found: dict[str, Recording] = {}
    with Progress(len(paths), "segment") as bar:
        for name, path in paths.items():
            utterance = load(Location(name, path))
            fault, segments = utterance.fault, []
            try:
                if not fault:
                    segments = cut_one(args, utterance, texts.get(name), lengths, model)
                    fault = "" if segments else "no speech was found"
            except UserError as error:
                fault = str(error)
            if fault and args.strict:
                raise UserError(f"{path}: {fault}")
            found[name] = Recording(path, utterance.duration or None, tuple(segments), fault)
            bar.advance()
    return found


def cut_one(args: argparse.Namespace, utterance, text: str | None, lengths, model) -> list[Segment]:
    """The pieces of one recording."""
    from asr_dro_plugin.decoding.segment import Stretch, cut, with_quiet_cuts
    from asr_dro_plugin.decoding.text_pieces import cut_words

    if text is not None:
        words = model(utterance, text, args.lang).words
        pieces = cut_words(words, lengths, utterance.duration, args.pause, args.cut_speech)
        return [spoken_segment(piece, args.low_score) for piece in pieces]
    regions = speech_of(args, utterance.samples, model)
    stretches = [Stretch(*region) for region in regions]
    if args.cut_speech:
        stretches = with_quiet_cuts(regions, utterance.samples, lengths.longest)
    return [segment_of(piece) for piece in cut(stretches, lengths, utterance.duration)]


def speech_of(args: argparse.Namespace, samples, model) -> list[tuple[float, float]]:
    """Stretches of speech, in seconds."""
    if model is None:
        from asr_dro_plugin.audio.vad import find_speech

        return find_speech(samples, min_silence=args.pause, pad=0.0)
    from asr_dro_plugin.decoding.given_text import row_of
    from asr_dro_plugin.decoding.segment import voiced

    emission = model.emission(samples)
    best = row_of(emission).argmax(-1)
    return voiced(best, model.silent_ids, emission.frame_shift, args.pause)


def segment_of(piece) -> Segment:
    """A piece as a data directory has it."""
    return Segment(*to_thousandths(piece.start, piece.end), None, piece.faults)


def spoken_segment(found, low_score: float) -> Segment:
    """The same with its text, which is a fault of its own where it does not seem to be said."""
    faults = found.piece.faults
    if found.score < low_score:
        faults += (f"text fits badly ({found.score:.2f})",)
    score = round(found.score, 4)
    return replace(segment_of(found.piece), text=found.text, faults=faults, score=score)


def faults_of(recording: Recording) -> list[str]:
    """A line for all that is not as it was wanted."""
    missing = [f"{recording.path}: {recording.fault}"] if recording.fault else []
    return missing + [
        f"{recording.path}: {each.start:.3f} to {each.end:.3f} s {', '.join(each.faults)}"
        for each in recording.segments
        if each.faults
    ]


def report(args: argparse.Namespace, recordings: dict[str, Recording]) -> int:
    """Say what was made, and name on stderr some of what is not as it was wanted."""
    list_some([line for recording in recordings.values() for line in faults_of(recording)])
    made = summary(recordings)
    print(
        f"{args.out}: {made['pieces']} pieces, {made['seconds_in_pieces'] / 60:.1f} of "
        f"{made['seconds'] / 60:.1f} minutes"
    )
    if made["with_faults"] or made["without_pieces"]:
        counts = [
            made["with_faults"]
            and f"{made['with_faults']} of {made['pieces']} pieces are not as wanted",
            made["without_pieces"]
            and f"{made['without_pieces']} of {made['recordings']} recordings have none",
        ]
        raise SomeLeftOut(
            f"{' and '.join(filter(None, counts))}; {Path(args.out) / 'summary.json'} lists them."
        )
    return 0


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
