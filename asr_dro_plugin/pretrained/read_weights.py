"""Weight files (``.pth``, ``.bin``, ``.safetensors``) read as data: tensors and plain containers.

Nothing of a file is run.  Of a safetensors file the header alone is read until its tensors are
wanted; files of PyTorch are mapped rather than read where that can be.
"""

import json
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError, in_one_line

# weight_norm's names before torch had parametrizations, as the hub's older files have them.
OLD_NAMES = {
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}
MAX_HEADER = 100_000_000  # bytes; safetensors' own limit


def read_file(file: Path) -> dict:
    """Tensors of one file by name, weight_norm's called as torch calls them now."""
    read = load_safetensors if file.suffix == ".safetensors" else bin_tensors
    return {modern_name(name): tensor for name, tensor in dict(read(file)).items()}


def modern_name(name: str) -> str:
    """A tensor's name with weight_norm's parts called as torch calls them now."""
    head, _, last = name.rpartition(".")
    return f"{head}.{OLD_NAMES[last]}" if last in OLD_NAMES else name


def bin_tensors(file: Path) -> Iterator[tuple[str, object]]:
    weights = load_plain(file)
    items = weights.items() if isinstance(weights, Mapping) else ()
    return ((str(name), value) for name, value in items if hasattr(value, "numel"))


def load_safetensors(path: Path) -> dict:
    """Tensors of a safetensors file by name.

    Raises:
        UserError: a damaged file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    safetensors_header(path)  # which says in one line what is wrong with most
    try:
        return load_file(path)
    except SafetensorError as error:
        reason = in_one_line(error, 100)
        raise UserError(f"{path} is damaged: {reason}. Fetch it again.") from None


def safetensors_header(path: Path) -> dict[str, dict]:
    """Entries of a safetensors file by tensor name: ``dtype``, ``shape``, ``data_offsets``.

    Raises:
        UserError: the file is cut off, or is none of safetensors.
    """
    size = path.stat().st_size
    with open(path, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > min(size, MAX_HEADER):
            fault = "its header does not fit into the file"
            raise UserError(f"{path} is damaged: {fault}. Fetch it again.")
        try:
            header = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            fault = "it does not begin with a header"
            raise UserError(f"{path} is damaged: {fault}. Fetch it again.") from None
    if 8 + length + end != size:
        fault = f"it has {size} bytes, its header describes {8 + length + end}"
        raise UserError(f"{path} is damaged: {fault}. Fetch it again.")
    return header


def load_plain(path) -> object:
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
        with open(path, "rb") as stream:
            is_pytorchs = stream.read(2) in (b"PK", b"\x80\x02")
        said = _pickled_objects(path, error) if is_pytorchs else _not_pytorch(path)
        raise UserError(said) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise UserError(_not_pytorch(path)) from error


def _not_pytorch(path) -> str:
    size = Path(path).stat().st_size
    return f"{path} ({size} bytes) is not a whole PyTorch file. Fetch it again."


def _pickled_objects(path, error: Exception) -> str:
    found = re.findall(r"GLOBAL ([\w.]+)", str(error))
    what = f"objects ({found[0]})" if found else "objects"
    return (
        f"{path} pickles {what}, not plain containers; reading them would run code from the file. "
        f"If it is a checkpoint of fairseq's: asr-dro convert-checkpoint {path} OUT.pt, which "
        "reads objects as data, and use OUT.pt."
    )
