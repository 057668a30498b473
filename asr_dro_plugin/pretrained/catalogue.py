"""Pretrained speech models: named in ``local/ssl_checkpoints.tsv``, on the hub, or on this disk.

A slot uses one in one of two ways.  ESPnet's classes (frontend ``s3prl``, encoder ``wav2vec2``)
read the file whenever the model is built.  The components of ``OWN_WEIGHTS`` are built from
``model_config``, a plain dict that the configuration holds, and take the file's weights once, when
training begins: from then on the experiment's own model file has them.
"""

import csv
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from asr_dro_plugin.base.recipe_files import recipe_file
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.pretrained import downloads as _downloads
from asr_dro_plugin.pretrained import hub
from asr_dro_plugin.pretrained.fairseq_files import DICTIONARY
from asr_dro_plugin.pretrained.hf_folders import PREPROCESSOR
from asr_dro_plugin.pretrained.layouts import (
    LAYOUT_WORDS,
    LAYOUTS,
    OWN_WEIGHTS,
    USES,
    PretrainedModel,
    Use,
    inspect_checkpoint,
    model_config_at,
)
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.pretrained.whisper_sizes import published_config

TABLE = "local/ssl_checkpoints.tsv"


def use_of(config: Mapping) -> Use:
    """What the stack of ``config`` takes; a ``UserError`` if it takes no checkpoint."""
    is_s3prl = config.get("frontend") == "s3prl"
    name = "s3prl" if is_s3prl else str(config.get("encoder")).lower()
    if name in USES:
        return USES[name]
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
) -> PretrainedModel:
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


def _read_file(config: Mapping, checkpoint: PretrainedModel) -> PretrainedModel:
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


def _other_use(checkpoint: PretrainedModel) -> str:
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
) -> PretrainedModel:
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
        raise UserError(wrong_layout(checkpoint, layouts))
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


def wrong_layout(checkpoint: PretrainedModel, layouts: tuple[str, ...]) -> str:
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
    """Rows of the table, one a file; by default the recipe's, none without a recipe."""
    path = path or recipe_file(TABLE)
    if path is None:
        return []
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def _not_here_yet(name: str) -> PretrainedModel:
    """A hub's model, of which only the names of OpenAI's tell sizes."""
    config = published_config(name)
    width = config and config["d_model"]
    kind = "whisper" if config else ""
    return PretrainedModel(name, Path(name), "hf", width, None, None, kind, config)


def _from_table(
    name: str, rows: list[dict], downloads: Path, fetch: bool, layouts: tuple[str, ...]
) -> PretrainedModel:
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
    return PretrainedModel(name, path, layout, *sizes, model_config=model_config)


def model_config_of(config: Mapping) -> dict | None:
    """``encoder_conf.model_config`` of a stack, or what its ``ssl_checkpoint`` says if it is here.

    Raises:
        UserError: ``ssl_checkpoint`` names neither a known checkpoint nor a file.
    """
    if config.get("ssl_checkpoint"):
        return resolve_for(config, fetch=False).model_config
    return (config.get("encoder_conf") or {}).get("model_config")


def _check_fairseq_dictionary(path: Path, state: Mapping) -> None:
    """A checkpoint that was fine-tuned for ASR also needs its letters, beside it."""
    task = ((state.get("cfg") or {}).get("task") or {}).get("_name")
    if task == "audio_finetuning" and not (path.parent / DICTIONARY).is_file():
        raise UserError(
            f"{path} was fine-tuned with fairseq, which wants the dictionary {path.parent}/"
            f"{DICTIONARY} to load it. Put it there, use encoder fairseq_wav2vec2, which does "
            "without, or give the pretrained checkpoint."
        )
