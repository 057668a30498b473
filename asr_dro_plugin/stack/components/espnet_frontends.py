"""ESPnet's frontends: what of them a plan needs to know."""

from asr_dro_plugin.stack.components import rules
from asr_dro_plugin.stack.components.component import Chosen, Component, Takes
from asr_dro_plugin.stack.components.rules import ATTENTION, Frames, Step, View, convolutions
from asr_dro_plugin.stack.components.wav2vec2 import CONVOLUTIONS
from asr_dro_plugin.stack.components.whisper import ESPNETS_WHISPER_FRONTEND

# s3prl's models on wav2vec 2.0's convolutions: 320 samples a frame.
S3PRL_320 = (
    "wav2vec2", "hf_wav2vec2", "xls", "hubert", "hf_hubert", "wavlm", "data2vec", "unispeech_sat",
)  # fmt: skip


def _stft_frames(chosen: Chosen) -> Step | None:
    """``espnet2.layers.stft.Stft``: centred windows need more samples than half a window."""
    if not chosen["apply_stft"]:
        return None
    n_fft, hop = chosen["n_fft"], chosen["hop_length"]
    if not chosen["center"]:
        return convolutions(chosen.label, [(n_fft, hop)])
    half = n_fft // 2

    def rule(samples: Frames) -> Frames:
        return (samples > half) * ((samples + 2 * half - n_fft) // hop + 1)

    return Step(chosen.label, hop, rule)


def _stft_view(chosen: Chosen) -> View | None:
    """The window lies in the middle of ``n_fft`` samples."""
    if not chosen["apply_stft"]:
        return None
    enhancement = chosen["frontend_conf"] or {}
    if enhancement.get("use_wpe") or enhancement.get("use_beamformer"):
        return View(mixing="enhancement over the utterance")
    return View([(chosen["win_length"] or chosen["n_fft"], chosen["hop_length"])])


def _window(chosen: Chosen) -> list[tuple[int, int]]:
    return [(chosen["win_length"], chosen["hop_length"])]


def _cnn(chosen: Chosen) -> list[tuple[int, int]]:
    return [(kernel, stride) for _, kernel, stride in chosen["shapes"]]


def _cnn_view(chosen: Chosen) -> View:
    return View(_cnn(chosen), rules.GROUP_NORM if chosen["norm_mode"] == "group_norm" else "")


def _is_320(chosen: Chosen) -> bool:
    upstream = str((chosen["frontend_conf"] or {}).get("upstream") or "")
    return bool(chosen.config.get("ssl_checkpoint")) or upstream.startswith(S3PRL_320)


def _s3prl_frames(chosen: Chosen) -> Step | None:
    """``s3prl.nn.S3PRLUpstream`` rounds up to ceil(L / 320), repeating the last frame.

    It refuses to double what the convolutions give: 2 frames where 961 to 1039 samples need 4.
    """

    def rule(samples: Frames) -> Frames:
        return ((samples <= 960) | (samples >= 1040)) * -(-samples // 320)

    return Step(chosen.label, 320, rule) if _is_320(chosen) else None


def _s3prl_view(chosen: Chosen) -> View | None:
    return View(CONVOLUTIONS, "", ATTENTION) if _is_320(chosen) else None


def _s3prl_names(chosen: Chosen) -> list[str]:
    conf = chosen["frontend_conf"] or {}
    return [name for key in ("path_or_url", "upstream") if (name := conf.get(key))]


def _featurizer(chosen: Chosen) -> dict[str, int]:
    """One weight for each hidden state: the input of the first layer and all outputs."""
    one = chosen["layer"] != -1
    return {"featurizer.weights": 1 if one else chosen.checkpoint.num_layers + 1}


def _num_states(chosen: Chosen) -> int | None:
    """All with ``multilayer_feature``, else one."""
    if chosen["layer"] != -1 or not chosen["multilayer_feature"]:
        return 1
    layers = chosen.checkpoint and chosen.checkpoint.num_layers
    return None if layers is None else layers + 1


ESPNET_FRONTENDS = {
    "default": Component(
        size=lambda chosen: chosen["n_mels"], frames=_stft_frames, view=_stft_view
    ),
    "sliding_window": Component(
        size=lambda chosen: chosen["win_length"],
        frames=lambda chosen: convolutions(chosen.label, _window(chosen)),
        view=lambda chosen: View(_window(chosen)),
    ),
    "s3prl": Component(
        size=lambda chosen: chosen.checkpoint.output_size if chosen.checkpoint else None,
        frames=_s3prl_frames, view=_s3prl_view,
        checkpoints=Takes(("hf", "s3prl")), loads_weights=True, takes_adapters=True, has_cnn=True,
        names_model=_s3prl_names,
        network="upstream.upstream.model", beside_network=_featurizer, num_states=_num_states,
    ),
    "whisper": ESPNETS_WHISPER_FRONTEND,
    "wav2vec_cnn": Component(
        size=lambda chosen: chosen["shapes"][-1][0],
        frames=lambda chosen: convolutions(chosen.label, _cnn(chosen)), view=_cnn_view,
    ),
    "fused": Component(
        size=lambda chosen: len(chosen["frontends"] or []) * chosen["proj_dim"],
        loads_weights=True, has_cnn=True,
    ),
    "espnet_ssl": Component(size=lambda chosen: None, loads_weights=True, has_cnn=True),
    "huggingface": Component(size=lambda chosen: None, loads_weights=True, has_cnn=True),
}  # fmt: skip
