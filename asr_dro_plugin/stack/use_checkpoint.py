"""``ssl_checkpoint`` resolved: a pretrained model's path and settings, written into a config."""

import copy
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.catalogue import wrong_layout
from asr_dro_plugin.pretrained.fairseq_files import DICTIONARY, wants_normalized
from asr_dro_plugin.pretrained.hf_folders import find_preprocessor
from asr_dro_plugin.pretrained.layouts import PretrainedModel
from asr_dro_plugin.stack.components import OWN_SLOTS, facts_of
from asr_dro_plugin.stack.ssl_checkpoint import resolve_for, takes_own_weights, use_of

UPSTREAMS = {"hf": "hf_wav2vec2_custom", "s3prl": "wav2vec2_custom"}


def apply_to_config(
    config: Mapping, checkpoint: PretrainedModel, downloads: str | os.PathLike = "downloads"
) -> dict:
    """A copy of ``config`` whose frontend or encoder is the model of ``checkpoint``.

    s3prl and wav2vec2 get the path of its file; a component with ``own_weights`` gets
    ``model_config`` and, where it has not said so itself, what the preprocessor does to the speech.
    """
    layouts = use_of(config).layouts
    if checkpoint.layout not in layouts:
        raise UserError(wrong_layout(checkpoint, layouts))
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


def with_model_config(config: Mapping, checkpoint: PretrainedModel) -> dict:
    """A copy of ``config`` whose components with ``own_weights`` are built like ``checkpoint``."""
    config = dict(config)
    for slot in OWN_SLOTS:
        facts = facts_of(slot, str(config.get(slot)).lower())
        if facts.own_weights:
            conf = config[f"{slot}_conf"] = dict(config.get(f"{slot}_conf") or {})
            conf["model_config"] = copy.deepcopy(dict(checkpoint.model_config))
            if facts.normalizes_speech:
                conf.setdefault("do_normalize", normalizes_at(checkpoint.path))
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
    if (rate := preprocessor.get("sampling_rate", SAMPLE_RATE)) != SAMPLE_RATE:
        raise UserError(
            f"{where} asks for speech at {rate} Hz, but the recipe's is "
            f"{SAMPLE_RATE}. Give a model for {SAMPLE_RATE} Hz."
        )
    return bool(preprocessor.get("do_normalize", True))


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
    for file in (path, path.parent / DICTIONARY):
        if file.exists() and not (folder / file.name).exists():
            (folder / file.name).symlink_to(file)
    return folder
