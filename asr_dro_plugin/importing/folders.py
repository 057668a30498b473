"""The experiment folder that an import makes."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from asr_dro_plugin import __version__
from asr_dro_plugin.base.files import atomic_write, sha256_of, write_json, write_text
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG, IMPORTED, META

MODEL, TOKENS = "model.pth", "tokens.txt"
SCHEMA = 1  # of import.json
# What ESPnet reads of an experiment's configuration, whether or not the stack has such a part.
ESPNET_NEEDS = {
    "token_type": "char", "bpemodel": None, "non_linguistic_symbols": None, "cleaner": None,
    "g2p": None, "init": None, "input_size": None, "model": "dro", "model_conf": {},
    "ctc_conf": {}, "joint_net_conf": None, "use_preprocessor": True, "preprocessor": "default",
    "preprocessor_conf": {},
    **{
        key: value
        for slot in (
            "frontend", "specaug", "normalize", "preencoder", "encoder", "postencoder", "decoder",
        )
        for key, value in ((slot, None), (f"{slot}_conf", {}))
    },
}  # fmt: skip


def write_experiment(
    folder: Path,
    config: Mapping[str, Any],
    tokens: Sequence[str],
    tensors: Mapping[str, Any],
    facts: Mapping[str, Any],
    extra: Mapping[str, Path],
) -> None:
    """Fill an empty folder.

    Args:
        folder: to be filled.
        config: the stack.
        tokens: V symbols in order.
        tensors: of the model, by name.
        facts: content of ``import.json``.
        extra: name in the folder -> file to copy, which the configuration names so.
    """
    import torch

    for name, source in extra.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    if extra:  # the names in the configuration start here: see ``experiment.config_paths``
        meta = {"files": {"asr_model_file": MODEL}, "yaml_files": {"asr_train_config": CONFIG}}
        write_text(folder / META, yaml.safe_dump(meta))
    whole = {**ESPNET_NEEDS, **config, "token_list": list(tokens)}
    words = yaml.safe_dump(whole, allow_unicode=True, sort_keys=False, width=100)
    write_text(folder / CONFIG, words)
    write_text(folder / TOKENS, "".join(f"{token}\n" for token in tokens))
    state = {name: _alone(tensor.detach()) for name, tensor in tensors.items()}
    with atomic_write(folder / MODEL, "wb") as stream:
        torch.save(state, stream)
    made = {"schema": SCHEMA, "imported_by": f"asr-dro {__version__}", **facts}
    write_json(folder / IMPORTED, made)


def _alone(tensor: Any) -> Any:
    """The tensor, or a copy where it is a part of a larger one, all of which would be saved."""
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole and tensor.is_contiguous() else tensor.clone().contiguous()


def check_sum(path: Path, wanted: str, files: Sequence[Path]) -> None:
    """Hold the weights against the checksum that the user has.

    Args:
        path: the source, for messages.
        wanted: hexadecimal SHA-256.
        files: that hold the weights.

    Raises:
        UserError: another sum, or several files.
    """
    if len(files) != 1:
        raise UserError(
            f"{path} has {len(files)} files of weights; --sha256 is of one. Leave it out, or check "
            "them yourself (sha256sum)."
        )
    found = sha256_of(files[0])
    if found != wanted.lower():
        raise UserError(
            f"{files[0]} has the SHA-256 {found}, not the {wanted.lower()} of --sha256. Fetch it "
            "again, or correct the sum. Nothing was read from it."
        )
