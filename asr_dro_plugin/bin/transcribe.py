"""Text, subtitles or JSON of audio files with a trained experiment."""

import argparse
import dataclasses
import functools
import logging
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence

from asr_dro_plugin.base.arguments import Parser, boolean
from asr_dro_plugin.base.devices import device_of
from asr_dro_plugin.base.quiet_terminal import quiet_import
from asr_dro_plugin.decoding.command_line import add_decode_options, check_times, settings_of
from asr_dro_plugin.errors import SomeLeftOut, UserError, run_main
from asr_dro_plugin.experiment.model_files import best_model_file, read_experiment_config
from asr_dro_plugin.transcripts.files import NEED_TIMES, ONE_FILE_EACH, parse_formats

FORMATS = "text json srt vtt ctm txt trn nbest"
AUTO_CHUNK = 30.0  # seconds; what is longer is decoded in chunks, whose memory does not grow


def get_parser() -> Parser:
    """Options of the command."""
    parser = Parser(prog="asr-dro transcribe", description=__doc__)
    add = parser.add_argument
    add("audio", nargs="+", help="audio files of any rate and container, folders, a wav.scp, or "
        "a JSONL manifest (audio_filepath, utt_id, lang)")  # fmt: skip
    add("--exp", required=True, help="trained experiment, or an unpacked model")
    add("--model_file", help="its model file (default: the average by its best_model_criterion)")
    add("--format", default="text", help=f"one or more of {FORMATS} (default: text)")
    add("--out", help="folder for the output (default: the terminal, where the format allows it)")
    add("--config", help="decoding configuration, conf/decode_*.yaml (default: greedy)")
    add_decode_options(parser)
    add("--vad", type=boolean, default=False, help="decode speech only, found by voice activity "
        "detection; times stay those of the file (default: false)")  # fmt: skip
    add("--allow_pipes", type=boolean, default=False, help="whether wav.scp may run commands")
    add("--strict", type=boolean, default=False, help="stop at unreadable audio (default: false)")
    add("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


def main(argv: list[str] | None = None) -> int:
    """A transcript for each recording, in the order given; exit 3 if some could not be read."""
    args = get_parser().parse_args(argv)
    # Everything that can be wrong without a model is looked at before ten seconds of imports.
    formats = parse_formats(re.sub(r"\bjson\b", "jsonl", args.format), "--format")
    if args.exp.endswith(".zip"):
        raise UserError(f"{args.exp} is packed. Unpack it first: asr-dro unpack {args.exp}")
    device = device_of(args.ngpu)
    read_experiment_config(args.exp)
    config = settings_of(args, formats, NEED_TIMES | {"jsonl"})
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    locations = find_locations(args, config)
    check_output(args.out, formats, len(locations))
    transcriber = load(args, config, device)
    check_times(transcriber, formats, "--format")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about itself
        transcripts = transcribed(args, transcriber, locations)
        faults = write(args, transcripts, formats, locations)
    if faults:
        raise SomeLeftOut(f"{faults} of {len(locations)} recordings have no text, named above.")
    return 0


def find_locations(args: argparse.Namespace, config: dict) -> list:
    """What is to be transcribed."""
    from asr_dro_plugin.audio.inputs import find_audio

    locations = find_audio(args.audio)
    if config.get("lang") == "forced" and (unknown := [x for x in locations if not x.lang]):
        raise UserError(
            f"lang is forced, but {unknown[0].utt_id} has no language. "
            "Give --lang CODE, or a manifest with lang."
        )
    return locations


def check_output(out: str | None, formats: Sequence[str], number: int) -> None:
    """Several formats, or files of several recordings, need a folder."""
    if out is None and len(formats) > 1:
        raise UserError(f"--format {' '.join(formats)} needs --out, a folder for the files.")
    if out is None and formats[0] in ("nbest", *ONE_FILE_EACH) and (
        number > 1 or formats[0] == "nbest"
    ):  # fmt: skip
        raise UserError(f"--format {formats[0]} of {number} recordings needs --out, a folder.")


def load(args: argparse.Namespace, config: dict, device: str):
    """The experiment as a ``Transcriber``, without a word on the terminal."""
    with quiet_import():
        import asr_dro_plugin.espnet  # noqa: F401  registers our classes
        from asr_dro_plugin.espnet.decode.transcribers import load_transcriber

        model_file = args.model_file or best_model_file(args.exp)
        transcriber = load_transcriber(
            args.exp, model_file, device, config, args.lm_dir, args.strict
        )
    settings, exact = transcriber.settings, transcriber.recogniser.frames.exact
    if settings.chunk_length is None and exact and config["mode"] != "espnet":
        transcriber.settings = dataclasses.replace(settings, chunk_length=AUTO_CHUNK)
    return transcriber


def transcribed(args: argparse.Namespace, transcriber, locations: list) -> Iterator:
    """Transcripts as they are made."""
    from asr_dro_plugin.audio.read_ahead import in_groups, read_ahead
    from asr_dro_plugin.audio.read_ahead import load as read_one
    from asr_dro_plugin.base.progress import Progress
    from asr_dro_plugin.espnet.decode.recordings import transcribe_recordings

    regions_of = None
    if args.vad:
        from asr_dro_plugin.audio.vad import speech_regions as regions_of
    if len(locations) == 1:
        transcriber.progress = Progress
    read_one = functools.partial(read_one, allow_pipes=args.allow_pipes)
    groups = read_ahead(in_groups(locations), read_one)
    recordings = (recording for group in groups for recording in group)
    if args.chunk_length is None and not args.vad:
        recordings = said_once(recordings, transcriber.settings.chunk_length)
    return transcribe_recordings(transcriber, recordings, regions_of)


def said_once(recordings: Iterable, chunk_length: float | None) -> Iterator:
    """The recordings; the first that will be cut into chunks is told of."""
    said = chunk_length is None
    for recording in recordings:
        if not said and recording.duration > chunk_length:
            print(f"NOTE: {recording.utt_id} has {recording.duration:.0f} s: what is longer than "
                  f"{chunk_length:g} s is decoded in overlapping chunks (--chunk_length). "
                  "Where it has long silences, --vad true is safer.",
                  file=sys.stderr)  # fmt: skip
            said = True
        yield recording


def write(
    args: argparse.Namespace, transcripts: Iterable, formats: Sequence[str], locations: list
) -> int:
    """Print or write the transcripts; how many have a fault."""
    from asr_dro_plugin.audio.inputs import short_ids
    from asr_dro_plugin.base.progress import Progress
    from asr_dro_plugin.transcripts.files import TranscriptFiles

    transcripts = checked(transcripts, args.strict)
    if args.out is None:
        return sum(print_one(each, formats[0], len(locations) > 1) for each in transcripts)
    names, faults = short_ids(locations), 0
    with (
        TranscriptFiles(args.out, formats, list(names.values()), folders=False) as files,
        Progress(len(locations), "transcribe") as bar,
    ):
        for transcript in transcripts:
            files.add(dataclasses.replace(transcript, utt_id=names[transcript.utt_id]))
            faults += bool(transcript.fault)
            bar.advance()
    return faults


def checked(transcripts: Iterable, strict: bool) -> Iterator:
    """The transcripts; one without text is told of, or with ``strict`` the end."""
    for transcript in transcripts:
        if transcript.fault and strict:
            raise UserError(transcript.fault)
        if transcript.fault:
            named = transcript.utt_id in transcript.fault
            fact = "" if named else f"{transcript.utt_id} has no text: "
            logging.warning("%s%s", fact, transcript.fault)
        yield transcript


def print_one(transcript, name: str, named: bool) -> bool:
    """Print a transcript; whether it has a fault."""
    from asr_dro_plugin.transcripts.files import content_of

    if name == "text":
        text = transcript.text
        print(f"{transcript.utt_id}\t{text}" if named else text, flush=True)
    else:
        print(content_of(name, transcript), end="", flush=True)
    return bool(transcript.fault)


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
