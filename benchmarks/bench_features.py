"""Log-mel features: ours in numpy and in torch beside kaldi-native-fbank's and torchaudio's.

    make bench            (python benchmarks/bench_features.py 5: fewer runs)

One thread.  Each side is set to what the other can compute too, and the largest difference of the
values is printed; the runs of both sides alternate.  The demand: not slower.  Our own features
(NeMo's, normalised within the utterance, which neither peer does) stand in a line of their own.
"""

import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np

RUNS, SECONDS, BATCH = 15, 20, 16
NOISE_LEVEL = 0.1
SAME = 0.95  # a share of the peer's speed that is no difference on a busy machine


def timed(sides: dict[str, Callable], runs: int) -> dict[str, float]:
    """Median seconds of each, run in turn."""
    spent = {name: [] for name in sides}
    for side in sides.values():
        side()
    for _ in range(runs):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            spent[name].append(time.perf_counter() - began)
    return {name: median(values) for name, values in spent.items()}


def told(title: str, sides: dict[str, Callable], peer: str, seconds: float, runs: int) -> bool:
    """Print a table; whether all of ours are at least as quick as the peer."""
    print(title)
    found = timed(sides, runs)
    for name, value in found.items():
        print(
            f"  {name:<34}{1000 * value:8.2f} ms  {seconds / value:8,.0f} s of audio a second"
            f"  {found[peer] / value:6.2f} times {peer}"
        )
    return all(found[peer] / value > SAME for name, value in found.items() if name != peer)


def kaldi(samples: np.ndarray) -> Callable:
    """kaldi-native-fbank with Slaney's filters in Hz, a Hann window and no pre-emphasis."""
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    frame, mel = options.frame_opts, options.mel_opts
    frame.dither, frame.preemph_coeff, frame.remove_dc_offset = 0.0, 0.0, False
    frame.window_type, frame.snip_edges = "hanning", True
    mel.num_bins, mel.low_freq, mel.is_librosa, mel.use_slaney_mel_scale = 64, 0.0, True, True
    mel.norm = "slaney"

    def compute() -> np.ndarray:
        computer = knf.OnlineFbank(options)
        computer.accept_waveform(16000, samples)
        computer.input_finished()
        return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])

    return compute


def beside_kaldi(samples: np.ndarray, runs: int) -> bool:
    """One utterance: windows of 25 ms, uncentred, in transforms of 512."""
    import torch

    from asr_dro_plugin.features.log_mel import LogMel, LogMelSettings
    from asr_dro_plugin.features.log_mel_torch import BatchLogMel

    settings = LogMelSettings(
        win_length=400, center=False, frame_count="all", preemphasis=0.0, log="clamp",
        log_guard=float(np.finfo(np.float32).eps), normalize="none", dither=0.0,
    )  # fmt: skip
    # Kaldi's windows begin with the transform, ours lie in its middle
    shifted = np.pad(samples, (settings.n_fft - settings.win_length) // 2)
    ours, theirs = LogMel(settings), kaldi(samples)
    batch, length = torch.from_numpy(shifted)[None], torch.tensor([len(shifted)])
    in_torch = BatchLogMel(settings).eval()
    values = theirs()
    for name, own in (("numpy", ours(shifted)), ("torch", in_torch(batch, length)[0][0].numpy())):
        assert own.shape == values.shape
        print(f"largest difference to kaldi-native-fbank, {name}: {np.abs(own - values).max():.1e}")
    sides = {
        "kaldi-native-fbank": theirs,
        "ours, numpy": lambda: ours(shifted),
        "ours, torch": lambda: in_torch(batch, length),
    }
    return told(f"one utterance of {SECONDS} s", sides, "kaldi-native-fbank", SECONDS, runs)


def beside_torchaudio(samples: np.ndarray, runs: int) -> bool:
    """A batch: NeMo's features, before they are normalised."""
    import torch
    import torchaudio

    from asr_dro_plugin.features.log_mel_torch import BatchLogMel, LogMelSettings

    batch = torch.from_numpy(samples).view(4, -1).repeat(BATCH // 4, 1)
    lengths = torch.full((BATCH,), batch.shape[1])
    spectrogram = torchaudio.transforms.MelSpectrogram(
        16000, 512, 320, 160, n_mels=64, norm="slaney", mel_scale="slaney", pad_mode="constant",
        window_fn=torch.hann_window, wkwargs={"periodic": False},
    )  # fmt: skip
    plain = BatchLogMel(LogMelSettings(normalize="none")).eval()
    normalised = BatchLogMel().eval()

    def theirs() -> torch.Tensor:
        return torch.log(spectrogram(torchaudio.functional.preemphasis(batch)) + 2.0**-24)

    own = plain(batch, lengths)[0]
    values = theirs().transpose(1, 2)[:, : own.shape[1]]  # one frame fewer is ours
    print(f"largest difference to torchaudio: {(own - values).abs().max():.1e}")
    sides = {
        "torchaudio": theirs,
        "ours, torch": lambda: plain(batch, lengths),
        "ours, torch, normalised": lambda: normalised(batch, lengths),
    }
    seconds = batch.numel() / 16000
    title = f"a batch of {BATCH} utterances of {batch.shape[1] / 16000:g} s"
    return told(title, sides, "torchaudio", seconds, runs)


def main() -> int:
    """Print both tables; 1 where ours is slower."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    rng = np.random.default_rng(0)
    samples = (NOISE_LEVEL * rng.standard_normal(SECONDS * 16000)).astype(np.float32)
    quick = [beside_kaldi(samples, runs), beside_torchaudio(samples, runs)]
    print("not slower" if all(quick) else "SLOWER")
    return 0 if all(quick) else 1


if __name__ == "__main__":
    sys.exit(main())
