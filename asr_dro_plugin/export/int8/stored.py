"""Weights of eight bits on the disk, numbers of 32 bits at work.

Each matrix is stored as int8 with a scale for each output channel; casting and scaling are nodes
of constants, which onnxruntime computes once, when it loads the model.  The file has a quarter of
the size, and then the model computes what the 32-bit one does, as fast, with weights that are
rounded: no activation is quantised, so nothing saturates, and text does not depend on the company
in a batch.
"""

import os

import numpy as np

from asr_dro_plugin.export.int8.graph import WEIGHT_INPUTS, initializers, weighted

SMALLEST = 1024  # numbers; a smaller tensor is not worth the nodes
LARGEST = 127
# The axis of the output channels, each of which has a scale: (kind, place of the input) -> axis.
CHANNELS = {("Conv", 1): 0, ("LSTM", 1): 1, ("LSTM", 2): 1, ("GRU", 1): 1, ("GRU", 2): 1}


def write_stored(model_path: str | os.PathLike, out: str | os.PathLike, external: bool) -> None:
    """Write the model with the weights of its weighted nodes in eight bits.

    Args:
        model_path: the 32-bit model.
        out: the file to write.
        external: whether its weights go into a file of their own beside it.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(os.fspath(model_path))
    constants, places = initializers(model), _places(model)
    made = []
    for name, axis in places.items():
        tensor = constants[name]
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST:
            continue
        small, scales = rounded(values, axis)
        model.graph.initializer.remove(tensor)
        stored, scale = f"{name}_int8", f"{name}_scale"
        model.graph.initializer.append(numpy_helper.from_array(small, stored))
        model.graph.initializer.append(numpy_helper.from_array(scales, scale))
        cast = f"{name}_cast"
        made += [
            onnx.helper.make_node("Cast", [stored], [cast], f"{cast}_node", to=1),
            onnx.helper.make_node("Mul", [cast, scale], [name], f"{name}_scaled"),
        ]
    for node in reversed(made):
        model.graph.node.insert(0, node)
    where = f"{os.path.basename(out)}.data" if external else None
    onnx.save(model, os.fspath(out), save_as_external_data=external, location=where)


def rounded(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as int8 and their scales, one along ``axis``: values are about int8 times scale."""
    others = tuple(each for each in range(values.ndim) if each != axis % values.ndim)
    scales = np.abs(values).max(axis=others, keepdims=True) / LARGEST
    scales[scales == 0] = 1.0
    return np.round(values / scales).astype(np.int8), scales.astype(np.float32)


def _places(model) -> dict[str, int]:
    """Axis of the output channels by name of the weights."""
    found = {}
    for node in weighted(model):
        for place in WEIGHT_INPUTS[node.op_type]:
            found[node.input[place]] = _axis(node, place)
    return found


def _axis(node, place: int) -> int:
    if node.op_type == "Gemm":
        transposed = any(each.name == "transB" and each.i for each in node.attribute)
        return 0 if transposed else 1
    return CHANNELS.get((node.op_type, place), -1)
