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
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.packing.archive import Content
from asr_dro_plugin.packing.weights import transformer_numel
from asr_dro_plugin.pretrained.fairseq_files import DICTIONARY
from asr_dro_plugin.pretrained.layouts import layout_and_sizes
from asr_dro_plugin.pretrained.read_weights import bin_tensors, load_plain, safetensors_header

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
    try:
        _, numels = layout_and_sizes(path)
    except UserError:  # no wav2vec 2.0 in a layout that is known here
        return _whole(path)
    if not 0 < transformer_numel(numels) == num_trained:
        return _whole(path)
    return _hollow_folder(path) if path.is_dir() else _hollow_file(path)


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
    """Its JSONs, and a file of safetensors with one number that no network asks for."""
    import torch
    from safetensors.torch import save

    number = {"encoder.layer_norm.none": torch.zeros(1, dtype=_float_type(path))}
    members: dict[str, Content] = {name: path / name for name in HF_FILES}
    return members | {"model.safetensors": save(number, {"format": "pt"})}


def _float_type(path: Path):
    """The data type of a folder's weights: float32, float16 or bfloat16."""
    import torch

    for file in sorted(path.glob("*.safetensors")):
        words = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
        return words[next(iter(safetensors_header(file).values()))["dtype"]]
    for file in sorted(path.glob("pytorch_model*.bin")):
        return next(v.dtype for _, v in bin_tensors(file) if v.is_floating_point())
    return torch.float32
