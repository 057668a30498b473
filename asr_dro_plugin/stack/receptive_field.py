"""How much of an utterance one output frame depends on, from the YAML alone.

Convolutions see a stretch: a kernel k with dilation d, on a signal of which every j-th sample is
left, adds (k - 1) d j samples.  Two things see the whole utterance: statistics over its frames
(mean and variance, a squeeze-and-excitation gate), which the convolutions behind them can still be
counted past; and attention or recurrence, where the counting ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.pretrained.catalogue import model_config_of
from asr_dro_plugin.stack.encoder_frames import (
    DEEPSPEECH2_STRIDES,
    ENCODER_INPUT_LAYERS,
    INPUT_LAYERS,
)
from asr_dro_plugin.stack.frame_rules import S3PRL_320, WAV2VEC2_CONVOLUTIONS
from asr_dro_plugin.stack.names import component_of
from asr_dro_plugin.stack.parameters import built_encoder
from asr_dro_plugin.stack.sizes import argument, frontend_of, input_size_of

ATTENTION, RECURRENCE = "attention", "recurrence in both directions"
PAST = "recurrence, all before the frame"
STATISTICS = "mean and variance of the utterance"
DEEPSPEECH2_KERNEL = 11  # over time
WHISPER_WINDOW = ((400, 160), (3, 1), (3, 2))  # Fourier transform, two convolutions
BLIND = ("contextual_block_transformer", "contextual_block_conformer", "longformer")


@dataclass(frozen=True)
class View:
    """What one component's output frame depends on.

    Attributes:
        layers: (kernel, stride) or (kernel, stride, dilation) of its convolutions, in order.
        statistics: of the whole utterance, behind or between the convolutions.
        mixing: what lets a frame see all others, behind the convolutions.
    """

    layers: Sequence[tuple[int, ...]] = ()
    statistics: str = ""
    mixing: str = ""


@dataclass(frozen=True)
class ReceptiveField:
    """What one output frame of a stack depends on.

    Attributes:
        num_samples: at 16 kHz, by the convolutions before the first attention or recurrence; None
            where a component is not known, or where the data hold features.
        whole: components that see the whole utterance, each with what does; none: the receptive
            field is finite.
        ends_at: attention or recurrence, behind which nothing is counted; else empty.
        unknown: components that are not known.
    """

    num_samples: int | None
    whole: tuple[str, ...] = ()
    ends_at: str = ""
    unknown: tuple[str, ...] = ()

    @property
    def is_finite(self) -> bool:
        """Whether ``num_samples`` is all there is."""
        return not self.whole and self.num_samples is not None

    @property
    def seconds(self) -> float | None:
        """``num_samples`` as a duration."""
        return None if self.num_samples is None else self.num_samples / SAMPLE_RATE

    def __str__(self) -> str:
        if self.unknown:
            return f"not known ({', '.join(self.unknown)})"
        words = "not known: the data hold features"
        if self.num_samples is not None:
            words = f"{_duration(self.seconds)} ({self.num_samples:,} samples)"
        if not self.whole:
            return words
        rest = f"before the {self.ends_at}" if self.ends_at else "by convolutions alone"
        return f"the whole utterance, through {'; '.join(self.whole)}; {words} {rest}"

    def as_dict(self) -> dict:
        """For programs."""
        return {
            "finite": self.is_finite,
            "seconds": self.seconds if self.is_finite else None,
            "local_samples": self.num_samples,
            "local_seconds": self.seconds,
            "whole_utterance": list(self.whole),
            "unknown": list(self.unknown),
        }


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:g} ms" if seconds < 1 else f"{seconds:.4g} s"


def receptive_field(config: Mapping) -> ReceptiveField:
    """The receptive field of a frame at CTC."""
    samples, jump, whole, unknown, ends_at = 1, 1, [], [], ""
    for label, view in _views(config):
        if view is None:
            unknown.append(label)
            continue
        if not ends_at:
            samples, jump = _through(view.layers, samples, jump)
        if words := ", ".join(filter(None, [view.statistics, view.mixing])):
            whole.append(f"{label} ({words})")
        if view.mixing and not ends_at:
            ends_at = view.mixing.split(",")[0].split(" in ")[0]
    features = input_size_of(config) not in (None, 1)
    counted = None if unknown or features else samples
    return ReceptiveField(counted, tuple(whole), ends_at, tuple(unknown))


def _through(layers: Sequence[tuple[int, ...]], samples: int, jump: int) -> tuple[int, int]:
    """(samples seen, samples from frame to frame) behind convolutions."""
    for kernel, stride, *dilation in layers:
        samples += (kernel - 1) * (dilation or [1])[0] * jump
        jump *= stride
    return samples, jump


def _views(config: Mapping) -> list[tuple[str, View | None]]:
    """(component, what it sees) in signal order; None for one that is not known."""
    found = []
    if name := frontend_of(config):
        found.append((f"frontend {name}", _frontend(config, name)))
    rules = {
        "normalize": _normalize, "preencoder": _preencoder, "encoder": _encoder,
        "postencoder": _postencoder,
    }  # fmt: skip
    for slot, rule in rules.items():
        if name := component_of(config, slot):
            found.append((f"{slot} {name}", rule(config, name)))
    return found


def _frontend(config: Mapping, name: str) -> View | None:
    match name:
        case "default":
            return _default(config)
        case "sliding_window":
            window, hop = (argument(config, "frontend", f"{w}_length") for w in ("win", "hop"))
            return View([(window, hop)])
        case "log_mel":
            return _log_mel(LogMelSettings.from_dict(config.get("frontend_conf") or {}))
        case "wav2vec_cnn":
            shapes = argument(config, "frontend", "shapes")
            normed = argument(config, "frontend", "norm_mode") == "group_norm"
            layers = [(kernel, stride) for _, kernel, stride in shapes]
            return View(layers, "group norm over the utterance" if normed else "")
        case "s3prl":
            return _s3prl(config)
        case "whisper":
            return View(WHISPER_WINDOW, "loudest frame of the utterance", ATTENTION)
    return None


def _default(config: Mapping) -> View | None:
    """Fourier transform: the window lies in the middle of ``n_fft`` samples."""
    if not argument(config, "frontend", "apply_stft"):
        return None
    enhancement = argument(config, "frontend", "frontend_conf") or {}
    if enhancement.get("use_wpe") or enhancement.get("use_beamformer"):
        return View(mixing="enhancement over the utterance")
    window = argument(config, "frontend", "win_length") or argument(config, "frontend", "n_fft")
    return View([(window, argument(config, "frontend", "hop_length"))])


def _log_mel(settings: LogMelSettings) -> View:
    layers = [(settings.win_length, settings.hop_length)]
    if settings.preemphasis:
        layers.insert(0, (2, 1))
    return View(layers, "" if settings.normalize == "none" else STATISTICS)


def _s3prl(config: Mapping) -> View | None:
    conf = argument(config, "frontend", "frontend_conf") or {}
    if config.get("ssl_checkpoint") or str(conf.get("upstream") or "").startswith(S3PRL_320):
        return View(WAV2VEC2_CONVOLUTIONS, "", ATTENTION)
    return None


def _normalize(config: Mapping, name: str) -> View:
    if name == "global_mvn":
        return View()
    words = {"norm_means": "mean", "norm_vars": "variance"}
    used = [word for key, word in words.items() if argument(config, "normalize", key)]
    return View(statistics=f"{' and '.join(used)} of the utterance" if used else "")


def _preencoder(config: Mapping, name: str) -> View | None:
    return View() if name == "linear" else None


def _encoder(config: Mapping, name: str) -> View | None:
    match name:
        case "identity":
            return View()
        case "conv_ctc":
            return _conv_ctc(config)
        case "quartznet":
            return _quartznet(config)
        case "deepspeech2":
            strides = DEEPSPEECH2_STRIDES[argument(config, "encoder", "variant")]
            return View([(DEEPSPEECH2_KERNEL, s) for s in strides], "", RECURRENCE)
        case "rnn" | "vgg_rnn":
            two_way = argument(config, "encoder", "bidirectional")
            vgg = [(3, 1), (3, 1), (2, 2)] * 2 if name == "vgg_rnn" else []
            return View(vgg, "", RECURRENCE if two_way else PAST)
        case "wav2vec2" | "hubert":
            return View(WAV2VEC2_CONVOLUTIONS, "", ATTENTION)
        case "hf_wav2vec2" | "fairseq_wav2vec2":
            return _wav2vec2(config)
        case "whisper" | "hf_whisper":
            return View(WHISPER_WINDOW, "loudest frame of the utterance", ATTENTION)
        case _ if name in ENCODER_INPUT_LAYERS and name not in BLIND:
            layer = argument(config, "encoder", "input_layer")
            return View(INPUT_LAYERS.get(layer, ()), "", ATTENTION)
    return None


def _conv_ctc(config: Mapping) -> View:
    """Strided and residual convolutions; the blocks' gates take the mean over the utterance."""
    kernel, blocks = (argument(config, "encoder", key) for key in ("kernel_size", "num_blocks"))
    strided = [(kernel, stride) for stride in argument(config, "encoder", "strides")]
    return View([*strided, *[(kernel, 1)] * blocks], "gates of its blocks" if blocks else "")


def _quartznet(config: Mapping) -> View:
    """Its blocks; the residual paths beside them see one frame."""
    shapes = built_encoder(config, input_size=1).shapes
    layers = [(s.kernel, s.stride, s.dilation) for s in shapes for _ in range(s.repeat)]
    gated = any(shape.se for shape in shapes)
    return View(layers, "squeeze-and-excitation gates" if gated else "")


def _wav2vec2(config: Mapping) -> View:
    conf = model_config_of(config) or {}
    layers = WAV2VEC2_CONVOLUTIONS
    if "conv_kernel" in conf and "conv_stride" in conf:
        layers = tuple(zip(conf["conv_kernel"], conf["conv_stride"], strict=True))
    statistics = []
    if argument(config, "encoder", "do_normalize"):
        statistics.append(STATISTICS)
    if conf.get("feat_extract_norm") == "group":
        statistics.append("group norm over the utterance")
    return View(layers, " and ".join(statistics), ATTENTION)


def _postencoder(config: Mapping, name: str) -> View | None:
    if name != "length_adaptor":
        return None
    return View([(2, 2)] * argument(config, "postencoder", "length_adaptor_n_layers"))
