"""The model file that is packed: whole, finite, and of the configuration it is packed with."""

import os
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG, OBJECTIVE_STATE
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.stack.adapter_settings import is_adapters

HEAD = "ctc.ctc_lo.weight"
PREFIXES = ("frontend.upstream.", "encoder.encoders.")  # where s3prl's and fairseq's networks are


def find_weights(exp: Path, model_file: str) -> Path:
    """The model file in an experiment.

    Raises:
        UserError: it is not there (yet); lists what is.
    """
    path = exp / model_file
    if not path.is_file():
        there = sorted(p.name for p in exp.glob("*.pth") if not p.name.startswith("checkpoint"))
        raise UserError(
            f"{path} does not exist: the training has not ended, or made other files. Finish it, "
            f"or choose with --model_file. {exp} has: {' '.join(there) or 'no model'}."
        )
    return path


def read_model(path: Path, config: Mapping) -> dict:
    """The tensors of a model file by name, mapped rather than read.

    Raises:
        UserError: it is torn, holds more than tensors, is a checkpoint to resume from, has values
            that are not finite, or another number of outputs than the configuration has tokens.
    """
    import torch

    state = load_plain(path)
    values = state.values() if isinstance(state, dict) else ()
    if not values or not all(isinstance(value, torch.Tensor) for value in values):
        what = "a checkpoint to go on from" if "model" in (state or {}) else "no model's weights"
        raise UserError(f"{path} is {what}. Pack a model such as valid.loss.ave.pth.")
    tokens = config.get("token_list")
    if HEAD in state and isinstance(tokens, list) and len(state[HEAD]) != len(tokens):
        raise UserError(
            f"{path} has {len(state[HEAD])} outputs, and its {CONFIG} {len(tokens)} tokens. "
            "Put the configuration back that it was trained with."
        )
    for name, value in model_of(state).items():
        if not value.is_floating_point() or not value.numel():
            continue
        if not (value.min().isfinite() and value.max().isfinite()):  # one pass without a copy
            raise UserError(
                f"{path} has values in {name} that are not finite. Train again, or choose another "
                "--model_file."
            )
    return state


def num_parameters(state: Mapping) -> int:
    """Numbers in a model, the state of its training aside."""
    return sum(value.numel() for value in model_of(state).values())


def model_of(state: Mapping) -> dict:
    """A model file's tensors without the state of its training."""
    return {name: value for name, value in state.items() if not name.startswith(OBJECTIVE_STATE)}


def transformer_numel(state: Mapping[str, int]) -> int:
    """Numbers in the transformer layers of a pretrained network, whatever its names begin with."""
    layers = (name for name in state if "encoder.layers." in name and not is_adapters(name))
    return sum(state[name] for name in layers)


def pretrained_numel(state: Mapping) -> int:
    """``transformer_numel`` of the pretrained network inside a model's tensors."""
    inside = {n: value.numel() for n, value in state.items() if n.startswith(PREFIXES)}
    return transformer_numel(inside)


def resolved(path: str | os.PathLike) -> Path:
    """The file itself where ``path`` is a link: what is packed must not change with the link."""
    return Path(path).resolve(strict=True)
