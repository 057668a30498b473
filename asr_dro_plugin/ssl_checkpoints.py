"""Self-supervised checkpoints: named in ``local/ssl_checkpoints.tsv``, or any local wav2vec 2.0.

Three layouts hold the same kind of model; which one a path has is read from its content:
``hf`` (a Hugging Face folder) and ``s3prl`` (s3prl's file) feed the frontend ``s3prl``;
``fairseq`` (fairseq's file) feeds ESPnet's encoder ``wav2vec2``.
"""

import copy
import csv
import hashlib
import json
import math
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin import downloads as _downloads
from asr_dro_plugin.errors import UserError, suggestion

LAYOUTS = ("hf", "s3prl", "fairseq")
LAYOUT_WORDS = {
    "hf": "a Hugging Face folder",
    "s3prl": "an s3prl file",
    "fairseq": "a fairseq file",
}
UPSTREAMS = {"hf": "hf_wav2vec2_custom", "s3prl": "wav2vec2_custom"}
# What Wav2Vec2Model keeps of a Hugging Face file; the rest are heads for pretraining or CTC.
HF_BODY = ("masked_spec_embed", "feature_extractor.", "feature_projection.", "encoder.", "adapter.")
TABLE = Path("local", "ssl_checkpoints.tsv")


@dataclass(frozen=True)
class Checkpoint:
    """A wav2vec 2.0 on disk (or still to be fetched) and the sizes that the stack needs."""

    name: str
    path: Path
    layout: str
    output_size: int
    num_layers: int
    num_params: int


def legal_layouts(config: Mapping) -> tuple[str, ...]:
    """The layouts that the stack of ``config`` takes; a ``UserError`` if it takes none."""
    if config.get("frontend") == "s3prl":
        return ("hf", "s3prl")
    if config.get("encoder") == "wav2vec2":
        return ("fairseq",)
    raise UserError(
        "ssl_checkpoint is set, but the stack has neither frontend s3prl nor encoder wav2vec2. "
        "Set one of them (as conf/train_asr_s3prl_identity.yaml and conf/train_asr_wav2vec2.yaml "
        "do), or remove ssl_checkpoint."
    )


def resolve_checkpoint(
    name_or_path: str | os.PathLike,
    downloads: str | os.PathLike = "downloads",
    fetch: bool = True,
    layouts: tuple[str, ...] = LAYOUTS,
) -> Checkpoint:
    """The checkpoint of that name or path, in the first of ``layouts`` that exists for it.

    A named one is fetched to ``downloads/<name>/<layout>/`` and verified; with ``fetch=False``
    nothing is fetched or verified and its sizes come from the table.
    Raises ``UserError`` for an unknown name, a damaged file, or a layout not in ``layouts``.
    """
    name = os.fspath(name_or_path)
    rows = read_checkpoint_table()
    if name in {row["name"] for row in rows}:
        return _from_table(name, rows, Path(downloads), fetch, layouts)
    if not Path(name).exists():
        known = sorted({row["name"] for row in rows})
        raise UserError(
            f"ssl_checkpoint {name} is neither a file or folder nor a name in {TABLE} "
            f"({', '.join(known)}).{suggestion(name, known)}"
        )
    checkpoint = inspect_checkpoint(Path(name))
    if checkpoint.layout not in layouts:
        raise UserError(_wrong_layout(checkpoint, layouts))
    return checkpoint


def _wrong_layout(checkpoint: Checkpoint, layouts: tuple[str, ...]) -> str:
    legal = " or ".join(LAYOUT_WORDS[layout] for layout in layouts)
    if checkpoint.layout == "fairseq" and "s3prl" in layouts:
        remedy = f"asr-dro convert-checkpoint {checkpoint.path} OUT.pt --layout s3prl makes one."
    else:
        other = "encoder wav2vec2" if checkpoint.layout == "fairseq" else "frontend s3prl"
        remedy = f"Give one of these, or use a configuration with {other}."
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
    return Checkpoint(name, path, layout, *sizes)


def inspect_checkpoint(path: Path) -> Checkpoint:
    """Layout and sizes of a local checkpoint, from its content (weights are not copied)."""
    path = Path(path).absolute()
    layout, numels = layout_and_sizes(path)
    found = (re.search(r"encoder\.layers\.(\d+)\.", name) for name in numels)
    layers = {match[1] for match in found if match}
    widths = [n for name, n in numels.items() if name.endswith("encoder.layer_norm.weight")]
    if not widths or not layers:
        raise UserError(f"{path} holds no wav2vec 2.0 transformer: no encoder.layers in it.")
    return Checkpoint(path.name, path, layout, widths[0], len(layers), sum(numels.values()))


def layout_and_sizes(path: Path) -> tuple[str, dict[str, int]]:
    """Layout of a local checkpoint, and the number of elements of each of its tensors by name."""
    return _inspect_folder(path) if path.is_dir() else _inspect_file(path)


def _inspect_folder(path: Path) -> tuple[str, dict[str, int]]:
    for needed in ("config.json", "preprocessor_config.json"):
        if not (path / needed).is_file():
            raise UserError(
                f"{path} has no {needed}, so it is not a Hugging Face model folder. It needs "
                "config.json, preprocessor_config.json and model.safetensors or pytorch_model.bin."
            )
    model_type = json.loads((path / "config.json").read_text("utf-8")).get("model_type")
    if model_type != "wav2vec2":
        raise UserError(
            f"{path}/config.json describes a {model_type}; ssl_checkpoint takes wav2vec2 models. "
            "For others set frontend_conf.frontend_conf (upstream, path_or_url) yourself."
        )
    numels: dict[str, int] = {}
    for file in path.glob("*.safetensors"):
        numels |= _safetensors_numels(file)
    for file in () if numels else path.glob("pytorch_model*.bin"):
        numels |= _numels(load_plain(file))
    if not numels:
        raise UserError(f"{path} has neither model.safetensors nor pytorch_model.bin.")
    body = {name.removeprefix("wav2vec2."): numel for name, numel in numels.items()}
    return "hf", {name: numel for name, numel in body.items() if name.startswith(HF_BODY)}


def _safetensors_numels(path: Path) -> dict[str, int]:
    """Number of elements of each tensor, from the file's header alone."""
    size = path.stat().st_size
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > size:
            raise UserError(f"{path} is damaged: its header does not fit into the file.")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    if header and 8 + length + max(entry["data_offsets"][1] for entry in header.values()) != size:
        raise UserError(f"{path} is damaged: it has {size} bytes, its header describes others.")
    return {name: math.prod(entry["shape"]) for name, entry in header.items()}


def _numels(weights: Mapping) -> dict[str, int]:
    return {name: value.numel() for name, value in weights.items() if hasattr(value, "numel")}


def _inspect_file(path: Path) -> tuple[str, dict[str, int]]:
    state = load_plain(path)
    keys = set(state) if isinstance(state, dict) else set()
    if {"task_cfg", "model_cfg", "model_weight"} <= keys:
        return "s3prl", _numels(state["model_weight"])
    if "model" in keys and keys & {"cfg", "args"}:
        _check_fairseq_dictionary(path, state)
        return "fairseq", _numels(state["model"])
    raise UserError(
        f"{path} is neither s3prl's layout (task_cfg, model_cfg, model_weight) nor fairseq's "
        f"(model, cfg): it holds {', '.join(sorted(map(str, keys))[:6]) or type(state).__name__}."
    )


def _check_fairseq_dictionary(path: Path, state: dict) -> None:
    """A checkpoint that was fine-tuned for ASR also needs its letters, beside it."""
    task = ((state.get("cfg") or {}).get("task") or {}).get("_name")
    if task == "audio_finetuning" and not (path.parent / "dict.ltr.txt").is_file():
        raise UserError(
            f"{path} was fine-tuned with fairseq, which wants the dictionary {path.parent}/"
            "dict.ltr.txt to load it. Put it there, or give the pretrained checkpoint."
        )


def load_plain(path: str | os.PathLike) -> object:
    """The content of a PyTorch file of tensors and plain containers, mapped rather than read.

    Anything else in it would be code run by unpickling: that raises ``UserError``, as a damaged
    file does.  There is no fall-back to unsafe loading.
    """
    import torch

    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)  # before PyTorch 1.6
    except pickle.UnpicklingError as error:
        if _starts_like_pytorch(path):
            raise UserError(_pickled_objects(path, error)) from error
        raise UserError(_not_pytorch(path)) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise UserError(_not_pytorch(path)) from error


def _starts_like_pytorch(path: str | os.PathLike) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2) in (b"PK", b"\x80\x02")


def _not_pytorch(path: str | os.PathLike) -> str:
    size = Path(path).stat().st_size
    return f"{path} ({size} bytes) is not a whole PyTorch file. Fetch it again."


def _pickled_objects(path: str | os.PathLike, error: Exception) -> str:
    found = re.findall(r"GLOBAL ([\w.]+)", str(error))
    what = f"objects ({found[0]})" if found else "objects"
    return (
        f"{path} pickles {what}, not plain containers; reading them would run code from the file. "
        "If you trust where it comes from: asr-dro convert-checkpoint "
        f"{path} OUT.pt --trust_pickle true, and use OUT.pt."
    )


def apply_to_config(
    config: Mapping, checkpoint: Checkpoint, downloads: str | os.PathLike = "downloads"
) -> dict:
    """A copy of ``config`` whose frontend (s3prl) or encoder (wav2vec2) loads ``checkpoint``."""
    if checkpoint.layout not in legal_layouts(config):
        raise UserError(_wrong_layout(checkpoint, legal_layouts(config)))
    config = copy.deepcopy(dict(config))
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
    layouts = legal_layouts(config)
    checkpoint = resolve_checkpoint(config["ssl_checkpoint"], downloads, layouts=layouts)
    return apply_to_config(config, checkpoint, downloads) | {"ssl_checkpoint": None}


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
