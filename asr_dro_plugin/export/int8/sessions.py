"""An exported graph in onnxruntime, one utterance at a time."""

import os
from pathlib import Path

import numpy as np

from asr_dro_plugin.runtime.manifest import INPUTS, OUTPUTS


def opened(model: str | os.PathLike, threads: int):
    """An ``InferenceSession`` on the processor with so many threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        os.fspath(Path(model)), options, providers=["CPUExecutionProvider"]
    )


def inputs_of(samples: np.ndarray) -> dict[str, np.ndarray]:
    """Samples (N,) as the inputs of a graph: speech (1, N) and lengths (1,)."""
    lengths = np.array([len(samples)], np.int64)
    return {INPUTS["speech"]: samples[None], INPUTS["lengths"]: lengths}


def log_probs_of(session, samples: np.ndarray) -> np.ndarray:
    """(T, V) natural logarithms of one utterance (N,)."""
    wanted = [OUTPUTS["log_probs"], OUTPUTS["lengths"]]
    log_probs, lengths = session.run(wanted, inputs_of(samples))
    return log_probs[0, : int(lengths[0])]
