"""An exported graph in onnxruntime, one utterance at a time."""

import os
from pathlib import Path

import numpy as np


def opened(model: str | os.PathLike, threads: int):
    """An ``InferenceSession`` on the processor with so many threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        os.fspath(Path(model)), options, providers=["CPUExecutionProvider"]
    )


def inputs_of(session, samples: np.ndarray) -> dict[str, np.ndarray]:
    """Samples (N,) as the inputs of a graph: speech (1, N) and lengths (1,)."""
    speech, lengths = (each.name for each in session.get_inputs())
    return {speech: samples[None], lengths: np.array([len(samples)], np.int64)}


def log_probs_of(session, samples: np.ndarray) -> np.ndarray:
    """(T, V) natural logarithms of one utterance (N,)."""
    log_probs, lengths = session.run(None, inputs_of(session, samples))
    return log_probs[0, : int(lengths[0])]
