"""``use_adapter``, ``adapter`` and ``adapter_conf``: what they may say, and how much will learn.

ESPnet's options, with ours beside them; those of ESPnet's names (``rank alpha dropout_rate
target_modules bias_type``, ``bottleneck target_layers``) mean the same here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from asr_dro_plugin.base.settings import check_number, check_word
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.stack.parameter_names import is_true, matches

ALL_LINEAR = "all-linear"  # every linear layer of the transformer, in peft's words
BIAS_TYPES = ("none", "lora_only", "all")
ACTIVATIONS = ("gelu", "relu")
# Where a transformer's layer ends its attention and its feed-forward network: wav2vec 2.0 and its
# like, and Whisper.
SUBLAYERS = ("attention", "self_attn", "encoder_attn", "feed_forward", "fc2")
# Heads of what an adapter adds to a parameter's name.
LORA_PARTS = (".lora_A.default.", ".lora_B.default.")
HOULSBY_PART = ".houlsby."
NOT_LINEAR = ("conv", "embed", "codevector")  # convolutions, positions, embeddings
LAYER = re.compile(r"(?:^|\.)layers\.(\d+)\.")

Tensors = Mapping[str, int]  # parameter name -> number of elements


@dataclass
class AdapterSettings:
    """What both kinds of adapters share.

    Args:
        target_layers: numbers of the transformer's layers, from 0; none is all of them.
        freeze: whether all else of the pretrained model stands still.
        also_train: prefixes and patterns (as in ``freeze_param``) of its parameters that learn
            beside the adapters, for example ``*layer_norm*``.
        base, base_sha256: the pretrained model that adapter-only files go with: written by the
            task, read when a model file is.
    """

    target_layers: Sequence = ()
    freeze: bool = True
    also_train: Sequence = ()
    base: str | None = None
    base_sha256: str | None = None

    def __post_init__(self) -> None:
        self.target_layers = [int(number) for number in self.target_layers]
        self.freeze, self.also_train = is_true(self.freeze), [str(e) for e in self.also_train]

    @property
    def trains_more(self) -> bool:
        """Whether parameters of the pretrained model learn that only its own names tell."""
        return bool(self.also_train) or getattr(self, "bias_type", "none") != "none"

    def takes_layer(self, name: str) -> bool:
        """Whether the layer that ``name`` lies in is adapted; what is in none is, by default."""
        found = LAYER.search(name)
        if not self.target_layers:
            return True
        return found is not None and int(found[1]) in self.target_layers

    def learning_biases(self, tensors: Tensors) -> set[str]:
        """Biases of the pretrained model that learn beside the adapters."""
        return set()

    def check_layers(self, names: Iterable[str]) -> None:
        """Refuse numbers of layers that are not there."""
        there = {int(found[1]) for name in names if (found := LAYER.search(name))}
        for number in self.target_layers:
            if number not in there:
                raise UserError(
                    f"adapter_conf.target_layers has {number}, but the pretrained model's layers "
                    f"are 0 to {max(there, default=-1)}."
                )


@dataclass
class LoRA(AdapterSettings):
    """Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685), through peft.

    Args:
        rank, alpha: an adapter adds ``alpha / rank`` x B A to a weight.
        dropout_rate: on its input, 0..1.
        target_modules: names of linear layers, whole or their last parts (``q_proj``,
            ``layers.3.attention.q_proj``), or ``all-linear``.
        bias_type: which biases learn, too: none, lora_only (of the adapted layers), all.
    """

    rank: int = 8
    alpha: float = 8
    dropout_rate: float = 0.0
    target_modules: Sequence | str = ("q_proj", "v_proj")
    bias_type: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rank, self.alpha = int(self.rank), float(self.alpha)
        self.dropout_rate, self.bias_type = float(self.dropout_rate), str(self.bias_type)
        given = self.target_modules
        self.target_modules = [str(n) for n in ([given] if isinstance(given, str) else given)]
        check_number("adapter_conf.rank", self.rank, least=1)
        check_number("adapter_conf.alpha", self.alpha, above=0, infinite=True)
        check_number("adapter_conf.dropout_rate", self.dropout_rate, least=0, below=1)
        check_word("adapter_conf.bias_type", self.bias_type, BIAS_TYPES)
        if not self.target_modules:
            raise UserError(f"adapter_conf.target_modules is empty. Name layers, or {ALL_LINEAR}.")

    def targets(self, linear: Iterable[str]) -> list[str]:
        """Names of the linear layers, out of all of the pretrained model, that are adapted.

        Raises:
            UserError: a target that none of them has, or a layer that is not there.
        """
        linear = list(linear)
        self.check_layers(linear)
        inside = [name for name in linear if LAYER.search(f"{name}.")]
        found = {name for name in inside if ALL_LINEAR in self.target_modules}
        for target in self.target_modules:
            meant = {name for name in linear if name == target or name.endswith(f".{target}")}
            if not meant and target != ALL_LINEAR:
                known = sorted({name.rsplit(".", 1)[-1] for name in linear})
                raise UserError(
                    f"adapter_conf.target_modules has '{target}', which is no linear layer of the "
                    f"pretrained model.{suggestion(target, known)} Legal: {' '.join(known)}, or "
                    f"{ALL_LINEAR}."
                )
            found |= meant
        return [name for name in linear if name in found and self.takes_layer(f"{name}.")]

    def added(self, tensors: Tensors) -> dict[str, int]:
        """Parameters of the adapters: rank x (in + out) for each adapted layer."""
        sizes = linear_sizes(tensors)
        return {
            f"{name}{part}weight": self.rank * size
            for name in self.targets(sizes)
            for part, size in zip(LORA_PARTS, sizes[name], strict=True)
        }

    def learning_biases(self, tensors: Tensors) -> set[str]:
        """Biases of the pretrained model that learn, by ``bias_type``."""
        if self.bias_type == "all":
            return {name for name in tensors if name.endswith("bias")}
        if self.bias_type == "lora_only":
            biases = {f"{name}.bias" for name in self.targets(linear_sizes(tensors))}
            return biases & set(tensors)
        return set()


@dataclass
class Houlsby(AdapterSettings):
    """Bottleneck adapters (Houlsby et al. 2019, arXiv:1902.00751) behind both kinds of sub-layers.

    Args:
        bottleneck: their narrow width.
        activation: gelu or relu.
    """

    bottleneck: int = 32
    activation: str = "gelu"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.bottleneck, self.activation = int(self.bottleneck), str(self.activation)
        check_number("adapter_conf.bottleneck", self.bottleneck, least=1)
        check_word("adapter_conf.activation", self.activation, ACTIVATIONS)

    def sublayers(self, modules: Iterable[str]) -> list[str]:
        """Names of the modules, out of all of the pretrained model, that an adapter follows.

        Raises:
            UserError: the model has no such transformer, or not that layer.
        """
        ends = [
            name
            for name in modules
            if name.rsplit(".", 1)[-1] in SUBLAYERS and LAYER.search(f"{name}.")
        ]
        if not ends:
            raise UserError(
                "adapter houlsby follows attention and feed-forward networks, and the pretrained "
                "model has none that are known. Use adapter: lora."
            )
        self.check_layers(f"{name}." for name in ends)
        return [name for name in ends if self.takes_layer(f"{name}.")]

    def added(self, tensors: Tensors) -> dict[str, int]:
        """2 D K + K + D parameters behind each sub-layer, D its width and K the bottleneck."""
        width = model_width(tensors)
        parts = {
            "down.weight": width * self.bottleneck, "down.bias": self.bottleneck,
            "up.weight": width * self.bottleneck, "up.bias": width,
        }  # fmt: skip
        return {
            f"{name}{HOULSBY_PART}{part}": numel
            for name in self.sublayers(modules_of(tensors))
            for part, numel in parts.items()
        }


KINDS = {"lora": LoRA, "houlsby": Houlsby}
ADAPTERS = {name: f"{kind.__module__}:{kind.__name__}" for name, kind in KINDS.items()}


def uses_adapter(config: Mapping) -> bool:
    """Whether a configuration adds adapters to its pretrained model."""
    return is_true(config.get("use_adapter", False))


def settings_of(config: Mapping) -> LoRA | Houlsby:
    """The settings of a configuration that ``uses_adapter``.

    Raises:
        UserError: a value that cannot be.
    """
    return KINDS[str(config.get("adapter", "lora"))](**(config.get("adapter_conf") or {}))


def still_of(settings: LoRA | Houlsby, tensors: Tensors) -> set[str]:
    """Names of the pretrained model's own parameters ``tensors`` that stand still."""
    return set(tensors) - trained_of(settings, tensors) if settings.freeze else set()


def trained_of(settings: LoRA | Houlsby, tensors: Tensors) -> set[str]:
    """Names of the pretrained model's own parameters that learn beside the adapters.

    Raises:
        UserError: a target or an entry of ``also_train`` that is not there.
    """
    found = settings.learning_biases(tensors)
    for entry in settings.also_train:
        meant = {name for name in tensors if matches(name, entry)}
        if not meant:
            raise UserError(
                f"adapter_conf.also_train '{entry}' matches no parameter of the pretrained model."
                f"{suggestion(entry, tensors)}"
            )
        found |= meant
    return found


def plain_name(name: str) -> str:
    """Name that a parameter has without adapters."""
    return name.replace(".base_layer.", ".")


def is_adapters(name: str) -> bool:
    """Whether a parameter was added by an adapter."""
    return HOULSBY_PART in name or any(part in name for part in LORA_PARTS)


def modules_of(tensors: Iterable[str]) -> list[str]:
    """Names of the modules that hold these parameters, directly or not."""
    words = [name.split(".") for name in tensors]
    return sorted({".".join(parts[:end]) for parts in words for end in range(1, len(parts))})


def linear_sizes(tensors: Tensors) -> dict[str, tuple[int, int]]:
    """(in, out) of each linear layer of a transformer, from numbers of elements alone.

    A layer norm has as many weights as biases; a layer without a bias (Whisper's keys) is square.
    """
    width, found = model_width(tensors), {}
    for name, numel in tensors.items():
        stem = name.removesuffix(".weight")
        if stem == name or any(part in stem for part in NOT_LINEAR):
            continue
        out = tensors.get(f"{stem}.bias", width)
        if numel > out and numel % out == 0:
            found[stem] = (numel // out, out)
    return found


def model_width(tensors: Tensors) -> int:
    """Features of a frame within the transformer: the size of its layer norms."""
    norms = (n for name, n in tensors.items() if LAYER.search(name) and "norm.weight" in name)
    width = next(norms, None)
    if width is None:
        raise UserError("use_adapter is about a transformer, and the pretrained model has none.")
    return width
