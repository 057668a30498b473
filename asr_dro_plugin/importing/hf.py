"""``--from hf``: a folder of Wav2Vec2ForCTC, HubertForCTC or WavLMForCTC (and see ``whisper``).

The folder may be one that ml4audio's service exported: then the one model below it is taken, and
its card is read as data (``cards``).
"""

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.importing import whisper
from asr_dro_plugin.importing.cards import read_cards
from asr_dro_plugin.importing.found import HEAD, Found, Wish
from asr_dro_plugin.pretrained import hf_folders
from asr_dro_plugin.pretrained.hf_folders import CONFIG, WEIGHTS
from asr_dro_plugin.pretrained.hf_vocabulary import read_vocabulary
from asr_dro_plugin.pretrained.layouts import WAV2VEC2_TYPES
from asr_dro_plugin.pretrained.read_weights import read_file
from asr_dro_plugin.stack.sizes import resolve

BODY = "encoder.net.model."  # where our encoder has the network
MASK = "masked_spec_embed"
# Heads for pretraining; of a model for CTC they are left-overs.
PRETRAINING = ("quantizer.", "project_q.", "project_hid.", "dropout_features.")
MAX_LAYERS, MAX_SIZE = 2_000, 10_000_000
# Of config.json, read before transformers checks it.
NUMBERS = ("mask_time_prob", "mask_feature_prob", "final_dropout", "pad_token_id")
ADAPTERS = ("safetensors", "bin")  # endings of the file of a language; the first is read
MAX_DEPTH = 4  # folders between the one that is given and its model


def read(wish: Wish) -> Found:
    """The model in a folder.

    Raises:
        UserError: a file is missing or damaged, another architecture, a vocabulary that does not
            fit, or no one model in it.
    """
    folder = model_folder(wish.path)
    card = read_cards(folder)
    config = hf_folders.network_config(folder, folder.name)
    if config.get("model_type") == "whisper":
        return whisper.read(wish, folder)
    if (kind := config.get("model_type")) not in WAV2VEC2_TYPES:
        raise UserError(
            f"{folder}/{CONFIG} describes a {kind}; imported are whisper and CTC models of "
            f"{', '.join(WAV2VEC2_TYPES)}."
        )
    _check_sizes(config, folder)
    given = hf_folders.read_weights(folder) | _of_language(folder, wish.lang)
    origin, not_used = _names(given, config["model_type"])
    tensors = {ours: given[theirs] for ours, theirs in origin.items()}
    made = {}
    if config.get("mask_time_prob", 0.05) > 0 or config.get("mask_feature_prob", 0.0) > 0:
        made = _mask(tensors, config["hidden_size"])
    elif f"{BODY}{MASK}" in tensors:
        mask = tensors.pop(f"{BODY}{MASK}")
        not_used[origin[f"{BODY}{MASK}"]] = ("masking is off", tuple(mask.shape))
    tokens, vocabulary = None, {}
    if f"{HEAD}weight" in tensors:
        tokens, vocabulary = _vocabulary(folder, len(tensors[f"{HEAD}weight"]), config, wish)
    return Found(
        stack_of(config, folder), tokens, tensors, origin=origin, not_used=not_used, made=made,
        facts={
            "architecture": hf_folders.architecture_of(folder), **vocabulary,
            **({"card": card} if card else {}),
        },
        files=tuple(hf_folders.weight_files(folder)),
    )  # fmt: skip


def _vocabulary(
    folder: Path, num_rows: int, config: Mapping, wish: Wish
) -> tuple[list[str] | None, dict[str, Any]]:
    """The tokens of the head's rows, and what else the tokenizer's files say.

    None where they do not fit the head and it is to be replaced anyway: then no row is kept.
    """
    try:
        found = read_vocabulary(folder, num_rows, wish.lang, config.get("pad_token_id", 0))
        blank, pad = found.tokens.index("<blank>"), config.get("pad_token_id", 0)
        if blank != pad:
            raise UserError(
                f"{folder}: its {CONFIG} says pad_token_id {pad}, its tokenizer's pad_token is "
                f"number {blank}; CTC's blank can be but one. Correct the file that is wrong."
            )
    except UserError as error:
        if not wish.new_vocab:
            raise
        return None, {"notes": [f"No row of the old head is kept: {error}"]}
    return found.tokens, {
        "special_tokens": found.names,
        "do_lower_case": found.do_lower_case,
        "left_out_tokens": list(found.left_out),
    }


def model_folder(path: Path) -> Path:
    """The folder with the weights: the one given, or the only one below it.

    Raises:
        UserError: none, or several, which are listed.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise UserError(f"{path} {what}. Give a Hugging Face model folder.")
    if has_weights(path):
        return path
    below = sorted(found for found in _folders_below(path, MAX_DEPTH) if has_weights(found))
    if len(below) == 1:
        return below[0]
    if below:
        names = ", ".join(str(found.relative_to(path)) for found in below[:8])
        raise UserError(f"{path} holds {len(below)} models ({names}). Give one of them.")
    raise UserError(f"{path} has neither {' nor '.join(WEIGHTS)}. Give a Hugging Face folder.")


def _folders_below(path: Path, depth: int) -> list[Path]:
    if not depth:
        return []
    own = [each for each in path.iterdir() if each.is_dir() and not each.is_symlink()]
    return own + [below for each in own for below in _folders_below(each, depth - 1)]


def has_weights(folder: Path) -> bool:
    """Whether a folder has weights, whole or in parts."""
    names = [*WEIGHTS, *(f"{name}.index.json" for name in WEIGHTS)]
    return any((folder / name).is_file() for name in names)


def _check_sizes(config: Mapping, folder: Path) -> None:
    """What would be built for hours before its weights were looked at, or is no number at all."""
    for key in NUMBERS:
        if isinstance(config.get(key, 0), bool) or not isinstance(config.get(key, 0), int | float):
            raise UserError(
                f"{folder}: its {CONFIG} says {key} {config[key]!r}, which is no number. Correct "
                "it, or fetch it again."
            )
    for key, value in config.items():
        is_layers = key.startswith("conv_") and isinstance(value, list)
        wrong = is_layers and [n for n in value if not isinstance(n, int) or n < 1]  # as a stride
        if wrong or (is_layers and len(value) > MAX_LAYERS):
            raise UserError(
                f"{folder}: its {CONFIG} says {key} {reprlib.repr(value)}, which no convolutions "
                "have. Fetch it again."
            )
        for number in value if isinstance(value, list) else [value]:
            most = MAX_LAYERS if key.startswith("num_") else MAX_SIZE
            if isinstance(number, int) and not isinstance(number, bool) and number > most:
                raise UserError(
                    f"{folder}: its {CONFIG} says {key} {number}, more than any model has. Fetch "
                    "it again."
                )


def stack_of(config: Mapping, folder: Path) -> dict:
    """Our stack for the network of a folder.

    Raises:
        UserError: nothing says how its audio is prepared, or audio of another rate.
    """
    found = hf_folders.find_preprocessor(folder)
    if found is None:
        raise UserError(
            f"{folder} has no {hf_folders.PREPROCESSOR}, nor has the directory above (nor a "
            f"{hf_folders.PROCESSOR} with a {hf_folders.EXTRACTOR}), so nobody knows how its audio "
            "is prepared. Put it there."
        )
    where, said = found
    rate = said.get("sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise UserError(
            f"{folder}: its {where.name} asks for audio at {rate} Hz, but the recipe's is "
            f"{SAMPLE_RATE}. Give a model for {SAMPLE_RATE} Hz."
        )
    layer_norm = config.get("feat_extract_norm", "group") == "layer"
    return ctc_stack(
        config,
        bool(said.get("do_normalize", True)),
        bool(said.get("return_attention_mask", layer_norm)),
    )


def ctc_stack(config: Mapping, do_normalize: bool, attention_mask: bool) -> dict:
    """Encoder ``hf_wav2vec2`` with CTC on it, from a network's configuration."""
    return resolve({
        "frontend": "none", "normalize": "none", "encoder": "hf_wav2vec2",
        "encoder_conf": {
            "model_config": dict(config), "do_normalize": do_normalize,
            "attention_mask": attention_mask,
        },
        "ctc_conf": {"dropout_rate": float(config.get("final_dropout", 0.0))},
        "model_conf": {"ctc_weight": 1.0},
    })  # fmt: skip


def _of_language(folder: Path, lang: str | None) -> dict:
    """A language's own adapter and head, which MMS keeps in files of their own."""
    if lang is None:
        return {}
    name = f"adapter.{Path(lang).name}"
    paths = (folder / f"{name}.{ending}" for ending in ADAPTERS)
    path = next((each for each in paths if each.is_file()), None)
    if path is None:
        files = [each for end in ADAPTERS for each in folder.glob(f"adapter.*.{end}")]
        known = sorted({each.name.split(".")[1] for each in files})
        some = f"{', '.join(known[:8])}{' ...' if len(known) > 8 else ''}"
        raise UserError(
            f"{folder} has no {name}.{ADAPTERS[0]}. "
            + (f"Give --lang one of: {some}." if known else "Leave --lang out.")
        )
    return read_file(path)


def _names(given: Mapping[str, Any], model_type: str) -> tuple[dict[str, str], dict]:
    """Our name -> the folder's; and what only pretraining used, with its shapes."""
    origin, not_used = {}, {}
    for name, tensor in given.items():
        if name.startswith(PRETRAINING):
            not_used[name] = ("of pretraining", tuple(tensor.shape))
        elif name.startswith("lm_head."):
            origin[HEAD + name.removeprefix("lm_head.")] = name
        else:
            origin[BODY + name.removeprefix(f"{model_type}.")] = name
    return origin, not_used


def _mask(tensors: dict[str, Any], width: int) -> dict[str, str]:
    """The embedding of masked frames, where a model was trained without and asks for it."""
    if f"{BODY}{MASK}" in tensors:
        return {}
    import torch

    tensors[f"{BODY}{MASK}"] = torch.zeros(width)
    return {f"{BODY}{MASK}": "only masking in training reads it"}
