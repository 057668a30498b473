"""Which pretrained model a stack starts from, and whether it takes it.

A slot uses one in one of two ways.  ESPnet's classes (frontend ``s3prl``, encoder ``wav2vec2``)
read the file whenever the model is built.  Components with ``own_weights`` are built from
``model_config``, a plain dict that the configuration holds, and take the file's weights once, when
training begins: from then on the experiment's own model file has them.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.catalogue import resolve_checkpoint
from asr_dro_plugin.pretrained.fairseq_files import DICTIONARY
from asr_dro_plugin.pretrained.hf_folders import PREPROCESSOR
from asr_dro_plugin.pretrained.layouts import PretrainedModel, model_config_at
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.stack.components import Component, Takes, facts_of, names_with


def holder_of(config: Mapping) -> tuple[str, Component]:
    """The slot whose component a checkpoint goes to, and what is known of that component; the
    encoder's where none takes one."""
    found = {
        slot: facts_of(slot, str(config.get(slot)).lower()) for slot in ("frontend", "encoder")
    }
    return next((item for item in found.items() if item[1].checkpoints), tuple(found.items())[-1])


def takers() -> str:
    """The components that take a checkpoint, in words."""
    frontends, encoders = (
        ", ".join(sorted(names_with("checkpoints", slot))) for slot in ("frontend", "encoder")
    )
    return f"frontend {frontends} or encoder {encoders}"


def use_of(config: Mapping) -> Takes:
    """What the stack of ``config`` takes; a ``UserError`` if it takes no checkpoint."""
    if takes := holder_of(config)[1].checkpoints:
        return takes
    raise UserError(
        f"ssl_checkpoint is set, but the stack has no {takers()}. Set one of them (as "
        "conf/train_asr_s3prl_identity.yaml and conf/train_asr_hf_xlsr300m.yaml do), or remove "
        "ssl_checkpoint."
    )


def takes_own_weights(config: Mapping) -> bool:
    """Whether the pretrained part of ``config`` is built from ``model_config``, without a file."""
    return holder_of(config)[1].own_weights


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
        slot, _ = holder_of(config)
        taker = f"{slot} {str(config.get(slot)).lower()}"
        raise UserError(
            f"ssl_checkpoint {checkpoint.path} is a {checkpoint.model_type}; {taker} takes "
            f"{', '.join(use.model_types)}.{_other_use(checkpoint, slot)}"
        )
    folder = checkpoint.path  # without the file s3prl would ask the hub for another model's
    needs_one = config.get("frontend") == "s3prl" and checkpoint.layout == "hf"
    if needs_one and folder.is_dir() and not (folder / PREPROCESSOR).is_file():
        raise UserError(
            f"{folder} has no {PREPROCESSOR}, which frontend s3prl needs. Put it there, or use "
            "encoder hf_wav2vec2, which does without."
        )
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


def _other_use(checkpoint: PretrainedModel, slot: str) -> str:
    """Which component of ours, in this slot or an encoder, takes a checkpoint."""
    ours = ((each, name) for each in (slot, "encoder") for name in names_with("own_weights", each))
    for each, name in ours:
        takes = facts_of(each, name).checkpoints
        if checkpoint.layout in takes.layouts and checkpoint.model_type in takes.model_types:
            return f" Give one of these, or set {each}: {name}."
    return " Give one of these."


def model_config_of(config: Mapping) -> dict | None:
    """``model_config`` that a stack gives, or what its ``ssl_checkpoint`` says if it is here.

    Raises:
        UserError: ``ssl_checkpoint`` names neither a known checkpoint nor a file.
    """
    if config.get("ssl_checkpoint"):
        return resolve_for(config, fetch=False).model_config
    return (config.get(f"{holder_of(config)[0]}_conf") or {}).get("model_config")


def _check_fairseq_dictionary(path: Path, state: Mapping) -> None:
    """A checkpoint that was fine-tuned for ASR also needs its letters, beside it."""
    task = ((state.get("cfg") or {}).get("task") or {}).get("_name")
    if task == "audio_finetuning" and not (path.parent / DICTIONARY).is_file():
        raise UserError(
            f"{path} was fine-tuned with fairseq, which wants the dictionary {path.parent}/"
            f"{DICTIONARY} to load it. Put it there, use encoder fairseq_wav2vec2, which does "
            "without, or give the pretrained checkpoint."
        )
