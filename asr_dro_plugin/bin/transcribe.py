"""Print the text of audio files with a trained experiment."""

import argparse
import logging
import sys
import warnings
from pathlib import Path

from asr_dro_plugin.devices import device_of
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.model_files import best_model_file
from asr_dro_plugin.quiet import quiet_import


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="asr-dro transcribe", description=__doc__)
    parser.add_argument("audio", nargs="+", help="audio files of any rate and container")
    parser.add_argument("--exp", required=True, help="trained experiment, e.g. exp/asr_...")
    parser.add_argument(
        "--model_file", help="its model file (default: the average by its best_model_criterion)"
    )
    parser.add_argument("--ngpu", type=int, default=0, help="0: CPU, 1: GPU")
    return parser


def main(argv: list[str] | None = None) -> int:
    """One line a file: the text, with the file's name before it if there are several."""
    args = get_parser().parse_args(argv)
    # Everything that can be wrong without a model is looked at before ten seconds of imports.
    for path in args.audio:
        if not Path(path).is_file():
            raise UserError(f"{path} does not exist. Give the path of an audio file.")
    if not (Path(args.exp) / "config.yaml").exists():
        raise UserError(f"{args.exp} holds no config.yaml. Give --exp a trained experiment.")
    device = device_of(args.ngpu)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    speech = [read_speech(path) for path in args.audio]
    recogniser = load(args, device)
    from asr_dro_plugin.espnet.inference import transcribe

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about itself
        for path, samples in zip(args.audio, speech, strict=True):
            text = transcribe(recogniser, {path: samples})[path]
            print(f"{path}\t{text}" if len(args.audio) > 1 else text, flush=True)
    return 0


def read_speech(path: str):
    """Samples of a file at 16 kHz, (num_samples,); a ``UserError`` where it holds no audio."""
    from asr_dro_plugin.audio import read, resample

    samples = resample(*read(path), 16000)
    if not len(samples):
        raise UserError(f"{path} holds no samples. Give a file with speech in it.")
    return samples


def load(args: argparse.Namespace, device: str):
    """The experiment as a ``Recogniser``, without a word on the terminal."""
    with quiet_import():
        import asr_dro_plugin.espnet  # noqa: F401  registers our classes
        from asr_dro_plugin.espnet.inference import load_recogniser

        return load_recogniser(args.exp, args.model_file or best_model_file(args.exp), device)


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
