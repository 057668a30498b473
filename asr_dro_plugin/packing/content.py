"""What unpacked files may hold: tensors and text, nothing that runs when it is loaded."""

import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment.config_paths import CHECKPOINT_ENDINGS, PLACES
from asr_dro_plugin.packing.manifest import NAME
from asr_dro_plugin.pretrained.hf_folders import load_plain

MAX_TEXT = 2**26  # bytes of a YAML or JSON file
MAX_MERGED = 100_000  # pairs that merge keys copy
MERGE = "tag:yaml.org,2002:merge"
MAX_VALUES = 1_000_000  # of a YAML; a list of tokens has tens of thousands
MAX_STATISTICS = 2**26  # bytes of a .npz, unpacked
KENLM = b"mmap lm http://kheafield.com/code"
PICKLES = (b"PK\x03\x04", b"\x80")  # PyTorch's zip, and pickle since protocol 2


def check_files(root: Path, names: Iterable[str], where: str) -> None:
    """Refuse files that would run code, or that are not what their names say.

    Raises:
        UserError: names the member.
    """
    for name in names:
        path = root / name
        if path.suffix == ".npz":
            _check_statistics(path, f"{where}: member {name!a}")
        elif is_pickle(path):
            check_tensors(path, f"{where}: member {name!a}")


def is_pickle(path: Path) -> bool:
    """Whether a file is one that PyTorch or pickle would be asked to load."""
    with open(path, "rb") as stream:
        head = stream.read(len(KENLM))
    if head.startswith(KENLM) or path.suffix == ".safetensors":
        return False
    return path.suffix in (*CHECKPOINT_ENDINGS, ".pkl", ".pickle") or head.startswith(PICKLES)


def check_tensors(path: Path, what: str) -> None:
    """Refuse a file of PyTorch that is more than tensors and plain containers."""
    try:
        load_plain(path)
    except UserError as error:
        fact = "is damaged"
        if "pickles" in str(error):
            fact = "pickles objects, which would run code when it is loaded"
        raise UserError(f"{what} {fact}. Nothing is unpacked.") from None


def _check_statistics(path: Path, what: str) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > MAX_STATISTICS:
            raise UserError(f"{what} unpacks to {size} bytes, too many for statistics.")
        with np.load(path, allow_pickle=False) as arrays:
            for key in arrays:
                arrays[key]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{what} is no file of numbers ({error}). Nothing is unpacked.") from None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Plain values, and merge keys (``<<``) as long as they do not grow without bound.

    A mapping that merges another nine times, which merges a third nine times, has its pairs copied
    while it is read.
    """

    merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put the pairs of the mappings that a mapping merges into it."""
        for key, value in list(node.value):
            if key.tag != MERGE:
                continue
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if isinstance(part, yaml.MappingNode):
                    self.flatten_mapping(part)
                    self.merged += len(part.value)
            if self.merged > MAX_MERGED:
                raise yaml.YAMLError(f"it merges over {MAX_MERGED} pairs, as bombs do")
        super().flatten_mapping(node)


def read_yaml(path: Path, what: str) -> dict:
    """A mapping from a YAML file, as data."""
    if path.stat().st_size > MAX_TEXT:
        raise UserError(f"{what} is too large for a configuration.")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{what} cannot be read as plain YAML ({reason}).") from None
    if not isinstance(content, dict):
        raise UserError(f"{what} holds no 'key: value' lines.")
    if num_values(content, MAX_VALUES) > MAX_VALUES:
        raise UserError(f"{what} repeats its parts over {MAX_VALUES} times, as bombs do.")
    return content


def num_values(content: object, limit: int) -> int:
    """Values in containers of containers, shared ones each time they are met; counts to ``limit``.

    A few lines of a YAML can name one list in another ten times, and that one in a third.
    """
    parts, number = [content], 0
    while parts and number <= limit:
        part = parts.pop()
        number += 1
        if isinstance(part, Mapping):
            parts += part.values()
        elif isinstance(part, list | tuple):
            parts += part
    return number


def listed_in_meta(meta: Mapping, where: str) -> tuple[str, str]:
    """(training configuration, model file) that ESPnet's ``meta.yaml`` names."""
    try:
        return str(meta["yaml_files"]["asr_train_config"]), str(meta["files"]["asr_model_file"])
    except (KeyError, TypeError):
        raise UserError(f"{where} is no packed recogniser: its meta.yaml names no model.") from None


def check_config(config: Mapping, root: Path, where: str, strict: bool) -> list[str]:
    """Refuse a configuration whose files lie elsewhere; returns warnings of what is fetched.

    Args:
        config: the training configuration.
        root: the folder it was unpacked to.
        where: for messages.
        strict: of our own making, so that every file must be here.
    """
    warnings = []
    for section, key in PLACES:
        part: object = config
        for name in section:
            part = part.get(name) if isinstance(part, Mapping) else None
        value = part.get(key) if isinstance(part, Mapping) else None
        if not value or not isinstance(value, str):
            continue
        path = os.path.normpath(value)
        inside = not os.path.isabs(path) and path.split(os.sep)[0] != ".."
        if inside and (root / path).exists():
            if (root / path).is_file() and key in ("w2v_url", "path_or_url"):
                check_tensors(root / path, f"{where}: {key} {value}")
        elif "://" not in value and ("/.." in f"/{value}" or (strict and not inside)):
            raise UserError(f"{where}: config.yaml names {key} {value}, outside the folder.")
        elif key != "non_linguistic_symbols":
            warnings.append(f"{key} {value} is not in the archive; the model asks for it elsewhere")
    return warnings


def read_manifest(path: Path) -> bytes:
    """The bytes of ``asr_dro.json``, if they are few enough to be one."""
    if path.stat().st_size > MAX_TEXT:
        raise UserError(f"{path} is too large for {NAME}.")
    return path.read_bytes()
