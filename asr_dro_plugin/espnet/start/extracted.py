"""Features that were computed before the training: are they of this very model?

A frontend whose hidden states can be kept has

    pretrained      the module that makes them, and must not learn
    kept_settings   what decides them beside that module's weights, as plain facts
    hidden_layers   (B, N), (B,) -> (B, T, L, D), (B,)

The key of the features is made of the first two, so that a file of weights that was changed under
its name, other layers, or the model that an experiment brings along are all told apart.
"""

import argparse
import hashlib
import json
from pathlib import Path

import torch

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.data.feature_store import AGAIN, ARK_TYPE, read_record
from asr_dro_plugin.errors import UserError


def key_of(frontend: torch.nn.Module) -> dict:
    """What the features of a frontend depend on, as plain facts that JSON keeps as they are."""
    facts = {
        "frontend": type(frontend).__name__,
        "settings": frontend.kept_settings,
        "sample_rate": SAMPLE_RATE,
        "weights": weights_sha256(frontend.pretrained),
    }
    return json.loads(json.dumps(facts))


def weights_sha256(module: torch.nn.Module) -> str:
    """SHA-256 of a module's tensors with their names, wherever they lie."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        content = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(content.shape)} {content.dtype}\n".encode())
        digest.update(content.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def records_of(args: argparse.Namespace) -> dict[Path, dict]:
    """The records of the extracted features that a training reads in place of speech, by folder.

    Raises:
        UserError: a folder that is not there, or not whole.
    """
    given = [
        *(args.train_data_path_and_name_and_type or ()),
        *(args.valid_data_path_and_name_and_type or ()),
    ]
    folders = (Path(path).parent for path, *what in given if what == ["speech", ARK_TYPE])
    return {folder: read_record(folder) for folder in folders}


def refuse_other_features(model: torch.nn.Module) -> None:
    """Refuse to train from features that another model has made.

    To be called when the model has the weights that it trains with.

    Args:
        model: its ``feature_records`` are of the features that it will get.

    Raises:
        UserError: that, or a pretrained model that learns.
    """
    records, frontend = model.feature_records, model.frontend
    if not records:
        return
    first = next(iter(records))
    if not hasattr(frontend, "kept_settings"):
        raise UserError(
            f"The data in {first} are hidden states of a pretrained model, which this model's "
            "frontend does not take. Give --feats_type raw."
        )
    if any(parameter.requires_grad for parameter in frontend.pretrained.parameters()):
        raise UserError(
            f"The features in {first} are those of a pretrained model that stands still, and this "
            "one learns. Set freeze_param, or give --feats_type raw."
        )
    key = key_of(frontend)
    for folder, record in records.items():
        if different := [name for name in key if record["key"].get(name) != key[name]]:
            raise UserError(
                f"The features in {folder} were made with other {' and '.join(different)} than "
                f"this model's frontend has. {AGAIN}"
            )
