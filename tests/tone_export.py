"""An exported folder whose text is known: the graph hears tones as letters.  No torch makes it."""

import hashlib
import json
from pathlib import Path

import numpy as np

from asr_dro_plugin.runtime.manifest import (
    CARD,
    FORMAT,
    INPUTS,
    MANIFEST,
    MODEL,
    OUTPUTS,
    SCHEMA,
    in_graph,
)

SHIFT, RATE = 640, 16000
TOKENS = ("<blank>", "<space>", "[eng]", "[fra]", *"abcdefgh")
LETTER, PAUSE = 0.16, 0.08  # seconds
QUIET = 4.0  # what the blank scores, in the units of a tone's energy
OPSET = 18


def tones_of(text: str, rate: int = RATE) -> np.ndarray:
    """(N,) float32 that the graph hears as a text; E and F are the tags of the languages."""
    named = {" ": "<space>", "E": "[eng]", "F": "[fra]"}
    time = np.arange(round(LETTER * rate)) / rate
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.005)
    pieces = [np.zeros(round(2 * PAUSE * rate))]
    for letter in text:
        hertz = 500 * TOKENS.index(named.get(letter, letter))
        pieces += [0.5 * fade * np.sin(2 * np.pi * hertz * time), np.zeros(round(PAUSE * rate))]
    return np.concatenate(pieces).astype(np.float32)


def write_tone_export(folder: Path) -> Path:
    """The folder, as ``asr-dro export --to onnx`` leaves one."""
    import onnx

    folder.mkdir(parents=True)
    facts = {
        "format": FORMAT, "schema": SCHEMA, "name": folder.name, "made_by": "tests",
        "inputs": INPUTS, "outputs": OUTPUTS, "tokens": list(TOKENS), "blank_id": 0,
        "token_type": "char", "bpe_model": None, "sample_rate": RATE, "frame_shift": SHIFT / RATE,
        "frame_shift_samples": SHIFT, "min_samples": SHIFT, "exact_frames": True,
        "receptive_field_samples": SHIFT, "longest": None, "languages": ["eng", "fra"],
        "groups": ["eng", "fra"], "text_rule": {"normalizer": None}, "features": {}, "stack": {},
        "decode": {"mode": "greedy"}, "opset": OPSET, "training": {}, "num_parameters": 0,
        "licence": "unknown", "int8": None,
    }  # fmt: skip
    model = _graph()
    for key, value in in_graph(facts).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, folder / MODEL["fp32"])
    (folder / CARD).write_text("Hears tones.\n")
    members = {path.name: {"bytes": path.stat().st_size,
                           "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
               for path in folder.iterdir()}  # fmt: skip
    facts |= {
        "card": CARD, "lm_dir": None, "parity": {}, "peers": {}, "default_precision": "fp32",
        "precisions": {"fp32": {"file": MODEL["fp32"], "members": [MODEL["fp32"]]}},
        "members": members,
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(facts))
    return folder


def _graph():
    """Each frame's energy at the frequency of each symbol, but the blank's, which is constant."""
    from onnx import TensorProto, helper, numpy_helper

    size, time = len(TOKENS), np.arange(SHIFT) / RATE
    angles = 2 * np.pi * 500 * np.arange(size)[:, None] * time
    kernels = np.concatenate([np.cos(angles), np.sin(angles)])[:, None].astype(np.float32) / 40
    kernels[[0, size]] = 0
    quiet = np.zeros((1, size, 1), np.float32)
    quiet[0, 0] = QUIET
    weights = [numpy_helper.from_array(array, name) for name, array in (
        ("kernels", kernels), ("quiet", quiet), ("one", np.array([1])),
        ("shift", np.array(SHIFT)), ("halves", np.array([size, size])),
    )]  # fmt: skip
    speech, lengths = INPUTS["speech"], INPUTS["lengths"]
    nodes = [
        helper.make_node("Unsqueeze", [speech, "one"], ["channel"]),
        helper.make_node("Conv", ["channel", "kernels"], ["waves"], strides=[SHIFT]),
        helper.make_node("Mul", ["waves", "waves"], ["squares"]),
        helper.make_node("Split", ["squares", "halves"], ["cosines", "sines"], axis=1),
        helper.make_node("Add", ["cosines", "sines"], ["energies"]),
        helper.make_node("Add", ["energies", "quiet"], ["scores"]),
        helper.make_node("LogSoftmax", ["scores"], ["logs"], axis=1),
        helper.make_node("Transpose", ["logs"], [OUTPUTS["log_probs"]], perm=[0, 2, 1]),
        helper.make_node("Div", [lengths, "shift"], [OUTPUTS["lengths"]]),
    ]
    graph = helper.make_graph(
        nodes, "tones",
        [helper.make_tensor_value_info(speech, TensorProto.FLOAT, ["B", "N"]),
         helper.make_tensor_value_info(lengths, TensorProto.INT64, ["B"])],
        [helper.make_tensor_value_info(OUTPUTS["log_probs"], TensorProto.FLOAT, ["B", "T", size]),
         helper.make_tensor_value_info(OUTPUTS["lengths"], TensorProto.INT64, ["B"])],
        weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
