"""A network of ``forms`` as an ONNX file: traced, described, its weights inside or beside it.

TorchScript's exporter is used, not the one over ``torch.export``: it takes all our forms, in a
tenth of the time, recurrence over given lengths included, and what it would freeze it warns of,
which is an error here.
"""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from asr_dro_plugin.base.files import share
from asr_dro_plugin.base.quiet_terminal import quiet_libraries
from asr_dro_plugin.errors import UserError, in_one_line
from asr_dro_plugin.export.onnx.planes import spread_over_planes
from asr_dro_plugin.runtime.manifest import INPUTS, LOG_PROBS_OF_OTHERS, OUTPUTS

OPSET, OPSETS = 17, range(17, 21)  # layer norms are one operator since 17; the exporter ends at 20
DATA = ".data"  # behind the graph's name: the file of its weights
LARGE = 1_500_000_000  # bytes of weights; protobuf ends at 2 GiB
SEVERAL = "batch", "samples", "frames"
# What transformers decides from a number is told again by a tensor; the comparison is the proof.
HARMLESS = r"transformers\.|torch\.nn\.|espnet2\..*\.convolution"


def write_graph(
    network: nn.Module,
    path: Path,
    seconds: float,
    properties: Mapping[str, str],
    opset: int = OPSET,
    external: bool | None = None,
) -> None:
    """Trace ``network`` on noise of about ``seconds`` and write ``path``.

    Args:
        network: ``forms.SpeechToLogProbs``.
        path: the graph; its weights go to ``path`` + ``.data`` where they are external.
        properties: its ``metadata_props``.
        external: whether they are; None for as large as need be.

    Raises:
        UserError: the network does something that a graph cannot.
    """
    import onnx

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".traced.") as folder:
        traced = Path(folder, "graph.onnx")
        _trace(network, traced, seconds, opset)
        model = onnx.load(traced)
    _finish(model)
    onnx.helper.set_model_props(model, dict(properties))
    save(model, path, external)


def save(model, path: Path, external: bool | None = None) -> None:
    """Write an ONNX model, its weights beside it under a relative name or inside."""
    import onnx

    weights = sum(len(each.raw_data) for each in model.graph.initializer)
    if external or (external is None and weights > LARGE):
        name = path.name + DATA
        onnx.save(
            model, path, save_as_external_data=True, all_tensors_to_one_file=True, location=name,
            size_threshold=1024,
        )  # fmt: skip
        share(path.with_name(name))
    else:
        onnx.save(model, path)
    share(path)


def _trace(network: nn.Module, path: Path, seconds: float, opset: int) -> None:
    batch, samples, frames = SEVERAL
    num = round(16000 * seconds)
    speech = 0.1 * torch.randn(2, num, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([num, num - num // 3])
    outputs = [*OUTPUTS.values(), LOG_PROBS_OF_OTHERS]
    of_frames = {0: batch, 1: frames}
    axes = {
        INPUTS["speech"]: {0: batch, 1: samples}, INPUTS["lengths"]: {0: "batch_or_1"},
        OUTPUTS["log_probs"]: of_frames, OUTPUTS["lengths"]: {0: batch},
        LOG_PROBS_OF_OTHERS: of_frames,
    }  # fmt: skip
    with torch.no_grad(), quiet_libraries(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", category=torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning, module=HARMLESS)
        try:
            torch.onnx.export(
                network, (speech, lengths), str(path), dynamo=False, opset_version=opset,
                input_names=list(INPUTS.values()), output_names=outputs, dynamic_axes=axes,
            )  # fmt: skip
        except (torch.jit.TracerWarning, torch.onnx.errors.OnnxExporterError, SystemError) as error:
            first = in_one_line(error.__cause__ or error)  # SystemError: a warning that was raised
            raise UserError(
                f"A part of this model cannot be written as a graph: {first} Give the model away "
                "with asr-dro pack."
            ) from error


def _finish(model) -> None:
    """Lengths that need not be given, fast convolutions, no words of the exporter's."""
    import numpy as np
    import onnx

    default = onnx.numpy_helper.from_array(np.array([-1], np.int64), INPUTS["lengths"])
    model.graph.initializer.append(default)
    spread_over_planes(model)
    model.producer_name, model.producer_version = "asr-dro", ""
    for node in model.graph.node:
        node.doc_string = ""
