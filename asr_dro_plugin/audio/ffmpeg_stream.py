"""Audio that libsndfile does not read, decoded forwards by FFmpeg's libraries in the PyAV wheel."""

import io
from pathlib import Path

import numpy as np

from asr_dro_plugin.errors import UserError

RAW_FORMATS = {".g722": "g722"}  # no header: the name's ending is all there is to know


class AudioError(UserError):
    """One file that cannot be decoded; the message names it, the fact and the remedy."""

    def __init__(self, message: str, reason: str = "unreadable audio") -> None:
        super().__init__(message)
        self.reason = reason


def raw_format(name: str) -> str | None:
    """FFmpeg's name of a headerless format, known by the file name's ending; None for others."""
    return RAW_FORMATS.get(Path(name).suffix.lower())


class AudioStream:
    """The first audio track of a file, decoded forwards by FFmpeg's libraries through PyAV."""

    def __init__(self, name: str, source: str | io.BytesIO, refusal: str) -> None:
        self.name, self._source = name, source
        try:
            import av
        except ImportError:
            raise AudioError(
                f"{name} needs FFmpeg's decoders (libsndfile: {refusal}). Install them with "
                "'pip install av', or convert the file to WAV or FLAC."
            ) from None
        self._av, self._refusal = av, refusal
        self._open()

    def _open(self) -> None:
        try:
            self._container = self._av.open(self._source, format=raw_format(self.name))
        except (self._av.error.FFmpegError, ValueError) as error:
            raise AudioError(
                f"{self.name} cannot be decoded, neither by libsndfile ({self._refusal}) nor by "
                f"FFmpeg ({_words(error)}). Convert it to WAV or FLAC, or leave it out."
            ) from None
        if not self._container.streams.audio:
            self.close()
            raise AudioError(f"{self.name} has no audio track. Correct its path, or leave it out.")
        context = self._container.streams.audio[0].codec_context
        self.samplerate, self.channels = context.rate, context.channels
        self._frames = self._container.decode(audio=0)
        self._held = np.zeros(0, np.float32)  # decoded, mono; may still be needed
        self._held_from = 0  # sample number of _held[0]

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def count(self) -> int:
        """Samples up to the end, by decoding: a container's own duration is rounded or a guess."""
        num_samples = 0
        while (block := self._next()) is not None:
            num_samples += len(block)
        return num_samples

    def read(self, first: int, last: int | None) -> np.ndarray:
        """(N,) float32 from sample ``first`` to ``last``; going back starts over."""
        if first < self._held_from:
            self.close()
            if not isinstance(self._source, str):
                self._source.seek(0)
            self._open()
        blocks, held_to = [self._held], self._held_from + len(self._held)
        while last is None or held_to < last:
            if (block := self._next()) is None:
                break
            held_to += len(block)
            if held_to <= first:  # before the stretch: forget it at once
                blocks, self._held_from = [], held_to
            else:
                blocks.append(block)
        held = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
        keep = min(max(0, first - self._held_from), len(held))
        if last is None:  # nothing comes after it: do not hold a whole recording twice
            self._held, self._held_from = np.zeros(0, np.float32), held_to
            return held[keep:]
        self._held, self._held_from = held[keep:], self._held_from + keep
        return self._held[: max(0, last - self._held_from)].copy()

    def _next(self) -> np.ndarray | None:
        """The next decoded block (N,), or None at the end."""
        try:
            frame = next(self._frames, None)
        except self._av.error.EOFError:
            return None
        except self._av.error.FFmpegError as error:
            raise AudioError(
                f"{self.name} is damaged (FFmpeg: {_words(error)}). Copy it again, or leave it out."
            ) from None
        if frame is None:
            return None
        if frame.sample_rate != self.samplerate:
            raise AudioError(f"{self.name} changes its sample rate midway. Convert it to WAV.")
        return _frame_to_mono(frame)


def _frame_to_mono(frame) -> np.ndarray:
    """Mean over channels of a decoded frame, whatever its sample format, as (N,) float32."""
    array = frame.to_ndarray()
    if not frame.format.is_planar:
        array = array.reshape(-1, len(frame.layout.channels)).T
    if array.dtype == np.uint8:
        array = (array.astype(np.float32) - 128) / 128
    elif array.dtype.kind == "i":
        array = array.astype(np.float32) / -float(np.iinfo(array.dtype).min)
    return array.mean(axis=0, dtype=np.float32)


def _words(error: Exception) -> str:
    """An FFmpeg error's own words, without the path that PyAV adds."""
    return str(getattr(error, "strerror", None) or error)
