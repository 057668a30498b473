"""``asr-dro info``: what a configuration builds, or what a folder with a model holds.

    asr-dro info conf/train_asr_quartznet15x5.yaml --vocab 34 [--layers] [--json]
    asr-dro info exp/asr_train_ctc_mini          (an experiment, an imported or unpacked model)

Every slot with its sizes and parameters, what the output frames are and how much of an utterance
each depends on, how it is trained; of a folder its weights, its vocabulary and where it is from.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.errors import UserError, run_main
from asr_dro_plugin.experiment.folders import ModelFolder, Weights, read_model_folder
from asr_dro_plugin.experiment.info import (
    StackInfo,
    Vocabulary,
    encoder_layers,
    folder_vocabulary,
    stack_info,
    vocabulary_of,
)
from asr_dro_plugin.stack.check import check_config
from asr_dro_plugin.stack.layers import Layer, layer_lines
from asr_dro_plugin.stack.overrides import join_asr_args, overrides_from_arguments
from asr_dro_plugin.stack.table import describe_frame_shift, describe_loss, fact_line, stack_lines
from asr_dro_plugin.text.tokens import read_symbols

KEY_WIDTH = 17
NOT_OURS = {"objective": "the model's own mean", "sampler": "ESPnet's batches", "scheduler": "none"}


def main(argv: Sequence[str] | None = None) -> int:
    """Print what is known of a stack, as text or as JSON."""
    args = get_parser().parse_args(join_asr_args(argv))
    folder = _folder(args)
    config = folder.config if folder else _config(args)
    vocabulary = folder_vocabulary(folder) if folder else _vocabulary(args, config)
    try:
        info = stack_info(config, vocabulary, *_of_folder(folder))
        layers = encoder_layers(config) if args.layers else None
    except UserError as error:
        raise UserError(f"{args.path}: {error}") from None
    if args.json:
        print(json.dumps(_as_dict(args, info, folder, layers), ensure_ascii=False, indent=2))
    else:
        print("\n".join([str(args.path), *_lines(args, config, info, folder, layers)]))
    return 0


def get_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="asr-dro info",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("path", metavar="CONFIG|DIR", type=Path)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--vocab", type=int, help="number of outputs, the blank included")
    size.add_argument("--token_list", type=Path, help="tokens.txt, which tells that number")
    parser.add_argument("--ssl_checkpoint", help="in place of the configuration's")
    parser.add_argument("--asr_args", default="", help="ESPnet options on top of the configuration")
    parser.add_argument("--layers", action="store_true", help="the encoder layer by layer")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


def _folder(args: argparse.Namespace) -> ModelFolder | None:
    """What is in the folder that was given; None for a configuration."""
    if not args.path.is_dir():
        return None
    for option in ("vocab", "token_list", "ssl_checkpoint", "asr_args"):
        if getattr(args, option):
            raise UserError(
                f"--{option} goes with a configuration; {args.path} is a folder, whose own is "
                "told. Leave it out."
            )
    return read_model_folder(args.path)


def _config(args: argparse.Namespace) -> dict:
    if args.path.suffix == ".zip":
        raise UserError(f"{args.path} is packed. Unpack it first: asr-dro unpack {args.path}")
    overrides = overrides_from_arguments(args.asr_args)
    if args.ssl_checkpoint:
        overrides.append(f"ssl_checkpoint={json.dumps(args.ssl_checkpoint)}")
    config = load_config(args.path, overrides)
    check_config(config, str(args.path))
    return config


def _of_folder(folder: ModelFolder | None) -> tuple[Weights | None, bool]:
    """The model file, and whether the configuration says how the model was trained."""
    return (folder.weights, folder.imported is None) if folder else (None, True)


def _vocabulary(args: argparse.Namespace, config: dict) -> Vocabulary | None:
    if args.vocab is not None:
        if args.vocab < 1:
            raise UserError(f"--vocab is {args.vocab}; give the number of outputs, blank included.")
        return Vocabulary(args.vocab)
    return vocabulary_of(config, read_symbols(args.token_list)) if args.token_list else None


def _lines(
    args: argparse.Namespace,
    config: dict,
    info: StackInfo,
    folder: ModelFolder | None,
    layers: list[Layer] | None,
) -> list[str]:
    """The text below the title."""
    facts = {
        "parameters": _parameters(info),
        "loss": describe_loss(config),
        **{key: _part(part, NOT_OURS.get(key, "none")) for key, part in info.training.items()},
        "frame shift": describe_frame_shift(info.frames),
        "receptive field": str(info.field),
        "vocabulary": _vocabulary_words(info.vocabulary),
        **(_folder_facts(folder) if folder else {}),
    }
    lines = stack_lines(info.slots)
    lines += [fact_line(key, value, KEY_WIDTH) for key, value in facts.items()]
    if args.layers:
        known = layer_lines(layers) if layers else ["not known, or none: see its checkpoint"]
        lines += ["", f"encoder {config.get('encoder')}, layer by layer:", *known]
    return [f"  {line}".rstrip() for line in lines]


def _parameters(info: StackInfo) -> str:
    known = sum(slot.trainable + slot.frozen for slot in info.slots if slot.trainable is not None)
    return f"{known:,}" if info.num_parameters is not None else f"{known:,} + ?"


def _part(part: tuple[str, dict] | None, otherwise: str) -> str:
    if not part:
        return otherwise
    name, conf = part
    words = ", ".join(f"{key} {value}" for key, value in conf.items())
    return f"{name} ({words})" if words else name


def _vocabulary_words(vocabulary: Vocabulary | None) -> str:
    if vocabulary is None:
        return "? (--vocab or --token_list tells)"
    words = [f"{vocabulary.size:,} tokens"]
    if vocabulary.token_type:
        words.append(str(vocabulary.token_type))
    if vocabulary.blank_id is not None:
        words.append(f"blank is {vocabulary.blank_id}")
    return ", ".join(words)


def _folder_facts(folder: ModelFolder) -> dict[str, str]:
    """What a folder has beside its configuration."""
    facts = {"weights": "no model file yet"}
    if weights := folder.weights:
        only = ", adapters and head without their pretrained model" if weights.adapters_only else ""
        facts["weights"] = (
            f"{weights.file}: {weights.num_values:,} numbers, {', '.join(weights.dtypes)}, "
            f"{weights.num_bytes:,} bytes{only}"
        )
    if imported := folder.imported:
        counts = [f"{n} {part.replace('_', ' ')}" for part, n in imported["tensors"].items()]
        facts["imported"] = f"{imported['kind']} {imported['source']}: tensors {', '.join(counts)}"
    return facts


def _as_dict(
    args: argparse.Namespace,
    info: StackInfo,
    folder: ModelFolder | None,
    layers: list[Layer] | None,
) -> dict:
    found = {"path": str(args.path), **info.as_dict()}
    if folder:
        weights = folder.weights and asdict(folder.weights)
        found |= {"weights": weights, "imported": folder.imported}
    if args.layers:
        found["layers"] = layers and [layer.as_dict() for layer in layers]
    return found


if __name__ == "__main__":
    run_main(main)
