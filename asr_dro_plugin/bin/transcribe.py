"""Text, subtitles or JSON of audio files with a trained experiment or an exported model."""

import argparse
import logging
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.base.loading import loading
from asr_dro_plugin.base.overwrite import add_overwrite
from asr_dro_plugin.base.quiet_terminal import quiet_import
from asr_dro_plugin.decoding.chunks import refuse_uncounted
from asr_dro_plugin.decoding.command_line import (
    Model,
    Request,
    add_decode_options,
    add_model_options,
    request_of,
    settings_of,
)
from asr_dro_plugin.errors import SomeLeftOut, UserError, run_main
from asr_dro_plugin.transcripts.files import NEED_TIMES, parse_formats

if TYPE_CHECKING:
    from asr_dro_plugin.transcribing.transcriber import Transcriber

Work = tuple[Request, Callable[[], "Transcriber"]]
FORMATS = "text json srt vtt ctm txt trn nbest"
EPILOG = """Uses:
  asr-dro transcribe talk.mp3 --exp exp/asr_X
        the text, on the terminal
  asr-dro transcribe talks/ --exp exp/asr_X --format "srt json" --out subtitles --vad true
        a file a recording and format
  asr-dro transcribe talk.mp3 --exp onnx_X
        the same with an exported model (asr-dro export --to onnx), without torch

Exit code: 0 done, 1 bad input, 2 a wrong option, 3 done but for recordings that are named.
"""


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro transcribe", description=__doc__, epilog=EPILOG)
    parser.add_argument("audio", nargs="+", help="audio files of any rate and container, folders, "
        "a wav.scp, or a JSONL manifest (audio_filepath, utt_id, lang)")  # fmt: skip
    model = parser.add_argument_group("the model")
    add_model_options(model)
    model.add_argument("--precision", help="of an exported model: fp32, int8 (default: its own)")
    model.add_argument("--threads", type=int, help="of an exported model's computations (default: "
        "1)")  # fmt: skip
    output = parser.add_argument_group("what is written")
    output.add_argument("--format", default="text", help=f"one or more of {FORMATS}")
    output.add_argument("--out", help="folder for the output (default: the terminal, where the "
        "format allows it)")  # fmt: skip
    add_overwrite(output)
    how = parser.add_argument_group("how is decoded")
    how.add_argument("--config", help="decoding configuration, conf/decode_*.yaml (default: the "
        "model's own decode.yaml where it has one, else greedy)")  # fmt: skip
    add_decode_options(how)
    audio = parser.add_argument_group("how audio is read")
    audio.add_switch("--vad", "decode speech only, found by voice activity detection; times stay "
                     "those of the file")  # fmt: skip
    audio.add_switch("--allow_pipes", "whether wav.scp may run commands")
    audio.add_switch("--strict", "stop at unreadable audio")
    return parser


def _of_experiment(args: argparse.Namespace, formats: list[str], timed: set[str]) -> Work:
    """A trained experiment's; it is loaded when it is asked for."""
    for option in ("precision", "threads"):
        if getattr(args, option) is not None:
            raise UserError(
                f"--{option} is about an exported model (asr-dro export --to onnx), and "
                f"{args.exp} is none. Leave it out."
            )
    request = request_of(args, formats, "--format", timed)

    def load() -> "Transcriber":
        with loading(f"{request.model.exp}/{request.model.file}"), quiet_import():
            import asr_dro_plugin.espnet  # noqa: F401  registers our classes
            from asr_dro_plugin.espnet.decode.transcribers import load_requested

            return load_requested(request)

    return request, load


def _of_export(args: argparse.Namespace, formats: list[str], timed: set[str]) -> Work:
    """An exported model's, without torch."""
    for option in ("model_file", "ngpu"):
        if getattr(args, option):
            raise UserError(
                f"--{option} is about an experiment, and {args.exp} is an exported model, which "
                "computes on the CPU. Leave it out."
            )
    from asr_dro_plugin.runtime.folder import open_folder
    from asr_dro_plugin.runtime.recogniser import Recogniser

    config = settings_of(args, formats, timed, open_folder(args.exp).manifest.decode)
    threads = 1 if args.threads is None else args.threads
    recogniser = Recogniser(args.exp, config, args.lm_dir, threads, args.precision)
    if config["chunk_length"]:
        refuse_uncounted(recogniser.model.exact_frames)
    model = Model(str(args.exp), "", "cpu", {})
    request = Request(model, config, recogniser.decoder, args.lm_dir, args.strict)
    return request, recogniser.transcriber


def main(argv: list[str] | None = None) -> int:
    """A transcript for each recording, in the order given; exit 3 if some could not be read."""
    args = get_parser().parse_args(argv)
    formats = parse_formats(re.sub(r"\bjson\b", "jsonl", args.format), "--format")
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    from asr_dro_plugin.audio.inputs import find_audio
    from asr_dro_plugin.runtime.folder import is_exported

    work_of = _of_export if is_exported(args.exp) else _of_experiment
    request, load = work_of(args, formats, NEED_TIMES | {"jsonl"})
    from asr_dro_plugin.decoding.output import check_output, write_transcripts

    locations = find_audio(args.audio)
    request.check_languages({each.utt_id: each.lang for each in locations})
    check_output(args.out, formats, locations, args.overwrite)
    from asr_dro_plugin.transcribing.recordings import transcribe_files

    transcriber = load()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about itself
        transcripts = transcribe_files(transcriber, locations, args.vad, args.allow_pipes)
        faults = write_transcripts(transcripts, args.out, formats, locations, args.strict)
    if faults:
        raise SomeLeftOut(f"{faults} of {len(locations)} recordings have no text, named above.")
    return 0


if __name__ == "__main__":
    run_main(main)
