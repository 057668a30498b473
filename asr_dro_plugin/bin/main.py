"""``asr-dro COMMAND``: one command line over the entries of ``asr_dro_plugin.bin``."""

import importlib
import sys

import asr_dro_plugin
from asr_dro_plugin.errors import UserError, run_main, suggestion

COMMANDS = {
    "transcribe": ("transcribe", "print the text of audio files"),
    "serve": ("serving.serve", "exported models over HTTP: OpenAI's clients, a page, metrics"),
    "live": ("serving.live", "text of speech while it is said, from standard input"),
    "score": ("score", "error rates per language of hypotheses against references"),
    "report": ("report", "RESULTS.md and one HTML page of experiments"),
    "watch": ("watch", "a training run, live on the terminal"),
    "align": ("align", "times of a given transcript's words in its audio"),
    "segment": ("segment", "cut long recordings at their pauses"),
    "lm": ("lm", "build n-gram language models, measure their perplexity"),
    "tune-lm": ("tune_lm", "find a language model's weight and word score on a dev set"),
    "pack": ("pack", "an experiment as one file to give away"),
    "unpack": ("unpack", "a packed model as a folder, checked"),
    "info": ("info", "what a configuration builds, or what a folder with a model holds"),
    "import": ("import_model", "a model of another system as an experiment: nemo, hf, fairseq ..."),
    "export": ("export_model", "an experiment in another system's format: onnx, hf"),
    "vocab": ("vocab", "a list of tokens from texts, and the stray characters in them"),
    "preflight": ("preflight", "what training will meet, by language; refuses what cannot work"),
    "check-config": ("check_config", "check a YAML without running anything"),
    "onebatchtest": ("onebatchtest", "learn one batch by heart: can this stack learn at all?"),
    "train": ("train", "train with ESPnet's options and ours (stage 11)"),
    "groups": ("groups", "groups.txt and utt2group of data directories of ESPnet's"),
    "espnet": ("espnet", "Python for ESPnet's own asr.sh, with our task and models"),
    "decode": ("decode", "decode a data directory (stage 12)"),
    "convert-checkpoint": ("convert_checkpoint", "a fairseq checkpoint as plain data"),
}


def usage() -> str:
    """The commands, one a line."""
    lines = [f"  {name:<20}{text}" for name, (_, text) in COMMANDS.items()]
    head = "usage: asr-dro COMMAND [options]   (asr-dro COMMAND --help, asr-dro --version)"
    return "\n".join([head, "", *lines])


def dispatch(argv: list[str]) -> int:
    """Run the command named by the first argument with the rest."""
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    if argv[0] in ("-V", "--version"):
        print(f"asr-dro {asr_dro_plugin.__version__}")
        return 0
    if argv[0] == "plan":
        raise UserError("asr-dro plan is asr-dro info now: the same options, without --config.")
    if argv[0] not in COMMANDS:
        raise UserError(
            f"asr-dro has no command '{argv[0]}'.{suggestion(argv[0], COMMANDS)} "
            f"Commands: {', '.join(COMMANDS)}."
        )
    module = importlib.import_module(f"asr_dro_plugin.bin.{COMMANDS[argv[0]][0]}")
    return module.main(argv[1:]) or 0


def main() -> None:
    """Console entry."""
    run_main(lambda: dispatch(sys.argv[1:]))


if __name__ == "__main__":
    main()
