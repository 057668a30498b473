"""The training configuration as it travels: its files under names of the pack, no path of this
machine.

A name of a file has a folder in it (``data/bpe.model``), because ESPnet's model zoo takes only such
words for paths and leaves the tokens alone.
"""

import copy
import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.adapter_files import leaves_out_base
from asr_dro_plugin.experiment.config_paths import CHECKPOINT_ENDINGS
from asr_dro_plugin.packing.archive import Content
from asr_dro_plugin.packing.hollow import checkpoint_members
from asr_dro_plugin.stack.names import component_of

DATA, SSL = "data", "ssl/checkpoint"
# What a run needed and its model does not; a place on this machine or the command that began it.
DROPPED = (
    "config", "output_dir", "init_param", "init_exp", "ssl_checkpoint", "download_dir",
    "train_dtype_path", "pretrain_path", "wandb_project", "wandb_id", "wandb_entity", "wandb_name",
    "aux_token_list",
)  # fmt: skip
KEPT_PARTS = 2  # of an absolute path: .../train/wav.scp says which set, not whose machine


def packed_config(
    config: Mapping, num_trained: int, where: Path
) -> tuple[dict, dict[str, Content], list[str]]:
    """(configuration, its files by member name, warnings).

    Args:
        config: the experiment's, its names starting at the working directory.
        num_trained: numbers of the model in a pretrained network's transformer layers.
        where: its file, for messages.

    Raises:
        UserError: a file that the model needs is not there.
    """
    config = copy.deepcopy(dict(config))
    members: dict[str, Content] = {}
    warnings: list[str] = []
    _take(config, "bpemodel", members, where)
    _take(config.get("normalize_conf") or {}, "stats_file", members, where)
    _take(config, "non_linguistic_symbols", members, where, needed=False)
    if config.get("frontend") == "s3prl":
        warnings += _take_upstream(config["frontend_conf"], members, num_trained)
    if config.get("encoder") == "wav2vec2":
        conf = config["encoder_conf"]  # where ESPnet's encoder has fairseq's checkpoint
        path = Path(conf.get("w2v_dir_path") or "./", Path(conf["w2v_url"]).name)
        conf["w2v_url"] = _take_checkpoint(path, members, num_trained)
        conf["w2v_dir_path"] = SSL
    if leaves_out_base(config):  # the pretrained model that adapters go with, whole
        path = Path(config["adapter_conf"]["base"])
        config["adapter_conf"]["base"] = _take_checkpoint(path, members, num_trained=0)
        warnings.append(
            f"the model file holds adapters alone, so the pretrained model {path} is packed beside "
            "it. --merge_adapters true packs one model of both."
        )
    for key in DROPPED:
        if config.get(key):
            config[key] = None
    if component_of(config, "decoder") is None and component_of(config, "model") == "espnet":
        config["model"] = "dro"  # the same network, which ESPnet's plain call decodes well
    tokens = config.pop("token_list", None)
    config = _without_machine(config)
    return (config | {"token_list": tokens} if tokens else config), members, warnings


def _take(
    part: dict, key: str, members: dict[str, Content], where: Path, needed: bool = True
) -> None:
    """Move the file that ``part[key]`` names into the pack."""
    if not part.get(key):
        return
    path = Path(part[key])
    if path.is_file():
        name = f"{DATA}/{path.name}"
        members[name], part[key] = path.resolve(), name
    elif needed:
        raise UserError(
            f"{where} names {key} {path}, which is not there. Run this where the experiment was "
            "trained (the recipe's directory)."
        )
    else:
        part[key] = None


def _take_upstream(conf: dict, members: dict[str, Content], num_trained: int) -> list[str]:
    """s3prl: the checkpoint in ``frontend_conf.frontend_conf.path_or_url``, where it is a file."""
    if conf.get("download_dir"):
        conf["download_dir"] = None
    inner = conf.get("frontend_conf") or {}
    value = str(inner.get("path_or_url") or "")
    path = Path(value)
    is_file = path.exists() or path.is_absolute() or path.suffix in CHECKPOINT_ENDINGS
    if not value or "://" in value or not is_file:
        return [
            f"frontend s3prl takes '{value or inner.get('upstream')}' from the network when the "
            "model is loaded; give a local checkpoint in training (ssl_checkpoint) to pack it."
        ]
    inner["path_or_url"] = _take_checkpoint(path, members, num_trained)
    return []


def _take_checkpoint(path: Path, members: dict[str, Content], num_trained: int) -> str:
    """Move a pretrained model into the pack; what it is called there."""
    found = checkpoint_members(path, num_trained)
    members.update({f"{SSL}/{name}": source for name, source in found.items()})
    return SSL if path.is_dir() else f"{SSL}/{path.name}"


def _without_machine(value: object) -> object:
    """Absolute paths cut to their last parts, everywhere."""
    if isinstance(value, dict):
        return {key: _without_machine(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_machine(part) for part in value]
    if isinstance(value, str) and os.path.isabs(value):
        return "/".join(Path(value).parts[1:][-KEPT_PARTS:])
    return value


def to_bytes(config: Mapping) -> bytes:
    """A configuration as YAML, as ESPnet writes it: in its own order."""
    return yaml.safe_dump(dict(config), allow_unicode=True, sort_keys=False, indent=4).encode()
