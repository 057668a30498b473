"""A small stack whose network needs no ESPnet, its YAML and its weights."""

from pathlib import Path

import torch
import yaml

from asr_dro_plugin.nets.convnet import ConvNet

TOKENS = ["a", "b", "<space>", "c", "<unk>", "<blank>"]
STACK = {
    "frontend": "default",
    "frontend_conf": {"fs": "16k", "n_fft": 512, "hop_length": 160, "n_mels": 20},
    "normalize": "utterance_mvn", "model": "dro", "model_conf": {"ctc_weight": 1.0},
    "encoder": "conv_ctc",
    "encoder_conf": {"hidden_size": 16, "num_blocks": 1, "kernel_size": 3, "strides": [2, 2]},
    "decoder": "none", "optim": "adam", "optim_conf": {"lr": 0.002}, "max_epoch": 1,
}  # fmt: skip
NET, HEAD = "encoder.net.", "ctc.ctc_lo."


def write_yaml(path: Path, **changes) -> Path:
    path.write_text(yaml.safe_dump({**STACK, **changes}), encoding="utf-8")
    return path


def write_tokens(path: Path, tokens=TOKENS) -> Path:
    path.write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    return path


def weights(num_tokens: int = len(TOKENS)) -> dict[str, torch.Tensor]:
    """Tensors by the names of our model, those of log-mel left to the class."""
    torch.manual_seed(0)
    net, head = ConvNet(20, **STACK["encoder_conf"]), torch.nn.Linear(16, num_tokens)
    return {
        **{f"{NET}{name}": value.clone() for name, value in net.state_dict().items()},
        **{f"{HEAD}{name}": value.detach().clone() for name, value in head.state_dict().items()},
    }
