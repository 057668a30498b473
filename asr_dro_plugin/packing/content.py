"""What unpacked files may hold: tensors and text, nothing that runs when it is loaded."""

import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import yaml

from asr_dro_plugin.errors import UserError, in_one_line
from asr_dro_plugin.experiment import CONFIG
from asr_dro_plugin.experiment.config_paths import CHECKPOINT_ENDINGS, named_places
from asr_dro_plugin.pretrained.read_weights import load_plain

MAX_TEXT = 2**26  # bytes of a YAML or JSON file
MAX_VALUES = 1_000_000  # of a YAML; a list of tokens has tens of thousands
MAX_STATISTICS = 2**26  # bytes of a .npz, unpacked
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
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


def read_yaml(path: Path, what: str) -> dict:
    """A mapping from a YAML file, as data; one whose parts repeat each other is judged by its size
    when they are written out."""
    if path.stat().st_size > MAX_TEXT:
        raise UserError(f"{what} is too large for a configuration.")
    try:
        loader = LOADER(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if num_values(root, MAX_VALUES) > MAX_VALUES:
            raise yaml.YAMLError(f"it repeats its parts over {MAX_VALUES} times, as bombs do")
        content = loader.construct_document(root) if root is not None else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = in_one_line(error, 200)
        raise UserError(f"{what} cannot be read as plain YAML ({reason}).") from None
    if not isinstance(content, dict):
        raise UserError(f"{what} holds no 'key: value' lines.")
    return content


def num_values(content: object, limit: int) -> int:
    """Values in containers of containers, shared ones each time they are met; counts to ``limit``.

    A few lines of a YAML can name one list in another ten times, and that one in a third, or merge
    (``<<``) mappings so.
    """
    parts, number = [content], 0
    while parts and number <= limit:
        part = parts.pop()
        number += 1
        if isinstance(part, yaml.CollectionNode):
            part = part.value
        if isinstance(part, Mapping):
            parts += part.values()
        elif isinstance(part, list | tuple):
            parts += part
    return number


def check_named_files(config: Mapping, root: Path, where: str, strict: bool) -> list[str]:
    """Refuse a configuration whose files lie elsewhere; returns warnings of what is fetched.

    Args:
        config: the training configuration.
        root: the folder it was unpacked to.
        where: for messages.
        strict: of our own making, so that every file must be here.
    """
    warnings = []
    for key, value in named_places(config):
        path = os.path.normpath(value)
        inside = not os.path.isabs(path) and path.split(os.sep)[0] != ".."
        if inside and (root / path).exists():
            if (root / path).is_file() and key in ("w2v_url", "path_or_url"):
                check_tensors(root / path, f"{where}: {key} {value}")
        elif "://" not in value and ("/.." in f"/{value}" or (strict and not inside)):
            raise UserError(f"{where}: {CONFIG} names {key} {value}, outside the folder.")
        elif key != "non_linguistic_symbols":
            warnings.append(f"{key} {value} is not in the archive; the model asks for it elsewhere")
    return warnings
