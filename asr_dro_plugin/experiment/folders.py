"""Folders that hold a model: a trained experiment, an imported one, an unpacked pack."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG, IMPORTED, OBJECTIVE_STATE, PACKED
from asr_dro_plugin.experiment.adapter_files import leaves_out_base
from asr_dro_plugin.experiment.config_paths import in_place, pack_root
from asr_dro_plugin.experiment.model_files import best_model_file
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.stack.adapter_settings import is_adapters

# Numbers beside the parameters: running means of batch norms, counters, tables of a frontend.
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
PARTS = ("used", "missing", "made", "not_used", "unexpected")  # of an import's account


@dataclass(frozen=True)
class WeightFacts:
    """A model file.

    Attributes:
        file: its name in the folder.
        num_values: numbers in its tensors; ``by_slot`` by the first part of their names.
        dtypes: data types, the most frequent first.
        adapters_only: whether the pretrained model that its adapters belong to is left out.
        num_bytes: size of the file.
    """

    file: str
    num_values: int
    by_slot: dict[str, int]
    dtypes: tuple[str, ...]
    adapters_only: bool
    num_bytes: int


@dataclass(frozen=True)
class ModelFolder:
    """What a folder says of its model.

    Attributes:
        path: the folder.
        config: the training configuration.
        weights: None where no model file is there (yet).
        imported: what the model was imported from: ``kind``, ``source``, ``sha256`` and the number
            of ``tensors`` in each part of the account; None for one that was not.
    """

    path: Path
    config: dict
    weights: WeightFacts | None
    imported: dict | None

    @property
    def tokens(self) -> list[str] | None:
        """The V outputs in order; None where the configuration does not list them."""
        tokens = self.config.get("token_list")
        return [str(token) for token in tokens] if isinstance(tokens, list) else None


def read_model_folder(path: Path) -> ModelFolder:
    """Read a folder's configuration and what its files say of themselves.

    Raises:
        UserError: no configuration, a damaged model file or card.
    """
    if not (path / CONFIG).is_file():
        there = " ".join(sorted(file.name for file in path.iterdir())[:8]) or "nothing"
        raise UserError(
            f"{path} holds no {CONFIG}, but {there}. Give an experiment, a folder that asr-dro "
            "import or unpack made, or a YAML."
        )
    config = load_config(path / CONFIG)
    if root := pack_root(path):
        config = in_place(config, root)
    return ModelFolder(path, config, _weights(path, config), _imported(path))


def _weights(path: Path, config: Mapping) -> WeightFacts | None:
    packed = _read_json(path / PACKED) or {}
    name = packed.get("model_file") or best_model_file(path)
    file = path / str(name)
    return weights_of(file, leaves_out_base(config)) if file.is_file() else None


def weights_of(file: Path, leaves_out: bool = False) -> WeightFacts:
    """What a model file holds; its tensors are mapped, not read.

    Args:
        leaves_out: whether its training saves adapters without their pretrained model.

    Raises:
        UserError: it is damaged, or holds more than tensors.
    """
    state = load_plain(file)
    tensors = {
        str(name): value
        for name, value in (state.items() if isinstance(state, Mapping) else ())
        if hasattr(value, "numel") and not str(name).startswith(OBJECTIVE_STATE)
    }
    if not tensors:
        raise UserError(f"{file} holds no model's weights. Put the model file back.")
    by_slot: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    for name, value in tensors.items():
        dtypes[str(value.dtype).removeprefix("torch.")] += value.numel()
        if name.rpartition(".")[2] not in BUFFERS:
            by_slot[name.split(".")[0]] += value.numel()
    return WeightFacts(
        file.name,
        sum(value.numel() for value in tensors.values()),
        dict(by_slot),
        tuple(kind for kind, _ in dtypes.most_common()),
        leaves_out and any(map(is_adapters, tensors)),
        file.stat().st_size,
    )


def _imported(path: Path) -> dict | None:
    facts = _read_json(path / IMPORTED)
    if facts is None:
        return None
    account = facts.get("tensors")
    if not isinstance(account, dict):
        raise UserError(f"{path / IMPORTED} has no account of tensors. Import the model again.")
    counts = {part: len(account[part]) for part in PARTS if isinstance(account.get(part), list)}
    return {key: facts.get(key) for key in ("kind", "source", "sha256")} | {"tensors": counts}


def _read_json(path: Path) -> dict | None:
    """A card of a folder; None where it has none."""
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON ({error}). Make the folder again.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object. Make the folder again.")
    return content
