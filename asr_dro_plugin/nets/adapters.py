"""LoRA and bottleneck adapters: small matrices beside and behind pretrained layers.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models" (arXiv:2106.09685):
``W x + (alpha / rank) B A x`` with ``A`` (rank, in) random and ``B`` (out, rank) zero at first,
through peft.  It puts its own layer in the place of each linear one, which it keeps as
``base_layer``: the names of a network's parameters change, ``q_proj.weight`` to
``q_proj.base_layer.weight``.

Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP" (arXiv:1902.00751): a narrow
layer with a residual connection of its own follows the attention and the feed-forward network of
every layer, inside the layer's residual connections.  The pretrained weights keep their names and
values: an adapter is a child called ``houlsby`` of the module whose output it changes.
"""

from collections.abc import Iterable, Sequence

import torch

from asr_dro_plugin.errors import UserError, how_to_install

CHILD = "houlsby"
ACTIVATIONS = {"gelu": torch.nn.GELU, "relu": torch.nn.ReLU}


def add_lora(
    network: torch.nn.Module, targets: Sequence[str], rank: int, alpha: float, dropout: float = 0.0
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
            "adapter lora needs peft, which is not here: " + how_to_install("ssl")
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


class HoulsbyAdapter(torch.nn.Module):
    """``x + up(activation(down(x)))``, at first exactly ``x``.

    Args:
        size: D, of what it is added to.
        bottleneck: K, the narrow width.
        activation: gelu or relu.

    It has 2 D K + K + D parameters.  Houlsby et al. draw both matrices from a normal distribution
    of deviation 0.01; here ``up`` begins at zero (as LoRA's B does), so that the adapted model
    begins as the pretrained one.
    """

    def __init__(self, size: int, bottleneck: int, activation: str = "gelu") -> None:
        super().__init__()
        self.down = torch.nn.Linear(size, bottleneck)
        self.activation = ACTIVATIONS[activation]()
        self.up = torch.nn.Linear(bottleneck, size)
        torch.nn.init.trunc_normal_(self.down.weight, std=0.01, a=-0.02, b=0.02)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            torch.nn.init.zeros_(zero)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., D) -> (..., D)."""
        return x + self.up(self.activation(self.down(x)))


def add_houlsby(
    sublayers: Iterable[torch.nn.Module], size: int, bottleneck: int, activation: str = "gelu"
) -> None:
    """Put an adapter behind each module, on its device and in its precision.

    Args:
        sublayers: modules whose output is (..., ``size``), or a tuple that begins with it.
    """
    for sublayer in sublayers:
        like = next(sublayer.parameters())
        adapter = HoulsbyAdapter(size, bottleneck, activation).to(like.device, like.dtype)
        sublayer.add_module(CHILD, adapter)
        sublayer.register_forward_hook(_adapted)


def _adapted(module: torch.nn.Module, inputs: tuple, output: object) -> object:
    """What the module gives, with the adapter behind it.

    A function of the module, not of the object that added it: it survives ``deepcopy``.
    """
    adapter = getattr(module, CHILD)
    if isinstance(output, tuple):
        return (adapter(output[0]), *output[1:])
    return adapter(output)
