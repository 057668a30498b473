"""Pretrained speech models: named in ``local/ssl_checkpoints.tsv``, on the hub, or on this disk.

Three layouts hold them; which one a path has is read from its content: ``hf`` (a Hugging Face
folder), ``s3prl`` (s3prl's file) and ``fairseq`` (fairseq's file).

A slot uses one in one of two ways.  ESPnet's classes (frontend ``s3prl``, encoder ``wav2vec2``)
read the file whenever the model is built.  The components of ``OWN_WEIGHTS`` are built from
``model_config``, a plain dict that the configuration holds, and take the file's weights once, when
training begins: from then on the experiment's own model file has them.
"""

import copy
import csv
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from asr_dro_plugin import downloads as _downloads
from asr_dro_plugin import hub
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.fairseq_files import DICTIONARY, read_config, wants_normalized
from asr_dro_plugin.plain_pickles import load_as_data
from asr_dro_plugin.ssl_folders import (
    PREPROCESSOR,
    find_preprocessor,
    load_plain,
    network_config,
    read_json,
    tensor_numels,
)
from asr_dro_plugin.whisper_sizes import published_config

LAYOUTS = ("hf", "s3prl", "fairseq")
LAYOUT_WORDS = {
    "hf": "a Hugging Face folder",
    "s3prl": "an s3prl file",
    "fairseq": "a fairseq file",
}
UPSTREAMS = {"hf": "hf_wav2vec2_custom", "s3prl": "wav2vec2_custom"}
# The networks of a Hugging Face model beside its heads for pretraining, CTC or text.
HF_BODY = (
    "masked_spec_embed", "feature_extractor.", "feature_projection.", "encoder.", "decoder.",
    "adapter.",
)  # fmt: skip
TABLE = Path("local", "ssl_checkpoints.tsv")
SAMPLE_RATE = 16000


@dataclass(frozen=True)
class Checkpoint:
    """A pretrained model on disk (or still to be fetched) and the sizes that the stack needs.

    Attributes:
        output_size, num_layers, num_params: None for a hub's model that is not here yet.
        model_type: Hugging Face's word for the architecture; empty for a hub's that is not here.
        model_config: what ``OWN_WEIGHTS`` components are built from; None while it is not here.
    """

    name: str
    path: Path
    layout: str
    output_size: int | None
    num_layers: int | None
    num_params: int | None
    model_type: str = "wav2vec2"
    model_config: Mapping | None = None


@dataclass(frozen=True)
class Use:
    """What a slot takes: layouts in the order of preference, and architectures."""

    layouts: tuple[str, ...]
    model_types: tuple[str, ...] = ("wav2vec2",)


# Components whose pretrained weights become the experiment's own.
OWN_WEIGHTS = {
    "hf_wav2vec2": Use(("hf",), ("wav2vec2", "hubert", "wavlm")),
    "fairseq_wav2vec2": Use(("fairseq", "s3prl"), ("wav2vec2", "hubert")),
    "hf_whisper": Use(("hf",), ("whisper",)),
}
OWN_SLOTS = ("encoder", "decoder")  # which may hold one of them


def use_of(config: Mapping) -> Use:
    """What the stack of ``config`` takes; a ``UserError`` if it takes no checkpoint."""
    if config.get("frontend") == "s3prl":
        return Use(("hf", "s3prl"))
    encoder = str(config.get("encoder")).lower()
    if encoder == "wav2vec2":
        return Use(("fairseq",))
    if encoder in OWN_WEIGHTS:
        return OWN_WEIGHTS[encoder]
    raise UserError(
        "ssl_checkpoint is set, but the stack has neither frontend s3prl nor encoder wav2vec2, "
        f"{', '.join(sorted(OWN_WEIGHTS))}. Set one of them (as "
        "conf/train_asr_s3prl_identity.yaml and conf/train_asr_hf_xlsr300m.yaml do), or remove "
        "ssl_checkpoint."
    )


def legal_layouts(config: Mapping) -> tuple[str, ...]:
    """The layouts that the stack of ``config`` takes; a ``UserError`` if it takes none."""
    return use_of(config).layouts


def takes_own_weights(config: Mapping) -> bool:
    """Whether the encoder of ``config`` is built from ``model_config``, without a file."""
    return config.get("frontend") != "s3prl" and str(config.get("encoder")).lower() in OWN_WEIGHTS


def resolve_for(
    config: Mapping, downloads: str | os.PathLike = "downloads", fetch: bool = True
) -> Checkpoint:
    """The checkpoint that ``ssl_checkpoint`` of ``config`` names, held against its stack.

    Raises:
        UserError: as ``resolve_checkpoint``; another architecture; a folder without what s3prl
            needs.
    """
    use = use_of(config)
    checkpoint = resolve_checkpoint(config["ssl_checkpoint"], downloads, fetch, use.layouts)
    if checkpoint.layout != "hf" and checkpoint.path.is_file():
        checkpoint = _read_file(config, checkpoint)
    if checkpoint.model_type and checkpoint.model_type not in use.model_types:
        slot = "frontend s3prl" if config.get("frontend") == "s3prl" else config.get("encoder")
        raise UserError(
            f"ssl_checkpoint {checkpoint.path} is a {checkpoint.model_type}; {slot} takes "
            f"{', '.join(use.model_types)}.{_other_use(checkpoint)}"
        )
    if config.get("frontend") == "s3prl" and checkpoint.layout == "hf":
        _check_preprocessor_beside(checkpoint.path)
    return checkpoint


def _read_file(config: Mapping, checkpoint: Checkpoint) -> Checkpoint:
    """A file of fairseq's or s3prl's, held against what the stack does with it.

    ``fairseq_wav2vec2`` reads any as data; the others leave it to fairseq and s3prl, which unpickle
    it and look for its letters.
    """
    if takes_own_weights(config):
        found = model_config_at(checkpoint.path, str(config["ssl_checkpoint"]))
        return replace(checkpoint, model_config=found, model_type=found["model_type"])
    state = load_plain(checkpoint.path)
    if checkpoint.layout == "fairseq":
        _check_fairseq_dictionary(checkpoint.path, state)
    return checkpoint


def _other_use(checkpoint: Checkpoint) -> str:
    """Which encoder of ours takes a checkpoint."""
    takers = (
        name
        for name, use in OWN_WEIGHTS.items()
        if checkpoint.layout in use.layouts and checkpoint.model_type in use.model_types
    )
    name = next(takers, None)
    return f" Give one of these, or set encoder: {name}." if name else " Give one of these."


def _check_preprocessor_beside(folder: Path) -> None:
    """Without it s3prl would ask the hub for another model's."""
    if folder.is_dir() and not (folder / PREPROCESSOR).is_file():
        raise UserError(
            f"{folder} has no {PREPROCESSOR}, which frontend s3prl needs. Put it there, or use "
            "encoder hf_wav2vec2, which does without."
        )


def resolve_checkpoint(
    name_or_path: str | os.PathLike,
    downloads: str | os.PathLike = "downloads",
    fetch: bool = True,
    layouts: tuple[str, ...] = LAYOUTS,
) -> Checkpoint:
    """The checkpoint of that name or path, in the first of ``layouts`` that exists for it.

    A named one is fetched to ``downloads/<name>/<layout>/`` and verified, ``org/name`` and
    ``org/name@revision`` come from the hub (see ``hub``); with ``fetch=False`` nothing is fetched
    or verified, and sizes come from the table or stay unknown.
    Raises ``UserError`` for an unknown name, a damaged file, or a layout not in ``layouts``.
    """
    name = os.fspath(name_or_path)
    rows = read_checkpoint_table()
    if name in {row["name"] for row in rows}:
        return _from_table(name, rows, Path(downloads), fetch, layouts)
    if Path(name).exists():
        path = Path(name)
        if fetch:
            _check_sums_beside(path)
    elif hub.is_hub_id(name) and "hf" in layouts:
        path = hub.fetch_model(name, Path(downloads)) if fetch else hub.here(name, Path(downloads))
        if path is None:
            return _not_here_yet(name)
    else:
        known = sorted({row["name"] for row in rows})
        raise UserError(
            f"ssl_checkpoint {name} is neither a file or folder nor a name in {TABLE} "
            f"({', '.join(known)}).{suggestion(name, known)}"
        )
    checkpoint = inspect_checkpoint(path, name)
    if checkpoint.layout not in layouts:
        raise UserError(_wrong_layout(checkpoint, layouts))
    return checkpoint


def _check_sums_beside(path: Path) -> None:
    """Hold a local checkpoint against the sums that lie beside its files (``FILE.sha256``)."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        if Path(f"{file}.sha256").is_file() and not _downloads.verify(file):
            raise UserError(
                f"{file} does not have the SHA-256 in {file.name}.sha256 beside it. Fetch it "
                "again, or remove that file if the sum is wrong."
            )


def _wrong_layout(checkpoint: Checkpoint, layouts: tuple[str, ...]) -> str:
    legal = " or ".join(LAYOUT_WORDS[layout] for layout in layouts)
    if checkpoint.layout == "fairseq" and "s3prl" in layouts:
        remedy = f"asr-dro convert-checkpoint {checkpoint.path} OUT.pt --layout s3prl makes one."
    else:
        fits = {
            "fairseq": "encoder wav2vec2 or fairseq_wav2vec2",
            "hf": "frontend s3prl or encoder hf_wav2vec2",
            "s3prl": "frontend s3prl",
        }
        remedy = f"Give one of these, or use a configuration with {fits[checkpoint.layout]}."
    return (
        f"ssl_checkpoint {checkpoint.path} is {LAYOUT_WORDS[checkpoint.layout]}; "
        f"this stack takes {legal}. {remedy}"
    )


def read_checkpoint_table(path: str | os.PathLike | None = None) -> list[dict[str, str]]:
    """Rows of the table, one a file; by default the recipe's, else the one beside the package."""
    if path is None:
        path = TABLE if TABLE.is_file() else Path(__file__).resolve().parents[1] / TABLE
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def _not_here_yet(name: str) -> Checkpoint:
    """A hub's model, of which only the names of OpenAI's tell sizes."""
    config = published_config(name)
    width = config and config["d_model"]
    kind = "whisper" if config else ""
    return Checkpoint(name, Path(name), "hf", width, None, None, kind, config)


def _from_table(
    name: str, rows: list[dict], downloads: Path, fetch: bool, layouts: tuple[str, ...]
) -> Checkpoint:
    offered = {row["layout"] for row in rows if row["name"] == name}
    layout = next((layout for layout in layouts if layout in offered), None)
    if layout is None:
        raise UserError(
            f"ssl_checkpoint {name} has no layout {' or '.join(layouts)} in {TABLE}, only "
            f"{', '.join(sorted(offered))}. Add a row, or give a path."
        )
    files = [row for row in rows if row["name"] == name and row["layout"] == layout]
    folder = (downloads / name / layout).absolute()
    if fetch:
        for row in files:
            size = int(row["num_bytes"]) if row["num_bytes"] else None
            _downloads.fetch(row["url"], folder / row["file"], row["sha256"] or None, size)
    path = folder if layout == "hf" else folder / files[0]["file"]
    sizes = (int(files[0][key]) for key in ("output_size", "num_layers", "num_params"))
    here = fetch or all((folder / row["file"]).is_file() for row in files)
    model_config = model_config_at(path, name) if here and layout == "hf" else None
    return Checkpoint(name, path, layout, *sizes, model_config=model_config)


def inspect_checkpoint(path: Path, name: str | None = None) -> Checkpoint:
    """Layout, architecture and sizes of a local checkpoint, from its content (weights are not
    copied).

    Args:
        name: how the user calls it; by default its path.
    """
    path = Path(path).absolute()
    layout, numels = layout_and_sizes(path)
    config = model_config_at(path, name or str(path)) if layout == "hf" else {}
    model_type = config.get("model_type", "wav2vec2")
    found = (re.search(r"encoder\.layers\.(\d+)\.", name) for name in numels)
    layers = {match[1] for match in found if match}
    widths = [n for name, n in numels.items() if name.endswith("encoder.layer_norm.weight")]
    if not widths or not layers:
        what = "wav2vec 2.0" if layout != "hf" else model_type
        raise UserError(f"{path} holds no {what} transformer: no encoder.layers in it.")
    sizes = (widths[0], len(layers), sum(numels.values()))
    return Checkpoint(path.name, path, layout, *sizes, model_type, config or None)


def model_config_at(path: Path, name: str) -> dict:
    """What a network like that of a local checkpoint is built from: plain containers.

    ``config.json`` of a Hugging Face folder, and what would stand in it for a file of fairseq's or
    s3prl's.  ``_name_or_path`` is ``name``.
    """
    if path.is_dir():
        return network_config(path, name)
    return {**read_config(path), "_name_or_path": name}


def model_config_of(config: Mapping) -> dict | None:
    """``encoder_conf.model_config`` of a stack, or what its ``ssl_checkpoint`` says if it is here.

    Raises:
        UserError: ``ssl_checkpoint`` names neither a known checkpoint nor a file.
    """
    if config.get("ssl_checkpoint"):
        return resolve_for(config, fetch=False).model_config
    return (config.get("encoder_conf") or {}).get("model_config")


def width_of(model_config: Mapping) -> int | None:
    """Features of a frame that leave the encoder of ``model_config``."""
    keys = ("d_model", "hidden_size")
    if model_config.get("add_adapter") and model_config.get("output_hidden_size"):
        keys = ("output_hidden_size",)
    return next((model_config[key] for key in keys if model_config.get(key)), None)


def layout_and_sizes(path: Path) -> tuple[str, dict[str, int]]:
    """Layout of a local checkpoint, and the number of elements of each of its tensors by name."""
    return _inspect_folder(path) if path.is_dir() else _inspect_file(path)


def _inspect_folder(path: Path) -> tuple[str, dict[str, int]]:
    model_type = str(read_json(path, "config.json").get("model_type"))
    known = sorted({kind for use in OWN_WEIGHTS.values() for kind in use.model_types})
    if model_type not in known:
        raise UserError(
            f"{path}/config.json describes a {model_type}; ssl_checkpoint takes "
            f"{', '.join(known)}. For others set frontend_conf.frontend_conf (upstream, "
            "path_or_url) yourself."
        )
    prefix = "model." if model_type == "whisper" else f"{model_type}."
    body = {name.removeprefix(prefix): n for name, n in tensor_numels(path).items()}
    return "hf", {name: numel for name, numel in body.items() if name.startswith(HF_BODY)}


def _numels(weights: Mapping) -> dict[str, int]:
    return {name: value.numel() for name, value in weights.items() if hasattr(value, "numel")}


def _inspect_file(path: Path) -> tuple[str, dict[str, int]]:
    state = load_as_data(path)
    keys = set(state) if isinstance(state, dict) else set()
    if {"task_cfg", "model_cfg", "model_weight"} <= keys:
        return "s3prl", _numels(state["model_weight"])
    if "model" in keys and keys & {"cfg", "args"}:
        return "fairseq", _numels(state["model"])
    raise UserError(
        f"{path} is neither s3prl's layout (task_cfg, model_cfg, model_weight) nor fairseq's "
        f"(model, cfg): it holds {', '.join(sorted(map(str, keys))[:6]) or type(state).__name__}."
    )


def _check_fairseq_dictionary(path: Path, state: Mapping) -> None:
    """A checkpoint that was fine-tuned for ASR also needs its letters, beside it."""
    task = ((state.get("cfg") or {}).get("task") or {}).get("_name")
    if task == "audio_finetuning" and not (path.parent / DICTIONARY).is_file():
        raise UserError(
            f"{path} was fine-tuned with fairseq, which wants the dictionary {path.parent}/"
            f"{DICTIONARY} to load it. Put it there, use encoder fairseq_wav2vec2, which does "
            "without, or give the pretrained checkpoint."
        )


def apply_to_config(
    config: Mapping, checkpoint: Checkpoint, downloads: str | os.PathLike = "downloads"
) -> dict:
    """A copy of ``config`` whose frontend or encoder is the model of ``checkpoint``.

    s3prl and wav2vec2 get the path of its file; a component of ``OWN_WEIGHTS`` gets
    ``model_config`` and, where it has not said so itself, what the preprocessor does to the speech.
    """
    if checkpoint.layout not in legal_layouts(config):
        raise UserError(_wrong_layout(checkpoint, legal_layouts(config)))
    config = copy.deepcopy(dict(config))
    if takes_own_weights(config):
        return with_model_config(config, checkpoint)
    if config.get("frontend") == "s3prl":
        conf = config["frontend_conf"] = dict(config.get("frontend_conf") or {})
        chosen = {"upstream": UPSTREAMS[checkpoint.layout], "path_or_url": str(checkpoint.path)}
        where = "frontend_conf.frontend_conf"
        conf["frontend_conf"] = _set(conf.get("frontend_conf"), chosen, where)
        return config
    folder = _lockable_folder(checkpoint.path, Path(downloads))
    chosen = {"w2v_url": checkpoint.path.name, "w2v_dir_path": str(folder)}
    config["encoder_conf"] = _set(config.get("encoder_conf"), chosen, "encoder_conf")
    config["encoder_conf"].setdefault("output_size", checkpoint.output_size)
    return config


def use_checkpoint(config: Mapping, downloads: str | os.PathLike = "downloads") -> dict:
    """A copy of ``config`` whose ``ssl_checkpoint``, if it has one, is here and in its place.

    Frontend or encoder then name the file itself, and ``ssl_checkpoint`` is None: an experiment's
    ``config.yaml`` does not look the name up again.
    """
    if not config.get("ssl_checkpoint"):
        return dict(config)
    checkpoint = resolve_for(config, downloads)
    return apply_to_config(config, checkpoint, downloads) | {"ssl_checkpoint": None}


def with_model_config(config: Mapping, checkpoint: Checkpoint) -> dict:
    """A copy of ``config`` whose ``OWN_WEIGHTS`` components are built like ``checkpoint``."""
    config = dict(config)
    for slot in OWN_SLOTS:
        if str(config.get(slot)).lower() in OWN_WEIGHTS:
            conf = config[f"{slot}_conf"] = dict(config.get(f"{slot}_conf") or {})
            conf["model_config"] = copy.deepcopy(dict(checkpoint.model_config))
    if str(config["encoder"]).lower() in ("hf_wav2vec2", "fairseq_wav2vec2"):
        config["encoder_conf"].setdefault("do_normalize", normalizes_at(checkpoint.path))
    return config


def normalizes_at(path: Path) -> bool:
    """Whether a pretrained wav2vec 2.0 wants speech of mean 0 and variance 1.

    That is ``do_normalize`` of a folder's ``preprocessor_config.json`` (where it is missing, what
    transformers takes for granted: it does), or ``normalize`` of fairseq's task.
    """
    if path.is_file():
        return wants_normalized(path)
    found = find_preprocessor(path)
    if found is None:
        return True
    where, preprocessor = found
    _check_rate(where, preprocessor)
    return bool(preprocessor.get("do_normalize", True))


def _check_rate(where: Path, preprocessor: Mapping) -> None:
    rate = preprocessor.get("sampling_rate", SAMPLE_RATE)
    if rate != SAMPLE_RATE:
        raise UserError(
            f"{where} asks for speech at {rate} Hz, but the recipe's is "
            f"{SAMPLE_RATE}. Give a model for {SAMPLE_RATE} Hz."
        )


def _set(conf: Mapping | None, chosen: Mapping[str, str], where: str) -> dict:
    """``conf`` with ``chosen``; the user may not have said otherwise."""
    conf = dict(conf or {})
    for key, value in chosen.items():
        if conf.get(key, value) != value:
            raise UserError(
                f"{where}.{key} is {conf[key]}, but ssl_checkpoint asks for {value}. "
                "Keep one of them."
            )
    return conf | dict(chosen)


def _lockable_folder(path: Path, downloads: Path) -> Path:
    """The folder of ``path``, or one with a link to it where that may not be written.

    ESPnet's encoder makes a lock file beside the checkpoint even if it has nothing to download.
    """
    if os.access(path.parent, os.W_OK) or not path.exists():
        return path.parent
    folder = (downloads / "links" / hashlib.sha256(str(path).encode()).hexdigest()[:12]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for file in (path, path.parent / "dict.ltr.txt"):
        if file.exists() and not (folder / file.name).exists():
            (folder / file.name).symlink_to(file)
    return folder
