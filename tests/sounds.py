"""Sound files and small Kaldi directories that the tests of the data stages write."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

from asr_dro_plugin.base.kaldi_io import spk2utt, write_table


def noise(seconds: float, rate: int = 16000, channels: int = 1, seed: int = 0) -> np.ndarray:
    """(N,) or (N, channels) float32, quiet enough that no conversion clips."""
    rng = np.random.default_rng(seed)
    shape = (round(seconds * rate),) if channels == 1 else (round(seconds * rate), channels)
    return (0.05 * rng.standard_normal(shape)).clip(-0.3, 0.3).astype(np.float32)


def tone(seconds: float, rate: int, pitch: float = 440.0) -> np.ndarray:
    """(N,) float32, a sine."""
    times = np.arange(round(seconds * rate)) / rate
    return (0.4 * np.sin(2 * np.pi * pitch * times)).astype(np.float32)


def pitch_of(samples: np.ndarray, rate: int) -> float:
    """Hz of the strongest partial."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(power.argmax() * rate / len(samples))


def encode(
    path: Path,
    samples: np.ndarray,
    rate: int,
    codec: str,
    container: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write one channel with one of FFmpeg's encoders; returns the path."""
    import av

    with av.open(str(path), "w", format=container, options=options or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono"
        if codec.startswith("wma"):
            stream.bit_rate = 64000  # which it has no default for
        pcm = np.rint(samples * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = rate
        to_encoder = av.AudioResampler(
            format=stream.codec_context.format.name,
            layout="mono",
            rate=rate,
            frame_size=stream.codec_context.frame_size or 1024,
        )
        for piece in [*to_encoder.resample(frame), *to_encoder.resample(None), None]:
            out.mux(stream.encode(piece))
    return path


def data_dir(path: Path, sounds: dict[str, Path | str], **columns: dict[str, str]) -> Path:
    """A valid data directory; language = the id up to ``_``; ``columns`` replace or add tables."""
    langs = {utt_id: utt_id.split("_")[0] for utt_id in sounds}
    tables = {
        "wav.scp": {utt_id: str(sound) for utt_id, sound in sounds.items()},
        "text": {utt_id: f"[{lang}] one two" for utt_id, lang in langs.items()},
        "utt2spk": {utt_id: f"{lang}_spk" for utt_id, lang in langs.items()},
        "utt2lang": langs,
        "utt2category": langs,
        **columns,
    }
    tables["spk2utt"] = spk2utt(tables["utt2spk"])
    for name, table in tables.items():
        write_table(path / name, table)
    return path


def write_flac(path: Path, samples: np.ndarray, rate: int = 16000) -> Path:
    """Write FLAC and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, format="FLAC")
    return path


def mux(
    path: Path,
    parts: list[tuple[float, np.ndarray]],
    rate: int,
    codec: str,
    picture: bool = False,
    jitter: float = 0.0,
    container: str | None = None,
) -> Path:
    """Write sound whose time stamps are given.

    Args:
        path: the file; its ending chooses the container.
        parts: (start in seconds, (N,) samples) of stretches, in order.
        rate: Hz.
        codec: FFmpeg's name.
        picture: whether a video track begins at 0.
        jitter: seconds by which stamps are off at most.
        container: FFmpeg's name of the format, where the ending does not say it.
    """
    import av

    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format=container) as out:
        if picture:
            film = out.add_stream("mpeg4", rate=5)
            film.width = film.height = 16
            film.pix_fmt = "yuv420p"
        sound = out.add_stream(codec, rate=rate)
        sound.layout = "mono"
        base = Fraction(1, rate)
        size = sound.codec_context.frame_size or 1024
        if picture:
            image = av.VideoFrame.from_ndarray(np.zeros((24, 16), np.uint8), format="yuv420p")
            out.mux(film.encode(image))
            out.mux(film.encode(None))
        to_encoder = av.AudioResampler(
            format=sound.codec_context.format.name, layout="mono", rate=rate
        )
        for start, samples in parts:
            pcm = np.rint(np.pad(samples, (0, -len(samples) % size)) * 32767).astype(np.int16)
            for n, piece in enumerate(pcm.reshape(-1, size)):
                frame = av.AudioFrame.from_ndarray(piece[None], format="s16", layout="mono")
                frame.sample_rate, frame.time_base = rate, base
                for made in to_encoder.resample(frame):
                    off = rng.uniform(-jitter, jitter) if n or start else 0
                    made.pts, made.time_base = round((start + off) * rate) + n * size, base
                    out.mux(sound.encode(made))
        out.mux(sound.encode(None))
    return path
