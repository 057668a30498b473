"""A small speech model as an ONNX graph, written by hand: features, convolutions, a product, CTC.

What it hears in noise is arbitrary, but the same each time: its own texts are the references.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.export.int8.data import References
from asr_dro_plugin.export.int8.errors import Reader
from asr_dro_plugin.export.int8.sessions import log_probs_of, opened
from asr_dro_plugin.runtime.manifest import INPUTS

TOKENS = ["<blank>", *"abcdefgh", "<space>"]
HOP, CHANNELS, BINS = 320, 64, 40
READ = Reader(TOKENS, "char", 0, HOP / SAMPLE_RATE)


def write_model(path, convolutions=3, products=1, seed=0):
    """Write the model; (1, N) speech and (1,) lengths give log_probs (1, T, V) and lengths."""
    rng, nodes, weights = np.random.default_rng(seed), [], []

    def weight(name, *shape):
        scale = 1.6 / np.sqrt(np.prod(shape[1:] if len(shape) > 2 else shape[:1]))
        values = (scale * rng.standard_normal(shape)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, name))
        return name

    def node(kind, inputs, name, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(name, values):
        weights.append(numpy_helper.from_array(np.array(values), name))
        return name

    x = node("Unsqueeze", [INPUTS["speech"], constant("one", [1])], "features/channel")
    dft = weight("dft", BINS, 1, 400)
    x = node("Conv", [x, dft], "features/dft", strides=[HOP], pads=[40, 40])
    x = node("Mul", [x, x], "features/power")
    x = node("Add", [x, constant("guard", np.float32(1e-3))], "features/guarded")
    x = node("Log", [x], "features/log")
    mean = node("ReduceMean", [x, constant("time", [2])], "features/mean", keepdims=1)
    x = node("Sub", [x, mean], "features/centred")
    for number in range(convolutions):
        size = CHANNELS if number else BINS
        x = node("Conv", [x, weight(f"w{number}", CHANNELS, size, 5)], f"conv{number}", pads=[2, 2])
        x = node("Relu", [x], f"relu{number}")
    x = node("Transpose", [x], "frames", perm=[0, 2, 1])
    for number in range(products):
        size = len(TOKENS) if number + 1 == products else CHANNELS
        wide = CHANNELS if convolutions else BINS
        x = node("MatMul", [x, weight(f"p{number}", wide if not number else CHANNELS, size)],
                 f"product{number}")  # fmt: skip
    node("LogSoftmax", [x], "log_probs", axis=-1)
    node("Div", [INPUTS["lengths"], constant("hop", [HOP])], "lengths")
    graph = helper.make_graph(
        nodes, "toy",
        [helper.make_tensor_value_info(INPUTS["speech"], TensorProto.FLOAT, ["B", "N"]),
         helper.make_tensor_value_info(INPUTS["lengths"], TensorProto.INT64, ["B"])],
        [helper.make_tensor_value_info("log_probs", TensorProto.FLOAT, ["B", "T", len(TOKENS)]),
         helper.make_tensor_value_info("lengths", TensorProto.INT64, ["B"])],
        weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def speech(count, seed=0, seconds=1.0):
    """Noise of changing loudness: utterances (N,) float32."""
    rng = np.random.default_rng(seed)
    size = int(seconds * SAMPLE_RATE)
    loud = np.repeat(rng.uniform(0.01, 1.0, (count, 20)), -(-size // 20), axis=1)[:, :size]
    return list((0.2 * loud * rng.standard_normal((count, size))).astype(np.float32))


def references(model, folder, count=24, langs=("eng", "fra")):
    """Utterances of which the model itself makes no error."""
    session = opened(model, 1)
    heard = {f"utt{number:02}": each for number, each in enumerate(speech(count))}
    texts = {utt: READ(log_probs_of(session, samples)) for utt, samples in heard.items()}
    languages = {utt: langs[number % len(langs)] for number, utt in enumerate(heard)}
    return References(folder, heard, texts, languages)
