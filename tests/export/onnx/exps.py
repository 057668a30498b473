"""Experiments with random weights, one a stack, made from the keys of a YAML."""

import argparse
from pathlib import Path

import numpy as np
import yaml

from tests.espnet.tiny import TOKENS

SLOTS = ("frontend", "specaug", "normalize", "preencoder", "encoder", "decoder")
KEPT = (
    "token_type", "bpemodel", "non_linguistic_symbols", "cleaner", "g2p", "init", "input_size",
    "model", "model_conf", "ctc_conf", "joint_net_conf", "use_preprocessor", "preprocessor",
    "preprocessor_conf", "postencoder", "postencoder_conf", "use_adapter", "adapter",
    "adapter_conf", "save_strategy", *(f"{slot}{end}" for slot in SLOTS for end in ("", "_conf")),
)  # fmt: skip


def write_exp(folder: Path, keys: dict, checkpoint: Path | None = None, seed: int = 0) -> Path:
    """``folder`` as training leaves it, with ``model.pth`` alone; untrained, but far from zero."""
    import torch

    from asr_dro_plugin.espnet.task import DROASRTask

    args = argparse.Namespace(**{**vars(DROASRTask.get_parser().parse_args([])), **keys})
    args.token_type = "char"
    args.token_list, args.model = TOKENS, "dro"
    args.model_conf = keys.get("model_conf", {"ctc_weight": 1.0})
    args.ssl_checkpoint = str(checkpoint) if checkpoint else None
    for slot in SLOTS:
        setattr(args, slot, None if getattr(args, slot) == "none" else getattr(args, slot))
    torch.manual_seed(seed)
    model = DROASRTask.build_model(args)
    with torch.no_grad():
        for (
            name,
            tensor,
        ) in model.state_dict().items():  # as statistics of batches are after training
            if name.endswith("running_mean"):
                tensor.normal_()
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif "lora_B" in name or ".houlsby." in name:
                tensor.normal_(std=0.3)
        head = model.ctc.ctc_lo
        head.weight.mul_(4)  # texts of several symbols
        noise = torch.from_numpy(speech(16000)[None])
        hidden, _ = model.eval().encode(noise, torch.tensor([16000]))
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        head.bias.copy_(-head.weight @ hidden[0].mean(0))
    folder.mkdir(parents=True)
    torch.save(model.state_dict(), folder / "model.pth")
    config = {key: vars(args)[key] for key in KEPT if key in vars(args)}
    config["token_list"] = TOKENS
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return folder


def speech(num_samples: int, seed: int = 0) -> np.ndarray:
    """Noise over a rising tone: no two frames are alike."""
    rng = np.random.default_rng(seed)
    time = np.arange(num_samples) / 16000
    tone = 0.3 * np.sin(2 * np.pi * (300 + 400 * time) * time)
    return (tone + 0.1 * rng.standard_normal(num_samples)).astype(np.float32)
