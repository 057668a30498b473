"""LoRA on the linear layers of a pretrained network, through peft.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv:2106.09685):
``W x + (alpha / rank) B A x`` with ``A`` (rank, in) random and ``B`` (out, rank) zero at first.
peft puts its own layer in the place of each linear one, which it keeps as ``base_layer``: the names
of a network's parameters change, ``q_proj.weight`` to ``q_proj.base_layer.weight``.
"""

from collections.abc import Sequence

import torch

from asr_dro_plugin.errors import UserError


def add_lora(
    network: torch.nn.Module,
    targets: Sequence[str],
    rank: int,
    alpha: float,
    dropout: float = 0.0,
) -> None:
    """Adapt the linear layers ``targets`` of ``network``; all its own parameters are frozen.

    Args:
        targets: names within ``network``.
        dropout: on the input of the adapters, 0..1.

    Raises:
        UserError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise UserError(
            "adapter lora needs peft, which is not installed. Run pip install 'asr-dro[ssl]'."
        ) from None
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=list(targets)
    )
    inject_adapter_in_model(config, network)


def merge_lora(network: torch.nn.Module) -> None:
    """Add every adapter's matrix to the weight that it adapts, and take the adapters out."""
    for name, layer in list(network.named_modules()):
        if not hasattr(layer, "lora_A"):
            continue
        layer.merge(safe_merge=True)
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, layer.base_layer)
