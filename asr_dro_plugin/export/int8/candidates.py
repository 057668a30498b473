"""What could be smaller or faster: each candidate is a way to write the model anew.

Sources of what to expect: onnxruntime's maintainers recommend calibrated (static) quantisation for
convolutions, for ``ConvInteger``, which dynamic quantisation makes of them, is slow (issue 12854
of microsoft/onnxruntime), so that dynamic candidates leave convolutions alone; products of 8 by 8
bits saturate on processors without VNNI instructions (issues 6004 and 14642), which 7 bits avoid;
an int8 conformer lost two points of WER where another lost nothing (pull request 995 of
k2-fsa/icefall).  So nothing is promised: all are measured.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_dro_plugin.export.int8.graph import named, weighted
from asr_dro_plugin.export.int8.sessions import inputs_of
from asr_dro_plugin.export.int8.stored import write_stored

EXTERNAL_BYTES = 1_500_000_000  # of the 32-bit model: from there on weights lie beside the graph
PRODUCTS, RECURRENT = ("MatMul", "Gemm"), ("LSTM",)
CALIBRATED = ("Conv", *PRODUCTS)
Speech = Sequence[np.ndarray]


class NotPossible(Exception):
    """Why a candidate cannot be made of this model."""


@dataclass(frozen=True)
class Candidate:
    """A way to write a model anew.

    Attributes:
        name: in tables and in the manifest.
        what: what it is, in a few words.
        write: ``write(model, out, calibration)`` writes the file ``out``; ``calibration`` are
            utterances, (N,) float32 each.
        by_company: whether an utterance's log probabilities depend on what is in the batch with
            it, and on where it is cut in chunks.
        full_range: whether 8 by 8 bits are multiplied, which saturate without VNNI.
    """

    name: str
    what: str
    write: Callable[[Path, Path, Speech], None]
    by_company: bool = False
    full_range: bool = False


def _dynamic(model: Path, out: Path, per_channel: bool) -> None:
    """Quantise matrix products with constant weights, the scale of each input found at work."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _prepared(model, out) as (path, graph):
        nodes = [node.name for node in weighted(graph, ("MatMul", *RECURRENT))]
        if not nodes:
            raise NotPossible("it has no matrix product with constant weights")
        quantize_dynamic(
            path, out, nodes_to_quantize=nodes, op_types_to_quantize=["MatMul", *RECURRENT],
            per_channel=per_channel, reduce_range=per_channel, weight_type=QuantType.QInt8,
            use_external_data_format=is_large(model),
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": 1},
        )  # fmt: skip


def _static(model: Path, out: Path, calibration: Speech) -> None:
    """Quantise convolutions and matrix products, the scales found on training audio."""
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    if not calibration:
        raise NotPossible("there is no training audio to calibrate it on")
    with _prepared(model, out) as (path, graph):
        nodes = [node.name for node in weighted(graph, CALIBRATED)]
        head = _head(graph)
        nodes = [name for name in nodes if name != head]
        if not nodes:
            raise NotPossible("it has no convolution or matrix product with constant weights")
        quantize_static(
            path, out, Calibration(calibration), quant_format=QuantFormat.QDQ,
            nodes_to_quantize=nodes, op_types_to_quantize=list(CALIBRATED), per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=True,
            calibrate_method=CalibrationMethod.MinMax, use_external_data_format=is_large(model),
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": 1,
                           "CalibMovingAverage": True},
        )  # fmt: skip


def _stored(model: Path, out: Path, _calibration: Speech) -> None:
    write_stored(model, out, is_large(model))


CANDIDATES = (
    Candidate(
        "dynamic", "matrix products in 8 bits, scales found at work",
        lambda model, out, _: _dynamic(model, out, False), by_company=True, full_range=True,
    ),
    Candidate(
        "dynamic_per_channel", "the same, a scale for each channel, weights of 7 bits",
        lambda model, out, _: _dynamic(model, out, True), by_company=True,
    ),
    Candidate(
        "static", "convolutions and matrix products in 8 bits (weights of 7), scales calibrated on "
        "training audio", _static,
    ),
    Candidate("stored", "weights stored in 8 bits, computed in 32", _stored),
)  # fmt: skip


class Calibration:
    """Utterances as onnxruntime's calibrators read them: one after the other, then None.

    Args:
        speech: (N,) float32 each.
    """

    def __init__(self, speech: Speech) -> None:
        self._feeds = map(inputs_of, speech)

    def get_next(self) -> dict | None:
        """The next utterance's inputs by name."""
        return next(self._feeds, None)


def is_large(model: Path) -> bool:
    """Whether the weights of a model written anew go into a file beside it."""
    return size_of(model) >= EXTERNAL_BYTES


def size_of(model: Path) -> int:
    """Bytes of a model with the file of its weights, if it has one."""
    return sum(path.stat().st_size for path in model.parent.glob(f"{model.name}*"))


@contextlib.contextmanager
def _prepared(model: Path, out: Path) -> Iterator[tuple[Path, object]]:
    """A copy of the model whose nodes have names and whose shapes are inferred as far as they can
    be, and its graph; onnxruntime's words on how to prepare a model are not the user's business."""
    import onnx
    import onnxruntime

    path = out.with_name(f"prepared.{out.name}")
    graph = onnx.load(os.fspath(model))
    named(graph)
    del graph.graph.value_info[:]  # shapes, also of weights that a quantiser transposes
    logger = logging.getLogger()
    level = logger.level
    try:
        large = is_large(model)
        onnx.save(graph, os.fspath(path), save_as_external_data=large, location=f"{path.name}.data")
        logger.setLevel(logging.ERROR)
        onnxruntime.set_default_logger_severity(3)
        yield path, graph
    finally:
        logger.setLevel(level)
        onnxruntime.set_default_logger_severity(2)
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()


def _head(graph) -> str:
    """The last node with weights, which makes the scores of the tokens: eight bits of those are
    too few to tell likely tokens apart."""
    return [node.name for node in weighted(graph, CALIBRATED)][-1]
