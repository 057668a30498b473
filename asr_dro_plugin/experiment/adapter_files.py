"""Model files that hold adapters and what else has learned, without the pretrained model.

Those of ``save_strategy`` adapter_only and required_grad_only, which are the same here: adapters,
head, buffers, whatever else no base brings.  (ESPnet's leave out the head with the first, and with
the second what is frozen outside of the pretrained model: nothing would say what these were.)
Which pretrained model they go with is in ``config.yaml``: ``adapter_conf.base`` is its path, and
``base_sha256`` what it must be.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.base.files import sha256_of
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.hf_folders import weight_files
from asr_dro_plugin.pretrained.layouts import layout_and_sizes
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.stack import adapter_settings
from asr_dro_plugin.stack.adapter_settings import is_adapters, uses_adapter
from asr_dro_plugin.stack.adapters import NETWORKS

# Drawn at random where a checkpoint lacks it, and a row of numbers: no file leaves it out.
ALWAYS_KEPT = "masked_spec_embed"
LORA = tuple(f"{part}weight" for part in adapter_settings.LORA_PARTS)  # ends of A's and B's names


def leaves_out_base(config: Mapping) -> bool:
    """Whether the model files of a configuration leave the pretrained model out."""
    return uses_adapter(config) and config.get("save_strategy", "all") != "all"


def fingerprint(path: str | Path) -> str:
    """SHA-256 of a pretrained model: of its one file of weights, or of the sums of several."""
    path = Path(path)
    files = weight_files(path) if path.is_dir() else [path]
    sums = [sha256_of(file) for file in files]
    return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()


def base_numel(config: Mapping) -> int:
    """Numbers in the pretrained model that an experiment's files leave out."""
    if not leaves_out_base(config):
        return 0
    path = Path(config["adapter_conf"]["base"])
    if is_model_file(path):
        start = tuple(f"{prefix}." for prefix in NETWORKS.values())
        sizes = {n: t.numel() for n, t in load_plain(path).items() if n.startswith(start)}
    else:
        _, sizes = layout_and_sizes(path)
    return sum(numel for name, numel in sizes.items() if not name.endswith(ALWAYS_KEPT))


def is_model_file(path: Path) -> bool:
    """Whether a base is a model file of an experiment, tensors by name and nothing else."""
    if path.is_dir() or path.suffix != ".pth":
        return False
    state = load_plain(path)
    return isinstance(state, dict) and all(hasattr(value, "numel") for value in state.values())


def check_base(base: str | Path, expected: str | None, where: str) -> Path:
    """The pretrained model that adapters go with, which is here and the right one.

    Args:
        base, expected: ``adapter_conf.base`` and ``base_sha256``.
        where: what names them, for the message.

    Raises:
        UserError: it is missing, or another.
    """
    path = Path(base)
    if not path.exists():
        raise UserError(
            f"{where} holds adapters to the pretrained model {path}, which is not there. Put it "
            "back, or correct adapter_conf.base."
        )
    found = fingerprint(path)
    if expected and found != expected:
        raise UserError(
            f"{path} is another model than {where} holds adapters to: its SHA-256 is {found}, not "
            f"{expected}. Put the right one there, or correct adapter_conf.base."
        )
    return path


def without_adapters(state: Mapping, config: Mapping, where: str | Path) -> Mapping:
    """The tensors of a model file for a model without adapters: LoRA's are merged into the weights.

    Args:
        state: by name; one without adapters stays as it is.
        config: of its experiment.
        where: the file, for the message.

    Raises:
        UserError: the pretrained model is not in the file, or the adapters cannot be merged.
    """
    if not any(map(is_adapters, state)):
        return state
    if leaves_out_base(config):
        raise UserError(
            f"{where} holds adapters alone, and this configuration has none. Make one model of "
            "them and their base: asr-dro pack --merge_adapters true, then asr-dro unpack."
        )
    settings = adapter_settings.settings_of(config)
    if not isinstance(settings, adapter_settings.LoRA):
        raise UserError(
            f"{where} holds adapters of kind {config.get('adapter')}, which cannot be merged into "
            "the weights, and this configuration has none. Take over its adapter and adapter_conf."
        )
    return merged_state(state, settings.alpha)


def merged_state(state: Mapping, alpha: float) -> dict:
    """The tensors of an adapted network as those of a plain one that computes the same.

    Args:
        state: by name, the adapted layers' own weights among them.
        alpha: of the adapters; their rank is the height of A.

    Raises:
        UserError: an adapter without the weight that it adapts.
    """
    merged = {}
    for name, tensor in state.items():
        if not name.endswith(LORA):
            merged[adapter_settings.plain_name(name)] = tensor
    for name, a in state.items():
        if not name.endswith(LORA[0]):
            continue
        stem = name.removesuffix(LORA[0])
        if f"{stem}.weight" not in merged:
            raise UserError(f"{stem} has an adapter but no weight of its own: its base is missing.")
        weight, b = merged[f"{stem}.weight"], state[stem + LORA[1]]
        change = (b.double() @ a.double()) * (alpha / len(a))
        merged[f"{stem}.weight"] = (weight.double() + change).to(weight.dtype)
    return merged
