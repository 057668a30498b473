"""Hollow checkpoints: what a pretrained network is built from, without its weights.

The SSL stacks read the pretrained checkpoint to build their network, and the trained model then
replaces every weight.  So a packed model holds a *hollow* checkpoint: the same file (or Hugging
Face folder) whose tensors are zeros that take no room, a few kB instead of gigabytes.

- fairseq's and s3prl's files are loaded strictly, so every tensor is there by name and shape; all
  share one stored zero (stride 0), which ``torch.load(weights_only=True)`` reads.
- Of a Hugging Face folder ``from_pretrained`` initialises what the weights lack (and warns of it),
  so one small tensor, for the data type, is enough.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.packing.archive import Content
from asr_dro_plugin.packing.weights import transformer_numel
from asr_dro_plugin.pretrained.fairseq_files import DICTIONARY
from asr_dro_plugin.pretrained.layouts import layout_and_sizes
from asr_dro_plugin.pretrained.read_weights import load_plain

HF_FILES = ("config.json", "preprocessor_config.json")


def checkpoint_members(path: Path, num_trained: int) -> dict[str, Content]:
    """Members by file name that a network like that of ``path`` is built from.

    Args:
        path: file or Hugging Face folder that the model was built from.
        num_trained: numbers in the transformer layers of the trained model: where they are fewer
            (adapters alone were saved) or the layout is not known, the checkpoint goes in whole.

    Raises:
        UserError: no such checkpoint, or one that pickles objects.
    """
    if not path.exists():
        raise UserError(
            f"The pretrained checkpoint {path} is not there, and packing needs its layout once. "
            "Put it back."
        )
    if not _is_dispensable(path, num_trained):
        return _whole(path)
    return _hollow_folder(path) if path.is_dir() else _hollow_file(path)


def _is_dispensable(path: Path, num_trained: int) -> bool:
    try:
        _, numels = layout_and_sizes(path)
    except UserError:  # no wav2vec 2.0 in a layout that is known here
        return False
    return 0 < transformer_numel(numels) == num_trained


def _whole(path: Path) -> dict[str, Content]:
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if file.suffix in (".pt", ".pth", ".ckpt", ".bin"):
            load_plain(file)
    return {file.name: file.resolve() for file in files}


def _hollow_file(path: Path) -> dict[str, Content]:
    import torch

    buffer = io.BytesIO()
    torch.save(_hollow(load_plain(path)), buffer)
    members: dict[str, Content] = {path.name: buffer.getvalue()}
    if (path.parent / DICTIONARY).is_file():
        members[DICTIONARY] = path.parent / DICTIONARY
    return members


def _hollow(value: object) -> object:
    """The same containers with tensors of the same shape and type, all zero."""
    import torch

    if isinstance(value, torch.Tensor):
        return torch.zeros((), dtype=value.dtype).expand(value.shape)
    if isinstance(value, dict):
        return {key: _hollow(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_hollow, value))
    return value


def _hollow_folder(path: Path) -> dict[str, Content]:
    members: dict[str, Content] = {name: path / name for name in HF_FILES}
    members["model.safetensors"] = _one_tensor(_float_type(path))
    return members


def _float_type(path: Path) -> str:
    """The data type of a folder's weights, in the words of safetensors: F32, F16, BF16."""
    for file in sorted(path.glob("*.safetensors")):
        with open(file, "rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        return next(e["dtype"] for name, e in header.items() if name != "__metadata__")
    words = {"torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16"}
    for file in sorted(path.glob("pytorch_model*.bin")):
        weights = load_plain(file)
        values = weights.values() if isinstance(weights, Mapping) else ()
        return next(words[str(v.dtype)] for v in values if str(v.dtype) in words)
    return "F32"


def _one_tensor(dtype: str, name: str = "encoder.layer_norm.none") -> bytes:
    """A file of safetensors with one number that no network asks for."""
    size = {"F32": 4, "F16": 2, "BF16": 2}[dtype]
    header = {"__metadata__": {"format": "pt"}}
    header[name] = {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw + bytes(size)
