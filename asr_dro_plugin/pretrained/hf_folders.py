"""Hugging Face model folders as data: which files belong to one, and what they hold.

``config.json``, ``preprocessor_config.json`` and the tokenizer's files may lie one directory above
the weights (a training's checkpoint inside its output directory).  Weights are
``model.safetensors`` or ``pytorch_model.bin``, whole or in the parts that an index names.
"""

import json
import math
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained import read_weights as weights

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
PROCESSOR, EXTRACTOR = "processor_config.json", "feature_extractor"  # where transformers 5 puts it
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # the first that is there is read
# In a config.json and in every model_config: where it came from, here the ssl_checkpoint.
SOURCE = "_name_or_path"
# Of config.json: what describes the file or its maker, not the network.
NOT_THE_NETWORK = (
    SOURCE, "_commit_hash", "architectures", "auto_map", "custom_pipelines", "dtype",
    "quantization_config", "torch_dtype", "transformers_version",
)  # fmt: skip


def find_json(folder: Path, name: str) -> Path | None:
    """``name`` in a model folder or one directory above it; None where it is in neither."""
    places = (folder / name, folder.absolute().parent / name)
    return next((path for path in places if path.is_file()), None)


def read_json(folder: Path, name: str) -> dict:
    """Content of a folder's JSON file.

    Raises:
        UserError: it is in neither place, or holds no JSON object.
    """
    path = find_json(folder, name)
    if path is None:
        raise UserError(
            f"{folder} has no {name}, nor has the directory above, so it is not a Hugging Face "
            f"model folder. It needs {CONFIG} and {' or '.join(WEIGHTS)}."
        )
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} holds no JSON ({error}). Fetch it again.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object. Fetch it again.")
    return content


def find_preprocessor(folder: Path) -> tuple[Path, dict] | None:
    """The file that says how a folder's model wants its audio, and what it says.

    Older releases of transformers wrote ``preprocessor_config.json``; the newer ones have the same
    in ``processor_config.json``, as its ``feature_extractor``.

    Returns:
        None where neither is there.

    Raises:
        UserError: no JSON, or a flag that is neither true nor false.
    """
    for name in (PREPROCESSOR, PROCESSOR):
        path = find_json(folder, name)
        content = read_json(folder, name) if path else {}
        said = content if name == PREPROCESSOR else content.get(EXTRACTOR)
        if not (path and isinstance(said, dict)):
            continue
        for key in ("do_normalize", "return_attention_mask"):
            flag = said.get(key, True)
            if not isinstance(flag, bool):  # the text "false" would count as true
                raise UserError(f"{path} says {key} {flag!r}; it is true or false. Correct it.")
        return path, said
    return None


def network_config(folder: Path, source: str) -> dict:
    """``config.json`` as far as it describes the network, with ``source`` as ``_name_or_path``."""
    config = read_json(folder, CONFIG)
    kept = {key: value for key, value in config.items() if key not in NOT_THE_NETWORK}
    return {**kept, SOURCE: source}


def architecture_of(folder: Path) -> str | None:
    """The class of transformers that ``config.json`` names first; nothing is done with it."""
    names = read_json(folder, CONFIG).get("architectures")
    return str(names[0]) if isinstance(names, list) and names else None


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a folder's weights.

    Raises:
        UserError: there are none, or a part that the index names is missing.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        index = folder / f"{name}.index.json"
        if index.is_file():
            return _parts(folder, index)
    raise UserError(
        f"{folder} has neither {' nor '.join(WEIGHTS)}. Fetch one of them, or give another folder."
    )


def _parts(folder: Path, index: Path) -> list[Path]:
    weight_map = read_json(folder, index.name).get("weight_map")
    names = set(map(str, weight_map.values())) if isinstance(weight_map, dict) else set()
    if not names:
        raise UserError(f"{index} names no files. Fetch it again.")
    for name in sorted(names):
        if Path(name).name != name:
            raise UserError(
                f"{index} names {name}, which is no file of its folder. Fetch it again."
            )
        if not (folder / name).is_file():
            raise UserError(f"{folder} lacks {name}, which {index.name} names. Fetch it.")
    return [folder / name for name in sorted(names)]


def tensor_numels(folder: Path) -> dict[str, int]:
    """Number of elements of each tensor of a folder, by name."""
    numels: dict[str, int] = {}
    for file in weight_files(folder):
        if file.suffix == ".safetensors":
            shapes = weights.safetensors_header(file)
            numels |= {name: math.prod(entry["shape"]) for name, entry in shapes.items()}
        else:
            numels |= {name: value.numel() for name, value in weights.bin_tensors(file)}
    return {weights.modern_name(name): numel for name, numel in numels.items()}


def read_weights(folder: Path) -> dict:
    """Tensors of a folder by name, mapped from its files rather than read where that can be.

    Raises:
        UserError: a damaged file, or no tensors in any.
    """
    tensors, files = {}, weight_files(folder)
    for file in files:
        tensors |= weights.read_file(file)
    if not tensors:
        raise UserError(f"{files[0]} holds no tensors by name. Fetch it again.")
    return tensors
