"""``.nemo`` files by hand: the layout of NeMo's QuartzNet, with tiny sizes and random weights."""

import io
from pathlib import Path

import torch
import yaml

from asr_dro_plugin.features.log_mel import filters_of, window_for
from asr_dro_plugin.features.settings import LogMelSettings
from tests.tars import entry, write_tar

LABELS = [" ", "а", "б", "в", "г"]
MELS = 16


def block(filters, kernel, repeat=1, **changes):
    return {
        "dilation": [1], "dropout": 0.0, "filters": filters, "kernel": [kernel], "repeat": repeat,
        "residual": False, "separable": True, "stride": [1], **changes,
    }  # fmt: skip


JASPER = [
    block(8, 5, stride=[2]), block(8, 3, 2, residual=True), block(12, 5, 2, residual=True, se=True),
    block(12, 7, dilation=[2]), block(16, 1, separable=False),
]  # fmt: skip


def config(**changes) -> dict:
    """model_config.yaml of a release from 2 on."""
    asr = "nemo.collections.asr"
    return {
        "sample_rate": 16000, "labels": LABELS, "nemo_version": "2.2.0",
        "preprocessor": {
            "_target_": f"{asr}.modules.AudioToMelSpectrogramPreprocessor",
            "normalize": "per_feature", "window_size": 0.02, "sample_rate": 16000,
            "window_stride": 0.01, "window": "hann", "features": MELS, "n_fft": 512,
            "frame_splicing": 1, "dither": 1e-5, "stft_conv": False,
        },
        "encoder": {
            "_target_": f"{asr}.modules.ConvASREncoder", "feat_in": MELS, "activation": "relu",
            "conv_mask": True, "jasper": JASPER,
        },
        "decoder": {
            "_target_": f"{asr}.modules.ConvASRDecoder", "feat_in": 16, "num_classes": len(LABELS),
            "vocabulary": LABELS,
        },
        "train_ds": {"manifest_filepath": "???", "labels": LABELS},
        **changes,
    }  # fmt: skip


def weights(masked: bool = True, settings: LogMelSettings | None = None) -> dict:
    """model_weights.ckpt: every tensor by NeMo's name."""
    settings = settings or LogMelSettings(n_mels=MELS)
    generator = torch.Generator().manual_seed(0)
    state = {
        "preprocessor.featurizer.window": torch.from_numpy(window_for(settings)).float(),
        "preprocessor.featurizer.fb": torch.from_numpy(filters_of(settings)).float()[None],
    }
    conv = "conv.weight" if masked else "weight"

    def random(*shape, scale=0.3):
        return scale * torch.randn(*shape, generator=generator)

    def norm(name, size):
        state[f"{name}.weight"], state[f"{name}.bias"] = 1 + random(size), random(size)
        state[f"{name}.running_mean"] = random(size)
        state[f"{name}.running_var"] = 0.5 + random(size).abs()
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    channels = MELS
    for i, shape in enumerate(JASPER):
        head, filters, taps = f"encoder.encoder.{i}", shape["filters"], shape["kernel"][0]
        inputs, place = channels, 0
        for number in range(shape["repeat"]):
            if shape["separable"]:
                state[f"{head}.mconv.{place}.{conv}"] = random(inputs, 1, taps)
                state[f"{head}.mconv.{place + 1}.{conv}"] = random(filters, inputs, 1)
                place += 2
            else:
                state[f"{head}.mconv.{place}.{conv}"] = random(filters, inputs, taps)
                place += 1
            norm(f"{head}.mconv.{place}", filters)
            place += 1 if number == shape["repeat"] - 1 else 3
            inputs = filters
        if shape.get("se"):
            state[f"{head}.mconv.{place}.fc.0.weight"] = random(max(1, filters // 8), filters)
            state[f"{head}.mconv.{place}.fc.2.weight"] = random(filters, max(1, filters // 8))
        if shape["residual"]:
            state[f"{head}.res.0.0.{conv}"] = random(filters, channels, 1)
            norm(f"{head}.res.0.1", filters)
        channels = filters
    state["decoder.decoder_layers.0.weight"] = random(len(LABELS) + 1, channels, 1, scale=1.0)
    state["decoder.decoder_layers.0.bias"] = random(len(LABELS) + 1)
    return state


def as_bytes(state) -> bytes:
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def write_nemo(
    path: Path, made=None, state=None, compressed=False, prefix="", more=(), content=None
) -> Path:
    """An archive; ``content`` replaces the bytes of the weights."""
    text = yaml.safe_dump(made or config(), allow_unicode=True)
    content = content if content is not None else as_bytes(state or weights())
    members = [
        entry(f"{prefix}model_config.yaml", text.encode()),
        entry(f"{prefix}model_weights.ckpt", content),
    ]
    return write_tar(path, [*members, *more], compressed)


def reference(state: dict, features: torch.Tensor, masked: bool = True) -> torch.Tensor:
    """(1, T, D) -> (1, S, V) log probabilities of one utterance, straight from the paper's table.

    Written from the architecture and NeMo's names alone; it shares nothing with our network.
    """
    conv = "conv.weight" if masked else "weight"
    functional = torch.nn.functional

    def norm(x, name):
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state[f"{name}.weight"] / (var + 1e-3).sqrt()
        return (x - mean[:, None]) * scale[:, None] + state[f"{name}.bias"][:, None]

    x = features.transpose(1, 2)
    for i, shape in enumerate(JASPER):
        head, entered, place = f"encoder.encoder.{i}", x, 0
        taps, stride, dilation = (shape[key][0] for key in ("kernel", "stride", "dilation"))
        padding = dilation * (taps - 1) // 2
        for number in range(shape["repeat"]):
            kernel = state[f"{head}.mconv.{place}.{conv}"]
            groups = x.shape[1] if shape["separable"] else 1
            x = functional.conv1d(x, kernel, None, stride, padding, dilation, groups)
            place += 1
            if shape["separable"]:
                x = functional.conv1d(x, state[f"{head}.mconv.{place}.{conv}"])
                place += 1
            x = norm(x, f"{head}.mconv.{place}")
            last = number == shape["repeat"] - 1
            if not last:
                x = x.clamp(min=0)
            place += 1 if last else 3
        if shape.get("se"):
            mean = x.mean(dim=2)
            narrow = (mean @ state[f"{head}.mconv.{place}.fc.0.weight"].T).clamp(min=0)
            x = x * torch.sigmoid(narrow @ state[f"{head}.mconv.{place}.fc.2.weight"].T)[..., None]
        if shape["residual"]:
            beside = functional.conv1d(entered, state[f"{head}.res.0.0.{conv}"])
            x = x + norm(beside, f"{head}.res.0.1")
        x = x.clamp(min=0)
    x = functional.conv1d(
        x, state["decoder.decoder_layers.0.weight"], state["decoder.decoder_layers.0.bias"]
    )
    return x.transpose(1, 2).log_softmax(-1)
