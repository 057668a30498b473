"""The log-mel features against their formulas, in numpy and in torch."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.features.log_mel import LogMel, LogMelSettings, filters_of
from asr_dro_plugin.features.log_mel_torch import BatchLogMel

RATE = 16000
PLAIN = LogMelSettings(normalize="none")
TORCHAUDIO = LogMelSettings(
    n_mels=128, n_fft=400, win_length=400, hop_length=200, periodic_window=True,
    pad_mode="reflect", frame_count="all", preemphasis=0.0, mel_scale="htk", mel_norm="none",
    log="none", normalize="none", dither=0.0,
)  # fmt: skip
CONVENTIONS = {
    "nemo": LogMelSettings(),
    "nemo-old": LogMelSettings(pad_mode="reflect", frame_count="ceil"),
    "unnormalised": PLAIN,
    "proslushka": LogMelSettings(
        pad_mode="reflect", frame_count="all", log="clamp", log_guard=1e-10,
        normalize="all_features", normalize_guard=1e-8,
    ),
    "librosa": LogMelSettings(
        n_mels=80, periodic_window=True, pad_mode="reflect", frame_count="all",
        preemphasis_start="extrapolate", log="clamp", log_guard=1e-10, normalize="none",
    ),
    "torchaudio": TORCHAUDIO,
    "uncentred": LogMelSettings(center=False, frame_count="all", power=1.0, window="blackman"),
}  # fmt: skip


def signals():
    """An impulse, a tone of 1 kHz and noise, of three lengths."""
    rng = np.random.default_rng(0)
    impulse = np.zeros(5000, dtype=np.float32)
    impulse[2400] = 1.0
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(8123) / RATE)
    return {
        "impulse": impulse,
        "tone": tone.astype(np.float32),
        "noise": (0.1 * rng.standard_normal(16000)).astype(np.float32),
    }


SIGNALS = signals()


def slaney_points(number):
    """Hertz of points equally far apart on Slaney's scale from 0 to 8 kHz, by its definition."""
    step = 6.4 ** (1 / 27)
    top = 15 + np.log(8) / np.log(step)
    mels = np.arange(number) * top / (number - 1)
    return [200 / 3 * mel if mel < 15 else 1000 * step ** (mel - 15) for mel in mels]


def golden(samples):
    """NeMo's features before normalisation, frame by frame and bin by bin, from the formulas."""
    samples = samples.astype(np.float64)
    emphasised = np.array([samples[0], *(samples[1:] - 0.97 * samples[:-1])])
    window = [0.5 - 0.5 * np.cos(2 * np.pi * n / 319) for n in range(320)]
    turns = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(320)) / 512)
    points, bins = slaney_points(66), np.arange(257) * RATE / 512
    features = []
    for frame in range(len(samples) // 160):
        places = frame * 160 - 160 + np.arange(320)
        inside = (places >= 0) & (places < len(samples))
        cut = np.where(inside, emphasised[np.clip(places, 0, len(samples) - 1)], 0.0)
        power = np.abs(turns @ (cut * window)) ** 2
        row = []
        for low, centre, high in zip(points, points[1:], points[2:], strict=False):
            triangle = np.interp(bins, [low, centre, high], [0, 1, 0])
            row.append(np.log(triangle @ power * 2 / (high - low) + 2.0**-24))
        features.append(row)
    return np.array(features)


def golden_normalised(samples):
    features = golden(samples)
    mean, deviation = features.mean(axis=0), features.std(axis=0, ddof=1)
    return (features - mean) / (deviation + 1e-5)


def in_torch(settings, samples):
    speech = torch.from_numpy(samples)[None]
    return BatchLogMel(settings).eval()(speech, torch.tensor([len(samples)]))[0][0].numpy()


def padded(signals_):
    lengths = torch.tensor([len(samples) for samples in signals_])
    rows = [torch.from_numpy(samples) for samples in signals_]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("compute", [lambda s, x: LogMel(s)(x), in_torch], ids=["numpy", "torch"])
def test_the_features_are_those_of_the_formulas(compute, name):
    samples = SIGNALS[name]
    plain, normalised = compute(PLAIN, samples), compute(LogMelSettings(), samples)
    assert plain.dtype == np.float32 and plain.shape == (len(samples) // 160, 64)
    assert np.abs(plain - golden(samples)).max() < 1e-5
    assert np.abs(normalised - golden_normalised(samples)).max() < 1e-4


def test_silence_is_the_guard_and_a_tone_lies_in_its_filter():
    silence = LogMel(PLAIN)(np.zeros(1600, dtype=np.float32))
    np.testing.assert_allclose(silence, np.log(2.0**-24), atol=1e-5)
    loudest = LogMel(PLAIN)(SIGNALS["tone"])[10].argmax()
    low, _, high = slaney_points(66)[loudest : loudest + 3]
    assert low < 1000 < high


@pytest.mark.parametrize("name", CONVENTIONS)
def test_torch_and_numpy_are_equal(name):
    chosen = CONVENTIONS[name]
    for kind, samples in SIGNALS.items():
        if name == "uncentred" and kind == "tone":
            continue  # whole periods a hop: equal frames, whose deviation is rounding alone
        ours, theirs = LogMel(chosen)(samples), in_torch(chosen, samples)
        assert np.abs(ours - theirs).max() < 1e-5 * max(1.0, np.abs(ours).max())


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_batch_gives_each_utterance_what_it_has_alone_to_the_last_bit(name):
    chosen = CONVENTIONS[name]
    speech, lengths = padded(list(SIGNALS.values()))
    speech[0, lengths[0] :] = 7.0  # whatever lies behind an utterance
    features, frames = BatchLogMel(chosen).eval()(speech, lengths)
    for row, count, samples in zip(features, frames, SIGNALS.values(), strict=True):
        assert np.array_equal(row[:count].numpy(), in_torch(chosen, samples))
        assert (row[count:] == 0).all()


@pytest.mark.parametrize("name", CONVENTIONS)
def test_what_other_devices_compute_at_once_is_what_a_cpu_computes_one_by_one(name):
    chosen = CONVENTIONS[name]
    speech, lengths = padded([SIGNALS["impulse"], SIGNALS["noise"]])
    speech[0, lengths[0] :] = 7.0
    module = BatchLogMel(chosen).eval()
    one_by_one, _ = module(speech, lengths)
    at_once = module._features(speech, lengths)
    assert (at_once - one_by_one).abs().max() < 1e-5 * max(1.0, float(one_by_one.abs().max()))


def test_each_feature_of_a_padded_batch_has_mean_0_and_deviation_1():
    speech, lengths = padded([SIGNALS["noise"], SIGNALS["noise"][:7000] * 3])
    features, frames = BatchLogMel().eval()(speech, lengths)
    for row, count in zip(features, frames, strict=True):
        valid = row[:count].double()
        assert valid.mean(dim=0).abs().max() < 1e-4
        assert (valid.std(dim=0) - 1).abs().max() < 1e-3
        assert (row[count:] == 0).all()


def test_dither_is_of_training_alone_and_of_its_deviation():
    chosen = LogMelSettings(preemphasis=0.0, log="none", normalize="none", dither=1e-5)
    module, silence = BatchLogMel(chosen), torch.zeros(1, 48000)
    lengths = torch.tensor([48000])
    window = np.hanning(320)
    expected = 1e-10 * np.square(window).sum() * filters_of(chosen).sum(axis=1)
    noisy = module.train()(silence, lengths)[0][0].numpy()
    own = LogMel(chosen)(silence[0].numpy(), rng=np.random.default_rng(0))
    for features in (noisy, own):
        np.testing.assert_allclose(features.mean(axis=0) / expected, 1.0, atol=0.5)
        np.testing.assert_allclose((features.mean(axis=0) / expected).mean(), 1.0, atol=0.05)
    assert not np.array_equal(module(silence, lengths)[0][0].numpy(), noisy)
    assert (module.eval()(silence, lengths)[0] == 0).all()
    assert (LogMel(chosen)(silence[0].numpy()) == 0).all()


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(CONVENTIONS)), st.integers(1, 2000))
def test_frames_are_as_many_as_said(name, num_samples):
    chosen = CONVENTIONS[name]
    count = chosen.num_frames(num_samples)
    assert (count > 0) == (num_samples >= chosen.fewest_samples)
    assert chosen.num_frames(np.array([num_samples])).tolist() == [count]
    samples = np.ones(num_samples, dtype=np.float32)
    if count:
        assert len(LogMel(chosen)(samples)) == count
    else:
        with pytest.raises(UserError, match="too few"):
            LogMel(chosen)(samples)


def test_it_is_torchaudios_spectrogram_where_it_is_set_so():
    import torchaudio

    samples = SIGNALS["noise"]
    theirs = torchaudio.transforms.MelSpectrogram(RATE, n_mels=128)(torch.from_numpy(samples))
    np.testing.assert_allclose(LogMel(TORCHAUDIO)(samples), theirs.T, rtol=1e-4, atol=1e-3)


def test_the_filters_and_the_first_sample_are_librosas_where_they_are_set_so():
    librosa = pytest.importorskip("librosa")
    theirs = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=64, fmin=0, fmax=8000, dtype=float)
    np.testing.assert_allclose(filters_of(PLAIN), theirs, atol=1e-12)
    chosen, noise = CONVENTIONS["librosa"], SIGNALS["noise"].astype(np.float64)
    spectrum = librosa.stft(
        librosa.effects.preemphasis(noise, coef=0.97), n_fft=512, hop_length=160, win_length=320,
        window="hann", pad_mode="reflect",
    )  # fmt: skip
    mel = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=80, dtype=float) @ np.abs(spectrum) ** 2
    assert np.abs(LogMel(chosen)(noise) - np.log(np.maximum(mel, 1e-10)).T).max() < 1e-5


def test_a_model_in_half_precision_keeps_its_tables():
    module = BatchLogMel(PLAIN).half().eval()
    assert not list(module.parameters()) and not module.state_dict()
    noise = torch.from_numpy(SIGNALS["noise"])[None]
    assert np.array_equal(
        module(noise, torch.tensor([16000]))[0][0], in_torch(PLAIN, noise[0].numpy())
    )


def test_numpy_alone_is_enough():
    program = (
        "import sys, numpy\n"
        "from asr_dro_plugin.features.log_mel import LogMel\n"
        "assert LogMel()(numpy.ones(1600)).shape == (10, 64)\n"
        "assert not {'torch', 'scipy', 'librosa'} & set(sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_audio_of_another_rate_is_refused():
    with pytest.raises(UserError, match="8000 samples a second.*16000"):
        LogMel()(np.zeros(1600), sample_rate=8000)
    assert LogMel()(SIGNALS["noise"], sample_rate=16000).shape == (100, 64)


@pytest.mark.parametrize(
    "samples",
    [np.zeros((2, 16000)), np.zeros((16000, 1)), np.zeros(16000, np.int16)],
    ids=["two channels", "a column", "whole numbers"],
)
def test_samples_of_another_shape_or_scale_are_refused(samples):
    with pytest.raises(UserError, match=r"shape \(N,\) in -1..1, not .* divide 16-bit samples"):
        LogMel()(samples)
