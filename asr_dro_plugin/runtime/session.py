"""A graph at work in onnxruntime, as a recogniser.

What public reports of onnxruntime under load taught, and what is done here:

- A pool of as many threads as the machine has cores, bound to cores that a container may not use
  (microsoft/onnxruntime#8313, #7207): the number of threads is always said, which also leaves them
  unbound; and a thread without work sleeps instead of spinning, for others need the core.
- Memory that only grows while lengths vary (#11627, #3032 of k2-fsa/sherpa-onnx): the plan of an
  input's length is not kept (``enable_mem_pattern``), and no arena.  What is not needed once the
  model is loaded, its bytes among it, is given back.
- A session that came over a fork has no threads and waits for ever (#7846, #10166), and ends the
  process when it is destroyed (pull request #31961): a process that inherits one opens its own and
  leaves the other where it is.
"""

import contextlib
import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError, in_one_line
from asr_dro_plugin.runtime.folder import ExportedModel
from asr_dro_plugin.transcribing.abs_recogniser import AbsRecogniser, OutOfMemory, padded

NO_MEMORY = ("bad_alloc", "bad allocation", "Failed to allocate", "Available memory of")
FATAL = 4  # onnxruntime's levels of logging; its errors come as exceptions
_INHERITED: list[object] = []  # sessions of a parent process, which may not be destroyed here


class OnnxRecogniser(AbsRecogniser):
    """An exported model on the CPU.

    Args:
        folder: the model, which is checked here, before it is loaded.
        precision: fp32, int8 …; None is the export's default.
        threads: of one computation.

    Raises:
        UserError: a member is missing or altered, the runtime lacks the graph's opset, …; names it.
    """

    def __init__(
        self, folder: ExportedModel, precision: str | None = None, threads: int = 1
    ) -> None:
        if threads < 1:
            raise UserError(f"threads is {threads}. Give 1 or more.")
        self.manifest, self._folder = folder.manifest, folder
        self._name = folder.manifest.graph_of(precision)
        self._threads, self._precision = threads, precision
        where = f"{folder.where}: {self._name}"
        facts = folder.check(precision)
        _refuse_unknown_opset(facts.ir_version, self.manifest.opset, where)
        self._open()

    tokens = property(lambda self: self.manifest.tokens)
    token_type = property(lambda self: self.manifest.token_type)
    blank_id = property(lambda self: self.manifest.blank_id)
    frame_shift = property(lambda self: self.manifest.frame_shift)
    exact_frames = property(lambda self: self.manifest.exact_frames)
    min_samples = property(lambda self: self.manifest.min_samples)
    longest = property(lambda self: self.manifest.longest)

    @property
    def depends_on_company(self) -> bool:
        """Whether an utterance's log probabilities depend on what is in the batch with it."""
        chosen = self._precision or self.manifest.default_precision
        return bool(self.manifest.precisions[chosen].get("by_company"))

    def _open(self) -> None:
        folder, names = self._folder, [self._name]
        if folder.needs_files(self._precision):
            chosen = self._precision or self.manifest.default_precision
            names += self.manifest.precisions[chosen]["members"]
            graph: Path | bytes = folder.path(dict.fromkeys(names)) / self._name
        else:
            graph = folder.graph(self._name)
        self._session = open_session(graph, self._threads, f"{folder.where}: {self._name}")
        self._process = os.getpid()

    def emission(self, speech: Sequence[np.ndarray]) -> Emission:
        """As ``AbsRecogniser``; what is longer than ``longest`` is read in overlapping chunks."""
        if self.is_too_long(speech):
            return self.emission_in_chunks(speech)
        samples, lengths = padded(speech)
        log_probs, frames = self._run(samples, lengths)
        return Emission(log_probs, frames, self.frame_shift, self.blank_id, self.tokens)

    def _run(self, samples: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
        if self._process != os.getpid():
            _INHERITED.append(self._session)
            self._open()
        outputs = [self.manifest.outputs[role] for role in ("log_probs", "lengths")]
        given = {
            self.manifest.inputs["speech"]: samples,
            self.manifest.inputs["lengths"]: lengths,
        }
        try:
            return self._session.run(outputs, given)
        except Exception as error:
            if any(words in str(error) for words in NO_MEMORY):
                raise OutOfMemory(in_one_line(error)) from None
            raise


def open_session(graph: Path | bytes, threads: int, where: str):
    """An onnxruntime session on the CPU.

    Raises:
        UserError: onnxruntime refuses it; names ``where``.
    """
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # of a process that had imported it before us
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = options.enable_cpu_mem_arena = False
    options.log_severity_level = FATAL
    try:
        session = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
    except Exception as error:  # its own classes have no common base but this
        raise UserError(
            f"{where} cannot be loaded by onnxruntime {onnxruntime.__version__}: "
            f"{in_one_line(error)} Export it again, or update onnxruntime."
        ) from None
    session._model_bytes = None  # kept for other devices' sake, as large as the model
    _give_back()
    return session


def _give_back() -> None:
    """Memory that loading is done with goes back to the system, where the C library can say so
    (glibc): of QuartzNet's weights, laid out anew for its kernels, that is as much as they are."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _refuse_unknown_opset(ir_version: int, opset: int, where: str) -> None:
    """Ask onnxruntime for the smallest graph of that opset: it has no list of what it knows."""
    import onnxruntime

    try:
        open_session(_smallest_graph(ir_version, opset), 1, where)
    except UserError as error:
        raise UserError(
            f"{where} is of opset {opset} (IR {ir_version}), which onnxruntime "
            f"{onnxruntime.__version__} does not know. Update it, or export with a smaller --opset."
        ) from error


def _smallest_graph(ir_version: int, opset: int) -> bytes:
    """An ONNX model of one Identity."""

    def part(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    def number(field: int, value: int) -> bytes:
        found = bytes([field << 3])
        while value > 0x7F:
            found += bytes([value & 0x7F | 0x80])
            value >>= 7
        return found + bytes([value])

    tensor = part(1, number(1, 1) + part(2, b""))  # one float
    ends = part(11, part(1, b"x") + part(2, tensor)) + part(12, part(1, b"y") + part(2, tensor))
    node = part(1, part(1, b"x") + part(2, b"y") + part(4, b"Identity"))
    return number(1, ir_version) + part(7, node + part(2, b"g") + ends) + part(8, number(2, opset))
