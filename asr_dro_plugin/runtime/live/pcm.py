"""16-bit sound as it arrives: pieces of any number of bytes, brought to the rate of the models."""

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.errors import UserError

RATES = (16000, 24000)  # Hz: ours, and that of OpenAI's realtime interface
FULL_SCALE = 32768.0


class PcmStream:
    """Little-endian 16-bit samples of one channel, made (N,) float32 at ``SAMPLE_RATE``.

    A sample may be split between two pieces.  The change of rate carries its state from piece to
    piece, so that their borders cannot be heard.

    Args:
        rate: one of ``RATES``.

    Raises:
        UserError: another rate.
    """

    def __init__(self, rate: int = SAMPLE_RATE) -> None:
        if rate not in RATES:
            known = " or ".join(map(str, RATES))
            raise UserError(f"Live sound of {rate} Hz is not taken. Send {known} Hz.")
        self.rate = rate
        self._restart()

    def _restart(self) -> None:
        self._half = b""
        self._resampler, self._in, self._out = None, 0, 0
        if self.rate != SAMPLE_RATE:
            import soxr

            self._resampler = soxr.ResampleStream(
                self.rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ"
            )

    def feed(self, data: bytes) -> np.ndarray:
        """The samples that a piece completes; with a change of rate they come a little later."""
        data = self._half + data
        whole = len(data) // 2 * 2
        self._half = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.float32) / FULL_SCALE
        return self._resampled(samples)

    def end(self) -> np.ndarray:
        """What the change of rate still holds; half a sample is left out.  Then all is new."""
        rest = self._resampled(np.zeros(0, np.float32), last=True)
        self._restart()
        return rest

    def _resampled(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """As many samples in all as ``audio.files.resample`` gives of the whole."""
        if self._resampler is None:
            return samples
        self._in += len(samples)
        if last and not self._in:
            return samples
        out = self._resampler.resample_chunk(samples, last=last)
        if last:
            wanted = round(self._in * SAMPLE_RATE / self.rate) - self._out
            out = np.pad(out, (0, max(0, wanted - len(out))))[:wanted]
        self._out += len(out)
        return out
