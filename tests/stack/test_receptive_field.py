"""A receptive field is what the gradient of the real modules reaches, no more and no less."""

import importlib

import pytest
import torch

from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.stack.names import COMPONENTS
from asr_dro_plugin.stack.receptive_field import ReceptiveField, receptive_field

SMALL_QUARTZNET = {
    "blocks": [
        {"filters": 6, "kernel": 5, "stride": 2},
        {"filters": 6, "kernel": 3, "repeat": 2, "residual": True},
        {"filters": 8, "kernel": 7, "dilation": 2},
        {"filters": 8, "separable": False},
    ]
}
PLAIN = {"frontend": "sliding_window", "frontend_conf": {"win_length": 6, "hop_length": 2},
         "normalize": "none"}  # fmt: skip


def build(slot: str, name: str, **arguments):
    module, cls = COMPONENTS[slot][name].split(":")
    return getattr(importlib.import_module(module), cls)(**arguments).eval()


def reached(forward, shape: tuple[int, ...]) -> tuple[int, int]:
    """(frames of the input that the middle frame of the output depends on, all frames)."""
    torch.manual_seed(0)
    signal = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    out = forward(signal)
    weights = torch.randn(out.shape[2], dtype=out.dtype)  # norms make a plain sum constant
    (out[0, out.shape[1] // 2] @ weights).backward()
    touched = signal.grad.abs().reshape(shape[1], -1).sum(1).nonzero().flatten()
    return int(touched[-1] - touched[0]) + 1, shape[1]


def of_frames(slot: str, name: str, size: int, frames: int = 400, **conf) -> tuple[int, int]:
    """What a module over features reaches, in frames."""
    module = build(slot, name, **({"input_size": size} if slot != "frontend" else {}), **conf)
    module = module.double()

    def forward(x: torch.Tensor) -> torch.Tensor:
        return module(x, torch.tensor([x.shape[1]]))[0]

    return reached(forward, (1, frames, size))


def counted(name: str, **conf) -> tuple[ReceptiveField, int]:
    """The claim for an encoder, and in frames of its input (6 samples, one each 2)."""
    config = PLAIN | {"encoder": name, "encoder_conf": conf}
    field = receptive_field(config)
    return field, (field.num_samples - 6) // 2 + 1


def test_quartznet_sees_what_its_kernels_add_up_to():
    field, frames = counted("quartznet", **SMALL_QUARTZNET)
    assert field.is_finite
    assert of_frames("encoder", "quartznet", 4, **SMALL_QUARTZNET)[0] == frames


def test_with_gates_quartznet_sees_the_whole_utterance():
    gated = {"filters": 64, "kernel": 3, "residual": True, "se": True}
    conf = {"blocks": [*SMALL_QUARTZNET["blocks"][:1], gated]}
    field, frames = counted("quartznet", **conf)
    assert field.whole == ("encoder quartznet (squeeze-and-excitation gates)",)
    touched, everything = of_frames("encoder", "quartznet", 4, **conf)
    assert touched == everything > frames


CONV_CTC = {"hidden_size": 64, "num_blocks": 2, "kernel_size": 3, "strides": [2, 3], "dropout": 0.0}


def test_conv_ctc_sees_the_whole_utterance_through_its_gates_and_a_second_without():
    field, frames = counted("conv_ctc", **CONV_CTC)
    assert not field.is_finite and field.whole == ("encoder conv_ctc (gates of its blocks)",)
    touched, everything = of_frames("encoder", "conv_ctc", 4, **CONV_CTC)
    assert touched > everything - 6 > frames  # a stride may pass over the last frames
    ungated = CONV_CTC | {"gates": False}
    assert of_frames("encoder", "conv_ctc", 4, **ungated)[0] == frames
    for conf in (ungated, CONV_CTC | {"num_blocks": 0}):
        assert counted("conv_ctc", **conf)[0].is_finite


@pytest.mark.parametrize(
    ("name", "conf"),
    [
        ("deepspeech2", {"hidden_size": 4, "num_layers": 1, "channels": [2, 2, 2]}),
        ("rnn", {"num_layers": 1, "hidden_size": 4, "output_size": 4, "subsample": [1]}),
        ("transformer", {"num_blocks": 1, "linear_units": 4, "attention_heads": 1,
                         "output_size": 8}),
        ("conformer", {"num_blocks": 1, "linear_units": 4, "attention_heads": 1,
                       "output_size": 8}),
    ],
)  # fmt: skip
def test_recurrence_and_attention_see_the_whole_utterance(name, conf):
    field, frames = counted(name, **conf)
    assert not field.is_finite and field.ends_at in ("recurrence", "attention")
    touched, everything = of_frames("encoder", name, 40, 120, **conf)
    assert touched > everything - 6 > frames


def test_a_recurrence_in_one_direction_sees_what_came_before():
    conf = {"num_layers": 1, "hidden_size": 4, "output_size": 4, "subsample": [1],
            "bidirectional": False}  # fmt: skip
    assert receptive_field(PLAIN | {"encoder": "rnn", "encoder_conf": conf}).whole == (
        "encoder rnn (recurrence, all before the frame)",
    )


def test_deepspeech2_sees_a_second_before_its_recurrence():
    from asr_dro_plugin.nets.deepspeech2 import DeepSpeech2

    convs = DeepSpeech2(40, hidden_size=4, channels=(2, 2, 2)).double().eval().convs

    def forward(x: torch.Tensor) -> torch.Tensor:
        x, lengths = x.transpose(1, 2).unsqueeze(1), torch.tensor([x.shape[1]])
        for conv in convs:
            conv.norm.bias.data += 9  # nothing is cut off at zero
            x, lengths = conv(x, lengths)
        return x.flatten(1, 2).transpose(1, 2)

    _, frames = counted("deepspeech2")
    assert reached(forward, (1, 200, 40))[0] == frames


@pytest.mark.parametrize(
    ("name", "conf"),
    [
        ("default", {"hop_length": 160}),
        ("default", {"hop_length": 128, "n_fft": 512, "win_length": 400}),
        ("wav2vec_cnn", {"norm_mode": "layer_norm", "conv_mode": "standard", "bias": True,
                         "shapes": [[4, 10, 5], [4, 3, 2], [4, 3, 2], [4, 2, 2]]}),
    ],
)  # fmt: skip
def test_frontends_see_their_windows(name, conf):
    """A window of the Hann kind is zero at its first sample, perhaps at its last too."""
    field = receptive_field({"frontend": name, "frontend_conf": conf, "normalize": "none",
                             "encoder": "identity"})  # fmt: skip
    module = build("frontend", name, **conf)

    def forward(x: torch.Tensor) -> torch.Tensor:
        return module(x.float(), torch.tensor([x.shape[1]]))[0]

    touched = reached(forward, (1, 8000))[0]
    assert field.is_finite and 0 <= field.num_samples - touched <= 2


@pytest.mark.parametrize("preemphasis", [0.0, 0.97])
def test_log_mel_sees_its_window_and_a_sample_before_it(preemphasis):
    """Which samples change the middle frame: it has no gradient."""
    conf = {"normalize": "none", "preemphasis": preemphasis}
    config = {"frontend": "log_mel", "frontend_conf": conf, "normalize": "none"}
    field = receptive_field(config | {"encoder": "identity"})
    module, num_samples = build("frontend", "log_mel", **conf), 1600
    speech = torch.randn(1, num_samples).repeat(num_samples + 1, 1)
    speech[:-1] += torch.eye(num_samples)  # one sample another in each, none in the last
    with torch.no_grad():
        out = module(speech, torch.full((num_samples + 1,), num_samples))[0][:, 5]
    touched = (out[:-1] != out[-1:]).any(1).nonzero().flatten()
    assert field.is_finite and 0 <= field.num_samples - int(touched[-1] - touched[0] + 1) <= 2


def test_statistics_of_the_utterance_are_no_finite_field():
    config = {"frontend": "log_mel", "normalize": "none", "encoder": "identity"}
    assert receptive_field(config).whole == (
        "frontend log_mel (mean and variance of the utterance)",
    )
    config |= {"frontend_conf": {"normalize": "none"}}
    assert receptive_field(config).is_finite
    assert receptive_field(config | {"normalize": "global_mvn"}).is_finite
    assert receptive_field(config | {"normalize": "utterance_mvn"}).whole == (
        "normalize utterance_mvn (mean of the utterance)",
    )


@pytest.mark.parametrize("encoder", ["wav2vec2", "hf_wav2vec2", "fairseq_wav2vec2"])
def test_wav2vec2_sees_25_ms_before_its_attention(encoder):
    field = receptive_field({"frontend": "none", "normalize": "none", "encoder": encoder})
    assert (field.num_samples, field.ends_at, field.is_finite) == (400, "attention", False)
    assert "25 ms (400 samples) before the attention" in str(field)
    assert frame_counter({"frontend": "none", "encoder": encoder}).num_frames(400) == 1


def test_an_unknown_component_is_named():
    field = receptive_field({"frontend": "none", "normalize": "none", "encoder": "beats"})
    assert str(field) == "not known (encoder beats)"
    assert field.as_dict()["finite"] is False


def test_features_in_the_data_have_no_samples():
    field = receptive_field({"input_size": 80, "normalize": "none", "encoder": "identity"})
    assert "the data hold features" in str(field) and field.num_samples is None


def test_a_length_adaptor_behind_is_counted():
    config = PLAIN | {"encoder": "identity", "postencoder": "length_adaptor",
                      "postencoder_conf": {"length_adaptor_n_layers": 2}}  # fmt: skip
    assert receptive_field(config).num_samples == 6 + 2 * 3
