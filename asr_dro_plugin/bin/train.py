"""Stage 11: train (or ``--collect_stats``) with ESPnet's options and ours."""

import argparse
import os
import sys

from asr_dro_plugin.base.devices import device_of
from asr_dro_plugin.base.loading import loading
from asr_dro_plugin.base.phase_timer import START
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.errors import run_main


def main(argv: list[str] | None = None, of_asr_sh: bool = False) -> int:
    """Run ``DROASRTask`` as ``espnet2.bin.asr_train`` runs ``ASRTask``; of ESPnet's own asr.sh
    what it says beside is taken."""
    # transformers warns of its tokenizers' threads at each fork of the data loader otherwise.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with loading("the options of both" if asks_for_help(argv) else "the stack"):
        device_of(ngpu_of(sys.argv[1:] if argv is None else argv))
        import asr_dro_plugin.espnet  # noqa: F401  registers our classes
        from asr_dro_plugin.espnet.task import DROASRTask

    START.end("imports")
    args = DROASRTask.get_parser().parse_args(argv)
    if of_asr_sh:
        from asr_dro_plugin.espnet.start import asr_sh

        asr_sh.adapt(args)
    DROASRTask.main(args)
    return 0


def asks_for_help(argv: list[str] | None) -> bool:
    """Whether nothing is trained."""
    return bool({"-h", "--help"} & set(sys.argv[1:] if argv is None else argv))


def ngpu_of(argv: list[str]) -> int:
    """The number of GPUs that a command line asks for, itself or in its configuration.

    What is no number is left to ESPnet's parser, which refuses it.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--ngpu")
    parser.add_argument("--config")
    args, _ = parser.parse_known_args(argv)
    ngpu = args.ngpu
    if ngpu is None and args.config:
        ngpu = load_config(args.config).get("ngpu", 0)
    return int(ngpu) if str(ngpu).lstrip("-").isdigit() else 0


if __name__ == "__main__":
    run_main(lambda: main(sys.argv[1:]))
