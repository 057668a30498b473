"""Which nodes of an exported graph may be quantised: those with weights, behind the features.

The features (windows, Fourier transform, mel filters) span ten orders of magnitude before their
logarithm, so that eight bits hold nothing of them: what a ``Log`` is computed from stays as it is.
So does a convolution over one input channel: of raw audio it is the features of stacks without a
``Log``, and of mel features it takes what may have none (DeepSpeech 2).  A matrix product of two
things that are both computed (attention's) has no weights, and one whose left side is constant is
no layer.
"""

from collections.abc import Iterator

WEIGHT_INPUTS = {"Conv": (1,), "MatMul": (1,), "Gemm": (1,), "LSTM": (1, 2), "GRU": (1, 2)}


def named(model) -> None:
    """Give each node of a ``ModelProto`` a name of its own, by which quantisers select."""
    seen: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{number}_{node.name}"
        seen.add(node.name)


def initializers(model) -> dict:
    """The weights of a ``ModelProto`` by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def weighted(model, kinds: tuple[str, ...] = tuple(WEIGHT_INPUTS)) -> Iterator:
    """Nodes of these kinds whose weights are constants, but for those of the features."""
    constants, of_features = initializers(model), before_logarithm(model)
    for node in model.graph.node:
        if node.op_type not in kinds or of_features & set(node.output):
            continue
        weights = [node.input[place] for place in WEIGHT_INPUTS[node.op_type]]
        if all(name in constants for name in weights):
            if node.op_type == "Conv" and hears_one_channel(node, constants[weights[0]]):
                continue
            yield node


def before_logarithm(model) -> set[str]:
    """Names of all that a ``Log`` is computed from."""
    makers = {out: node for node in model.graph.node for out in node.output}
    left = [name for node in model.graph.node if node.op_type == "Log" for name in node.input]
    found: set[str] = set()
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += makers[name].input if name in makers else ()
    return found


def hears_one_channel(node, weight) -> bool:
    """Whether a convolution has one input channel in all; a depthwise one has one a group."""
    groups = next((each.i for each in node.attribute if each.name == "group"), 1)
    return weight.dims[1] * groups == 1
