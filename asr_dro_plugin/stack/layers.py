"""The layers of a network as a table: name, kind, shape of its weights, number of parameters.

Layers and blocks that stand in a row and are alike share a line: ``layers.0-23`` are 24 of them.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from asr_dro_plugin.base.text_table import aligned

HEADER = ("layer", "kind", "weights", "times", "parameters")
# What of a convolution is worth a word, and the value that is not.
SETTINGS = {"stride": 1, "dilation": 1, "groups": 1}


@dataclass(frozen=True)
class Layer:
    """One line.

    Attributes:
        name: in the network; ``blocks.1-3`` for three alike.
        kind: class, and kernel, stride, dilation and groups of a convolution.
        shapes: of its own parameters by name, without those of layers inside it.
        times: how many it stands for.
        num_parameters: of all of them together.
    """

    name: str
    kind: str
    shapes: dict[str, tuple[int, ...]]
    times: int
    num_parameters: int

    def as_dict(self) -> dict:
        """For programs."""
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        return asdict(self) | {"shapes": shapes}


def layers_of(module, name: str = "", times: int = 1) -> Iterator[Layer]:
    """The layers with parameters of a torch module, in order.

    Args:
        name, times: of the module itself, within a larger one.
    """
    own = {key: tuple(value.shape) for key, value in module.named_parameters(recurse=False)}
    if own:
        count = sum(value.numel() for value in module.parameters(recurse=False))
        yield Layer(name or "(itself)", _kind(module), own, times, times * count)
    for child_name, child, repeats in _grouped(module):
        inner = f"{name}.{child_name}" if name else child_name
        yield from layers_of(child, inner, times * repeats)


def layer_lines(layers: list[Layer]) -> list[str]:
    """The table as text, with a total."""
    rows = [HEADER]
    for layer in layers:
        times = str(layer.times) if layer.times > 1 else ""
        count = f"{layer.num_parameters:,}"
        rows.append((layer.name, layer.kind, _weights(layer.shapes), times, count))
    total = sum(layer.num_parameters for layer in layers)
    rows.append(("total", "", "", "", f"{total:,}"))
    return aligned(rows, rules=[1, len(rows) - 1], num_left=3)


def _weights(shapes: dict[str, tuple[int, ...]]) -> str:
    """Shapes; of a bias its presence alone, of a recurrence one direction."""
    words = []
    for name, shape in shapes.items():
        sizes = " x ".join(map(str, shape)) or "1"
        if not name.startswith("bias") and not name.endswith("_reverse"):
            words.append(sizes if name == "weight" else f"{name} {sizes}")
    if any(name.startswith("bias") for name in shapes):
        words.append("bias")
    if any(name.endswith("_reverse") for name in shapes):
        words.append("both directions")
    return ", ".join(words)


def _grouped(module) -> Iterator[tuple[str, object, int]]:
    """(name, child, how many) of a module's children; numbered ones that are alike as one."""
    children = list(module.named_children())
    index = 0
    while index < len(children):
        name, child = children[index]
        end = index + 1
        while end < len(children) and name.isdecimal() and _form(child) == _form(children[end][1]):
            end += 1
        many = end - index
        yield (f"{name}-{children[end - 1][0]}" if many > 1 else name), child, many
        index = end


def _form(module) -> tuple:
    """All that a module's lines would say of it."""
    own = [(key, value.shape) for key, value in module.named_parameters(recurse=False)]
    return _kind(module), own, [(name, _form(child)) for name, child in module.named_children()]


def _kind(module) -> str:
    words = [type(module).__name__]
    kernel = getattr(module, "kernel_size", None)
    if isinstance(kernel, tuple):
        words.append(f"kernel {_sizes(kernel)}")
        for name, plain in SETTINGS.items():
            value = getattr(module, name, plain)
            if (sizes := _sizes(value)) != str(plain):
                words.append(f"{name} {sizes}")
    return " ".join(words)


def _sizes(value: object) -> str:
    """``(2, 1)`` as ``2x1``, ``(3,)`` and ``(1, 1)`` as one number."""
    numbers = value if isinstance(value, tuple) else (value,)
    return "x".join(map(str, numbers)) if len(set(numbers)) > 1 else str(numbers[0])
