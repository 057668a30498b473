"""Sound files and small Kaldi directories that the tests of the data stages write."""

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


def encode(path: Path, samples: np.ndarray, rate: int, codec: str, container: str | None = None):
    """Write one channel with one of FFmpeg's encoders; returns the path."""
    import av

    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono"
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
