"""Pretrained speech models: named in ``local/ssl_checkpoints.tsv``, on the hub, or on this disk."""

import csv
import os
from pathlib import Path

from asr_dro_plugin.base.recipe_files import recipe_file
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.pretrained import hub
from asr_dro_plugin.pretrained import layouts as on_disk
from asr_dro_plugin.pretrained.layouts import LAYOUT_WORDS, LAYOUTS, PretrainedModel
from asr_dro_plugin.pretrained.whisper_sizes import published_config

TABLE = "local/ssl_checkpoints.tsv"


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
        if path is None:  # of which only the names of OpenAI's tell sizes
            config = published_config(name)
            width, kind = (config["d_model"], "whisper") if config else (None, "")
            return PretrainedModel(name, Path(name), "hf", width, None, None, kind, config)
    else:
        known = sorted({row["name"] for row in rows})
        raise UserError(
            f"ssl_checkpoint {name} is neither a file or folder nor a name in {TABLE} "
            f"({', '.join(known)}).{suggestion(name, known)}"
        )
    checkpoint = on_disk.inspect_checkpoint(path, name)
    if checkpoint.layout not in layouts:
        raise UserError(wrong_layout(checkpoint, layouts))
    return checkpoint


def _check_sums_beside(path: Path) -> None:
    """Hold a local checkpoint against the sums that lie beside its files (``FILE.sha256``)."""
    from asr_dro_plugin.pretrained.downloads import verify  # whose network code takes its time

    files = sorted(path.iterdir()) if path.is_dir() else [path]
    for file in files:
        if Path(f"{file}.sha256").is_file() and not verify(file):
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
        from asr_dro_plugin.pretrained.downloads import fetch as fetch_file

        for row in files:
            size = int(row["num_bytes"]) if row["num_bytes"] else None
            fetch_file(row["url"], folder / row["file"], row["sha256"] or None, size)
    path = folder if layout == "hf" else folder / files[0]["file"]
    sizes = (int(files[0][key]) for key in ("output_size", "num_layers", "num_params"))
    here = fetch or all((folder / row["file"]).is_file() for row in files)
    model_config = on_disk.model_config_at(path, name) if here and layout == "hf" else None
    return PretrainedModel(name, path, layout, *sizes, model_config=model_config)
