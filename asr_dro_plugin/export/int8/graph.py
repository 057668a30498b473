"""Which nodes of an exported graph may be quantised: those with weights, behind the features.

The features (windows, Fourier transform, mel filters, logarithm) span ten orders of magnitude, so
that eight bits hold nothing of them: nodes whose name begins with ``FEATURES`` stay as they are.
So does the first convolution over raw audio (one input channel): it is the features of such a
stack.  A matrix product of two things that are both computed (attention's) has no weights.
"""

from collections.abc import Iterator

FEATURES = "features/"  # first letters of the names of nodes that compute features
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
    constants = initializers(model)
    for node in model.graph.node:
        if node.op_type not in kinds or node.name.startswith(FEATURES):
            continue
        weights = [node.input[place] for place in WEIGHT_INPUTS[node.op_type]]
        if all(name in constants for name in weights):
            if node.op_type == "Conv" and hears_samples(node, constants[weights[0]]):
                continue
            yield node


def hears_samples(node, weight) -> bool:
    """Whether a convolution has one input channel, which is raw audio's; a depthwise one's is a
    group's."""
    groups = next((each.i for each in node.attribute if each.name == "group"), 1)
    return len(weight.dims) == 3 and weight.dims[1] * groups == 1
