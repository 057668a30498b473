"""``asr-dro info``: what a configuration builds, or what a folder with a model holds.

    asr-dro info conf/train_asr_quartznet15x5.yaml --vocab 34 [--layers] [--json]
    asr-dro info conf/train_asr_ctc_dro.yaml --stats_dir exp/asr_stats_raw    (and its batches)
    asr-dro info exp/asr_train_ctc_mini          (an experiment, an imported or unpacked model)
    asr-dro info onnx_X                          (an exported model, or its zip)

Every slot with its sizes and parameters, what the output frames are and how much of an utterance
each depends on, how it is trained; of a folder its weights, its vocabulary and where it is from.
Nothing is built, downloaded or trained.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from asr_dro_plugin.base.arguments import Parser
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.experiment import info as stack_facts
from asr_dro_plugin.experiment.folders import ModelFolder, read_model_folder
from asr_dro_plugin.experiment.info import VocabularyFacts, vocabulary_of
from asr_dro_plugin.experiment.info_table import info_facts, info_lines, layers_below
from asr_dro_plugin.runtime.facts import facts_of
from asr_dro_plugin.runtime.folder import is_exported, open_folder
from asr_dro_plugin.stack.check import read_config
from asr_dro_plugin.stack.overrides import join_asr_args
from asr_dro_plugin.text.tokens import read_symbols

OF_CONFIGURATIONS = ("vocab", "token_list", "ssl_checkpoint", "asr_args")


def main(argv: list[str] | None = None) -> int:
    """Print what is known of a stack, as text or as JSON."""
    args = get_parser().parse_args(join_asr_args(argv))
    if is_exported(args.path):
        _refuse_of_configurations(args)
        return _print_export(args)
    folder = _folder(args)
    config = folder.config if folder else _config(args)
    vocabulary = stack_facts.folder_vocabulary(folder) if folder else _vocabulary(args, config)
    weights, trained_here = (folder.weights, folder.imported is None) if folder else (None, True)
    try:
        info = stack_facts.stack_info(config, vocabulary, weights, trained_here)
        layers = stack_facts.encoder_layers(config) if args.layers else None
    except UserError as error:
        raise UserError(f"{args.path}: {error}") from None
    found = {"path": str(args.path), **info.as_dict()}
    facts = info_facts(config, info, folder)
    if folder:
        found |= {"weights": weights and asdict(weights), "imported": folder.imported}
    if args.stats_dir:
        from asr_dro_plugin.preflight.first_epoch import batch_facts, plan_first_epoch

        batches = plan_first_epoch(config, args.stats_dir, info.frames)
        found["batches"] = batches and asdict(batches)
        facts |= batch_facts(batches, config, args.stats_dir)
    if args.layers:
        found["layers"] = layers and [layer.as_dict() for layer in layers]
    if args.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        below = layers_below(config, layers) if args.layers else []
        print(args.path, *info_lines(info, facts, below), sep="\n")
    return 0


def get_parser() -> Parser:
    parser = Parser(prog="asr-dro info", description=__doc__)
    parser.add_argument("path", metavar="CONFIG|DIR", type=Path)
    given = parser.add_argument_group("what a configuration leaves open")
    size = given.add_mutually_exclusive_group()
    size.add_argument("--vocab", type=int, help="number of outputs, the blank included")
    size.add_argument("--token_list", type=Path, help="tokens.txt, which tells that number")
    given.add_argument("--ssl_checkpoint", help="in place of the configuration's")
    given.add_argument("--stats_dir", type=Path, help="of stage 10: its lengths tell the batches")
    given.add_argument("--asr_args", default="", help="ESPnet options on top of the configuration")
    parser.add_argument("--layers", action="store_true", help="the encoder layer by layer")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


def _folder(args: argparse.Namespace) -> ModelFolder | None:
    """What is in the folder that was given; None for a configuration."""
    if not args.path.is_dir():
        return None
    _refuse_of_configurations(args)
    return read_model_folder(args.path)


def _refuse_of_configurations(args: argparse.Namespace) -> None:
    for option in OF_CONFIGURATIONS:
        if getattr(args, option):
            raise UserError(
                f"--{option} goes with a configuration; {args.path} is a folder, whose own is "
                "told. Leave it out."
            )


def _print_export(args: argparse.Namespace) -> int:
    """What an exported folder's manifest says, once all of its files are found whole."""
    for option in ("stats_dir", "layers"):
        if getattr(args, option):
            raise UserError(f"--{option} is about a stack; {args.path} is exported. Leave it out.")
    model = open_folder(args.path)
    for precision in model.manifest.precisions:
        model.check(precision)
    if args.json:
        print(json.dumps({"path": str(args.path), **vars(model.manifest)}, ensure_ascii=False,
                         indent=2))  # fmt: skip
    else:
        print(args.path, *facts_of(model.manifest), sep="\n")
    return 0


def _config(args: argparse.Namespace) -> dict:
    if args.path.suffix == ".zip":
        raise UserError(f"{args.path} is packed. Unpack it first: asr-dro unpack {args.path}")
    return read_config(args.path, args.asr_args, ssl_checkpoint=args.ssl_checkpoint)


def _vocabulary(args: argparse.Namespace, config: dict) -> VocabularyFacts | None:
    if args.vocab is not None:
        if args.vocab < 1:
            raise UserError(f"--vocab is {args.vocab}; give the number of outputs, blank included.")
        return VocabularyFacts(args.vocab)
    return vocabulary_of(config, read_symbols(args.token_list)) if args.token_list else None


if __name__ == "__main__":
    run_main(main)
