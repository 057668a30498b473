"""``--from nemo``: a ``.nemo`` file with a QuartzNet, whose blank is the last output.

The file is a tar archive (gzip in old releases) with ``model_config.yaml`` and
``model_weights.ckpt``; both are read as data, nothing else of it is.  Settings that this network
does not have are refused by name, for their model would compute something else.
"""

import dataclasses
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.importing.found import HEAD, Found, Wish
from asr_dro_plugin.packing.content import check_tensors, read_yaml
from asr_dro_plugin.packing.tar_members import extract
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.stack.sizes import resolve
from asr_dro_plugin.text.tokens import BLANK, SPACE

CONFIG, WEIGHTS = "model_config.yaml", "model_weights.ckpt"
ENCODER, DECODER = "ConvASREncoder", "ConvASRDecoder"
BODY = "encoder.net."
THEIR_HEAD = "decoder.decoder_layers.0."
FEATURES = "preprocessor."
TABLES = ("preprocessor.featurizer.window", "preprocessor.featurizer.fb")
MAX_NUMBER, MAX_BLOCKS = 10_000, 1_000  # more than any model has
CLOSE = 1e-3  # of a table's largest value: releases computed mel filters in single precision
# A block's setting -> the values under which it is one of ours; None is that it is missing.
BLOCK_FIXED = {
    "residual_dense": (None, False), "groups": (None, 1), "heads": (None, -1),
    "kernel_size_factor": (None, 1), "stride_last": (None, False), "residual_mode": (None, "add"),
    "se_reduction_ratio": (None, 8), "se_context_size": (None, -1), "future_context": (None, -1),
    "quantize": (None, False), "inplace_dropout": (None, False, True),
    "se_interpolation_mode": (None, "nearest"),
}  # fmt: skip
BLOCK_OWN = ("filters", "repeat", "kernel", "stride", "dilation", "dropout", "residual",
             "separable", "se")  # fmt: skip
ENCODER_FIXED = {
    "activation": (None, "relu"), "normalization_mode": (None, "batch"),
    "residual_mode": (None, "add"), "norm_groups": (None, -1), "frame_splicing": (None, 1),
    "init_mode": (None, "xavier_uniform"), "quantize": (None, False),
}  # fmt: skip


def read(wish: Wish) -> Found:
    """The model of an archive.

    Raises:
        UserError: a hostile or damaged archive, another architecture, or settings, weights and
            vocabulary that do not belong together.
    """
    config, state = _contents(wish)
    encoder, decoder = (_section(config, name, wish.path) for name in ("encoder", "decoder"))
    _check_architecture(config, encoder, decoder, wish.path)
    tokens = _tokens(config, decoder, wish.path)
    settings, notes = features(config, wish.path)
    stack = resolve({
        "frontend": "log_mel", "frontend_conf": settings.to_dict(), "normalize": "none",
        "encoder": "quartznet", "encoder_conf": network(encoder, wish.path),
        "model_conf": {"ctc_weight": 1.0},
    })  # fmt: skip
    origin = _names(stack, state)
    tensors = {ours: state[theirs] for ours, theirs in origin.items() if theirs in state}
    if f"{HEAD}weight" in tensors and tensors[f"{HEAD}weight"].dim() == 3:  # taps, of which one
        tensors[f"{HEAD}weight"] = tensors[f"{HEAD}weight"].squeeze(-1)
    tables = _check_tables(state, settings, wish.path)
    left = [name for name in state if name not in origin.values() and name not in tables]
    recomputed = {n: ("computed from the settings", tuple(state[n].shape)) for n in tables}
    return Found(
        stack, tokens, tensors | {name: state[name] for name in left}, origin=origin,
        not_used=recomputed, facts={"architecture": ENCODER, "notes": notes}, files=(wish.path,),
    )  # fmt: skip


def _contents(wish: Wish) -> tuple[dict, dict[str, Any]]:
    """Configuration and tensors of the archive."""
    if not wish.path.is_file():
        raise UserError(f"{wish.path} is a folder. Give a .nemo file.")
    files = {name: wish.work / name for name in (CONFIG, WEIGHTS)}
    found = extract(wish.path, files, int(wish.max_gib * 2**30))
    for name in files:
        if name not in found:
            raise UserError(f"{wish.path} has no member {name}, so it is no .nemo model.")
    config = read_yaml(files[CONFIG], f"{wish.path}: member {CONFIG}")
    check_tensors(files[WEIGHTS], f"{wish.path}: member {WEIGHTS}")
    state = load_plain(files[WEIGHTS])
    if not isinstance(state, Mapping) or not all(hasattr(v, "shape") for v in state.values()):
        raise UserError(f"{wish.path}: member {WEIGHTS} holds no tensors by name.")
    return config, {str(name): value for name, value in state.items()}


def _section(config: Mapping, name: str, path: Path) -> dict:
    """A part of the configuration; the first releases kept its arguments under ``params``."""
    section = config.get(name)
    if not isinstance(section, Mapping):
        raise UserError(f"{path}: {CONFIG} has no section {name}, so it is no model for CTC.")
    params = section.get("params")
    return {**section, **(params if isinstance(params, Mapping) else {})}


def _check_architecture(config: Mapping, encoder: Mapping, decoder: Mapping, path: Path) -> None:
    if isinstance(config.get("tokenizer"), Mapping):
        raise UserError(
            f"{path} writes sub-words of a tokenizer, as Citrinet and Conformer do, which is not "
            "supported. Give a model of characters (QuartzNet)."
        )
    for section, name, legal in (encoder, "encoder", ENCODER), (decoder, "decoder", DECODER):
        found = str(section.get("_target_") or section.get("cls") or "").rsplit(".", 1)[-1]
        if found != legal:
            raise UserError(
                f"{path}: its {name} is {found or 'unknown'}, which is not supported. "
                f"Legal: {legal} (QuartzNet)."
            )
    for key, legal in ENCODER_FIXED.items():
        _refuse_other(encoder.get(key), legal, f"encoder.{key}", path)
    if decoder.get("add_blank", True) is not True:
        raise UserError(f"{path}: its decoder has no blank, which CTC needs.")


def _refuse_other(value: object, legal: Sequence, name: str, path: Path) -> None:
    if not isinstance(value, list | Mapping) and value in legal:
        return
    if isinstance(value, list) and len(value) == 1 and value[0] in legal:
        return
    words = ", ".join(str(each) for each in legal if each is not None)
    given = value if isinstance(value, str | int | float) else reprlib.repr(value)
    raise UserError(f"{path}: {name} is {given}, which is not supported. Legal: {words}.")


def _tokens(config: Mapping, decoder: Mapping, path: Path) -> list[str]:
    """The characters in the order of the outputs, and the blank behind them."""
    labels = decoder.get("vocabulary")
    if not isinstance(labels, list) or not labels:
        labels = config.get("labels")
    if not isinstance(labels, list) or not labels:
        raise UserError(f"{path}: {CONFIG} has neither decoder.vocabulary nor labels.")
    tokens = [SPACE if label == " " else str(label) for label in labels]
    strange = [str(label) for label in labels if not isinstance(label, str | int)]
    strange += [t for t in tokens if not t or t.splitlines() != [t] or t != t.strip()]
    if strange or len({*tokens, BLANK}) <= len(tokens):
        what = reprlib.repr(strange[0]) if strange else "a label twice"
        raise UserError(f"{path}: its vocabulary holds {what}, which is no list of characters.")
    return [*tokens, BLANK]


def features(config: Mapping, path: Path) -> tuple[LogMelSettings, list[str]]:
    """The features of a model, as the release that wrote it computed them.

    Releases before 2 mirrored the signal at its ends; the first ones counted ceil(n / hop) frames,
    later ones n // hop + 1, and from 2 on it is n // hop.

    Raises:
        UserError: a preprocessor that we do not have, or audio of another rate.
    """
    section = config.get("preprocessor")
    if not isinstance(section, Mapping):
        raise UserError(f"{path}: {CONFIG} has no section preprocessor.")
    try:
        settings = LogMelSettings.from_nemo(section)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if settings.sample_rate != SAMPLE_RATE:
        raise UserError(
            f"{path} is for audio at {settings.sample_rate} Hz, but the recipe's is {SAMPLE_RATE}. "
            f"Give a model for {SAMPLE_RATE} Hz."
        )
    version = str(config.get("nemo_version") or "")
    first = "cls" in section or version.startswith(("0.", "1.0"))
    if not (first or version.startswith("1.")):
        return settings, []
    count = "ceil" if first else "all"
    note = (
        f"Written by an old NeMo{f' ({version})' if version else ''}: features as it computed them "
        f"(frontend_conf pad_mode reflect, frame_count {count})"
    )
    return dataclasses.replace(settings, pad_mode="reflect", frame_count=count), [note]


def network(encoder: Mapping, path: Path) -> dict[str, Any]:
    """``encoder_conf`` of our QuartzNet.

    Raises:
        UserError: a block that it does not have.
    """
    jasper = encoder.get("jasper")
    if not isinstance(jasper, list) or not jasper:
        raise UserError(f"{path}: {CONFIG} has no list encoder.jasper.")
    blocks = [_block(block, f"encoder.jasper[{i}]", path) for i, block in enumerate(jasper)]
    if (number := sum(block["repeat"] for block in blocks)) > MAX_BLOCKS:
        raise UserError(f"{path}: encoder.jasper has {number} sub-blocks, more than any model.")
    dropouts = [block.get("dropout") or 0.0 for block in jasper]
    for i, share in enumerate(dropouts):
        if not isinstance(share, int | float) or not 0 <= share < 1:
            words = reprlib.repr(share)
            raise UserError(f"{path}: encoder.jasper[{i}].dropout is {words}, not in [0, 1).")
    return {
        "blocks": blocks,
        "dropout": float(max(dropouts)),
        "conv_mask": bool(encoder.get("conv_mask", True)),
    }


def _block(block: object, where: str, path: Path) -> dict[str, Any]:
    if not isinstance(block, Mapping):
        raise UserError(f"{path}: {where} is no block.")
    for key, value in block.items():
        if key not in BLOCK_OWN:
            legal = BLOCK_FIXED.get(key)
            if legal is None:
                raise UserError(f"{path}: {where}.{key} is not known to our QuartzNet.")
            _refuse_other(value, legal, f"{where}.{key}", path)
    given = {key: block.get(key, 1) for key in ("repeat", "kernel", "stride", "dilation")}
    given = {"filters": block.get("filters"), **given}
    return {
        **{key: _number(value, f"{where}.{key}", path) for key, value in given.items()},
        **{key: bool(block.get(key, False)) for key in ("residual", "separable", "se")},
    }


def _number(value: object, where: str, path: Path) -> int:
    """A whole number, which NeMo writes as a list of one where several dimensions are meant."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_NUMBER:
        words = reprlib.repr(value)
        raise UserError(f"{path}: {where} is {words}, not a whole number in 1..{MAX_NUMBER}.")
    return value


def _names(stack: Mapping, state: Mapping) -> dict[str, str]:
    """Our name -> NeMo's, of every tensor of the model."""
    from asr_dro_plugin.nets.quartznet import QuartzNet, nemo_names
    from asr_dro_plugin.stack.construct import construct

    arguments = {**stack["encoder_conf"], "input_size": stack["frontend_conf"]["n_mels"]}
    try:
        net = construct(f"{QuartzNet.__module__}:{QuartzNet.__name__}", arguments)
    except ValueError as error:
        raise UserError(f"encoder.jasper: {error}") from None
    masked = any(name.endswith(".conv.weight") for name in state)
    names = {f"{BODY}{ours}": theirs for ours, theirs in nemo_names(net, masked).items()}
    return names | {f"{HEAD}{part}": f"{THEIR_HEAD}{part}" for part in ("weight", "bias")}


def _check_tables(state: Mapping, settings: LogMelSettings, path: Path) -> list[str]:
    """Names of the window and the filters in the file, which must be those that we compute.

    Raises:
        UserError: they are others.
    """
    import torch

    from asr_dro_plugin.features.log_mel import filters_of, window_for

    ours = (window_for(settings), filters_of(settings))
    for name, table in zip(TABLES, ours, strict=True):
        if name not in state:
            continue
        theirs, table = state[name].double().squeeze(), torch.from_numpy(table)
        if theirs.shape != table.shape or (theirs - table).abs().max() > CLOSE * table.abs().max():
            raise UserError(
                f"{path}: {name} is not what its preprocessor's settings give, so its features "
                "cannot be computed here. Give another file."
            )
    return [name for name in state if name in TABLES]
