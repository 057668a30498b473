"""An imported folder without ESPnet: its files, and its network run as plain torch."""

import json
from pathlib import Path

import torch
import yaml

from asr_dro_plugin.importing.sources import ImportOptions, import_model


def imported(kind: str, path: Path, out: Path, **options) -> Path:
    """Import with options; returns ``out``."""
    import_model(kind, path, out, ImportOptions(**options))
    return out


def read(folder: Path) -> tuple[dict, dict, dict, list[str]]:
    """Configuration, tensors, import.json, tokens."""
    tokens = (folder / "tokens.txt").read_text(encoding="utf-8").split("\n")[:-1]
    return (
        yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")),
        torch.load(folder / "model.pth", weights_only=True),
        json.loads((folder / "import.json").read_text(encoding="utf-8")),
        tokens,
    )


@torch.no_grad()
def log_probs(folder: Path, samples: torch.Tensor) -> torch.Tensor:
    """(1, N) -> (1, S, V) of a folder with an encoder hf_wav2vec2."""
    from asr_dro_plugin.nets.hf_wav2vec2 import HFWav2Vec2Net

    config, state, _, _ = read(folder)
    net = HFWav2Vec2Net(**config["encoder_conf"]).eval()
    net.load_state_dict({
        name.removeprefix("encoder.net."): tensor
        for name, tensor in state.items()
        if name.startswith("encoder.")
    })  # fmt: skip
    hidden, _ = net(samples, torch.tensor([samples.shape[1]]))
    head = (state["ctc.ctc_lo.weight"], state["ctc.ctc_lo.bias"])
    return torch.nn.functional.linear(hidden, *head).log_softmax(-1)


def everything_below(folder: Path) -> set[str]:
    """Names of all files and folders, hidden ones too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}
