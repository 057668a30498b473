"""Convolutions over time as convolutions over planes of height 1.

They compute the same, and onnxruntime has its fast kernels, blocked over channels, for planes
alone: depthwise convolutions over time take a sixth of the time then, dense ones four fifths
(``benchmarks/bench_runtime.py``: QuartzNet 15x5 as a whole half).
"""

from collections import Counter

import numpy as np

HEIGHT = "height"  # the constant that says which axis is put in: (B, C, T) -> (B, C, 1, T)
AXIS = 2
ONE_A_DIMENSION = {"kernel_shape": 1, "strides": 1, "dilations": 1}


def spread_over_planes(model) -> None:
    """Change a ``ModelProto``: every ``Conv`` whose weights (O, I, K) are constants of its own."""
    from onnx import helper, numpy_helper

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    nodes, changed = [], False
    for node in graph.node:
        weight = weights.get(node.input[1]) if node.op_type == "Conv" else None
        if weight is None or len(weight.dims) != 3 or uses[weight.name] > 1:
            nodes.append(node)
            continue
        changed = True
        weight.dims.insert(AXIS, 1)
        _widen(node)
        flat_in, flat_out = node.input[0], node.output[0]
        node.input[0], node.output[0] = f"{flat_out}/plane_in", f"{flat_out}/plane_out"
        up = helper.make_node(
            "Unsqueeze", [flat_in, HEIGHT], [node.input[0]], f"{node.name}/to_plane"
        )
        down = helper.make_node(
            "Squeeze", [node.output[0], HEIGHT], [flat_out], f"{node.name}/from_plane"
        )
        nodes += [up, node, down]
    if not changed:
        return
    graph.initializer.append(numpy_helper.from_array(np.array([AXIS], np.int64), HEIGHT))
    del graph.value_info[:]
    del graph.node[:]
    graph.node.extend(_without_round_trips(nodes, {out.name for out in graph.output}))


def _widen(node) -> None:
    """The attributes of a convolution over one dimension, for two, the first of size 1."""
    for attribute in node.attribute:
        values = list(attribute.ints)
        if attribute.name in ONE_A_DIMENSION:
            attribute.ints[:] = [ONE_A_DIMENSION[attribute.name], *values]
        elif attribute.name == "pads":
            attribute.ints[:] = [0, values[0], 0, values[1]]


def _without_round_trips(nodes: list, outputs: set[str]) -> list:
    """Without what takes a plane's height away for the next convolution to put it in again."""
    planes = {n.output[0]: n.input[0] for n in nodes if n.name.endswith("/from_plane")}
    again = {
        n.output[0]: planes[n.input[0]]
        for n in nodes
        if n.name.endswith("/to_plane") and n.input[0] in planes
    }
    for node in nodes:
        node.input[:] = [again.get(name, name) for name in node.input]
    left = [node for node in nodes if node.output[0] not in again]
    used = {name for node in left for name in node.input} | outputs
    return [node for node in left if node.output[0] not in planes or node.output[0] in used]
