"""Print the text of audio files with a trained experiment."""

import argparse
import sys
from pathlib import Path

from asr_dro_plugin.errors import UserError, run_main


def get_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = argparse.ArgumentParser(prog="asr-dro transcribe", description=__doc__)
    parser.add_argument("audio", nargs="+", help="audio files of any rate and container")
    parser.add_argument("--exp", required=True, help="trained experiment, e.g. exp/asr_...")
    parser.add_argument("--model_file", default="valid.cer_ctc.ave.pth", help="its model file")
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
    from asr_dro_plugin.audio import read, resample
    from asr_dro_plugin.decoding.greedy import greedy, tokens_to_text

    speech = [resample(*read(path), 16000) for path in args.audio]
    silent = [path for path, samples in zip(args.audio, speech, strict=True) if not len(samples)]
    if silent:
        raise UserError(f"{silent[0]} holds no samples. Give a file with speech in it.")
    import asr_dro_plugin.espnet  # noqa: F401  registers our classes
    from asr_dro_plugin.espnet.inference import load_recogniser, quiet_import

    with quiet_import():
        recogniser = load_recogniser(args.exp, args.model_file, "cuda" if args.ngpu else "cpu")
    for path, samples in zip(args.audio, speech, strict=True):
        ids = greedy(recogniser.emission([samples]))[0]
        text = tokens_to_text(ids, recogniser.tokens, recogniser.token_type)
        print(f"{path}\t{text}" if len(args.audio) > 1 else text)
    return 0


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
