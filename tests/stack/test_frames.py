"""The frame counter gives the lengths that the real modules give."""

import importlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.chosen import chosen
from asr_dro_plugin.stack.components import facts_of
from asr_dro_plugin.stack.frames import frame_counter
from asr_dro_plugin.stack.names import COMPONENTS

# ESPnet's encoders that a YAML of conf/ names.
SHIPPED = ("transformer", "conformer")
SMALL = {"num_blocks": 1, "linear_units": 4, "attention_heads": 1, "output_size": 8}

TOO_SHORT = "short|size|Padding|expected 0 <|greater than 0|MKL FFT"


def build(slot: str, name: str, **arguments):
    module, cls = COMPONENTS[slot][name].split(":")
    return getattr(importlib.import_module(module), cls)(**arguments).eval()


def lengths_of(module, frames: range, size: int | None) -> dict[int, int]:
    """The lengths a module returns for one utterance at a time; 0 where it refuses."""
    import torch

    found = {}
    for length in frames:
        shape = (1, length) if size is None else (1, length, size)
        try:
            with torch.no_grad():
                lengths = module(torch.zeros(shape), torch.tensor([length]))[1]
        except Exception as error:
            assert re.search(TOO_SHORT, str(error)), error
            found[length] = 0
        else:
            found[length] = int(torch.as_tensor(lengths).flatten()[0])
    return found


def counted(step, frames: range) -> dict[int, int]:
    values = np.array(frames)
    return dict(zip(frames, np.maximum(step.rule(values), 0).tolist(), strict=True))


@pytest.mark.parametrize(
    "name, conf",
    [
        ("default", {"hop_length": 160}),
        ("default", {"hop_length": 200, "n_fft": 400}),
        ("default", {"hop_length": 128, "n_fft": 512, "center": False}),
        ("sliding_window", {}),
        ("log_mel", {}),
        ("log_mel", {"frame_count": "all", "hop_length": 200, "win_length": 400}),
        ("log_mel", {"center": False, "frame_count": "all"}),
        ("wav2vec_cnn", {
            "norm_mode": "layer_norm", "conv_mode": "standard", "bias": True,
            "shapes": [[4, 10, 5], [4, 3, 2], [4, 3, 2], [4, 2, 2]],
        }),
    ],
)  # fmt: skip
def test_frontend_frames(name, conf):
    counter = frame_counter({"frontend": name, "frontend_conf": conf, "encoder": "identity"})
    samples = [*range(1, 1200, 23), 256, 257, 399, 400, 401, 512, 16000, 16001, 16159, 16160]
    real = lengths_of(build("frontend", name, **conf), samples, None)
    assert {length: counter.num_frames(length) for length in samples} == {
        length: max(frames, 0) if length >= 400 or name != "sliding_window" else 0
        for length, frames in real.items()
    }


LAYERS = [(name, layer) for name in SHIPPED for layer in facts_of("encoder", name).input_layers]


def encoder_step(name: str, conf: dict):
    return chosen({"encoder": name, "encoder_conf": conf}, "encoder").step


@pytest.mark.parametrize("name, layer", [pair for pair in LAYERS if pair[1] != "embed"])
def test_encoder_frames(name, layer):
    size = 8 if layer in (None, "wav2vec") else 20
    conf = {**SMALL, "input_layer": layer}
    frames = [*range(1, 34), 50, 51, 52, 53, 101]
    assert counted(encoder_step(name, conf), frames) == lengths_of(
        build("encoder", name, input_size=size, **conf), frames, size
    )


@pytest.mark.parametrize("variant, channels", [("hw2", [2, 2, 2]), ("sooftware", [2, 2])])
def test_deepspeech2_frames(variant, channels):
    conf = {"variant": variant, "channels": channels, "hidden_size": 4, "num_layers": 1}
    step, frames = encoder_step("deepspeech2", conf), range(1, 40)
    real = lengths_of(build("encoder", "deepspeech2", input_size=40, **conf), frames, 40)
    assert counted(step, frames) == real


@pytest.mark.parametrize("strides", [(2, 2), (1,), (3, 2), (2, 2, 2)])
def test_conv_ctc_frames(strides):
    from asr_dro_plugin.nets.convnet import ConvNet

    conf = {"strides": list(strides), "hidden_size": 8, "num_blocks": 1}
    step, frames = encoder_step("conv_ctc", conf), range(1, 40)
    assert counted(step, frames) == lengths_of(ConvNet(6, **conf).eval(), frames, 6)


@pytest.mark.parametrize(
    "conf",
    [
        {"num_repeats": 1, "repeat": 1, "width": 0.02},
        {"blocks": [{"filters": 4, "kernel": 3, "stride": 2}, {"filters": 4, "stride": 3}]},
        {"blocks": [{"filters": 4, "kernel": 5, "dilation": 2}]},
    ],
    ids=["published", "two strides", "no stride"],
)
def test_quartznet_frames(conf):
    from asr_dro_plugin.nets.quartznet import QuartzNet

    step, frames = encoder_step("quartznet", conf), range(1, 51)
    assert counted(step, frames) == lengths_of(QuartzNet(6, **conf).eval(), frames, 6)


TINY_WAV2VEC2 = {
    "model_type": "wav2vec2", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 8, "conv_dim": [4] * 7, "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


@pytest.mark.parametrize("encoder", ["hf_wav2vec2", "fairseq_wav2vec2"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"conv_dim": [4] * 3, "conv_kernel": [8, 5, 4], "conv_stride": [4, 3, 2]},
        {"add_adapter": True, "num_adapter_layers": 2, "output_hidden_size": 8},
    ],
    ids=["published", "other convolutions", "adapter"],
)
def test_wav2vec2_frames(encoder, changes):
    from asr_dro_plugin.nets.hf_wav2vec2 import HFWav2Vec2Net

    conf = {"model_config": TINY_WAV2VEC2 | changes}
    counter = frame_counter({"frontend": "none", "encoder": encoder, "encoder_conf": conf})
    samples = [400, 401, 719, 720, 800, 1040, 1360, 2000, 3217]
    real = lengths_of(HFWav2Vec2Net(**conf).eval(), samples, None)
    assert {n: counter.num_frames(n) for n in samples} == real
    assert counter.exact and counter.num_frames(8) <= 1


TINY_WHISPER = {
    "d_model": 12, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 8,
    "num_mel_bins": 80, "max_source_positions": 50,
}  # fmt: skip


@pytest.mark.parametrize("do_pad_trim", [False, True])
@pytest.mark.parametrize(
    "slot, more", [("encoder", {}), ("frontend", {}), ("frontend", {"pool": 2}),
                   ("frontend", {"pool": 3})],
)  # fmt: skip
def test_hf_whisper_frames(do_pad_trim, slot, more):
    conf = {"model_config": TINY_WHISPER, "do_pad_trim": do_pad_trim, **more}
    stack = {"frontend": "none", "encoder": "identity"}
    counter = frame_counter({**stack, slot: "hf_whisper", f"{slot}_conf": conf})
    samples = [1, 159, 160, 161, 319, 320, 480, 481, 1600, 15999, 16000]
    real = lengths_of(build(slot, "hf_whisper", **conf), samples, None)
    assert {n: counter.num_frames(n) for n in samples} == real
    assert counter.frame_shift == pytest.approx(0.02 * more.get("pool", 1))


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_length_adaptor_frames(layers):
    conf = {"length_adaptor_n_layers": layers}
    config = {"postencoder": "length_adaptor", "postencoder_conf": conf}
    step = chosen(config, "postencoder").step
    real = lengths_of(build("postencoder", "length_adaptor", input_size=4, **conf), range(1, 30), 4)
    assert counted(step, range(1, 30)) == real


def test_s3prl_rounds_up_as_its_upstream_does():
    """``S3PRLUpstream.forward`` on an expert that, as wav2vec 2.0 does, makes a frame too few."""
    import torch
    from s3prl.nn.upstream import S3PRLUpstream

    class Expert(torch.nn.Module):
        def forward(self, wavs):
            frames = (max(map(len, wavs)) - 400) // 320 + 1
            return {"hidden_states": [torch.zeros(len(wavs), frames, 4)]}

    upstream = S3PRLUpstream.__new__(S3PRLUpstream)
    torch.nn.Module.__init__(upstream)
    upstream.upstream, upstream.normalize = Expert(), False
    upstream._num_layers, upstream._downsample_rates = 1, [320]
    conf = {"frontend_conf": {"upstream": "hf_wav2vec2_custom"}}
    counter = frame_counter({"frontend": "s3prl", "frontend_conf": conf, "encoder": "identity"})
    for length in (1, 319, 320, 321, 799, 800, 801, 960, 1040, 15999, 16000, 16001, 48123):
        _, lengths = upstream(torch.zeros(1, length), torch.tensor([length]))
        assert counter.num_frames(length) == int(lengths[0]), length
    for length in (961, 1039):
        with pytest.raises(AssertionError, match="4, 2"):
            upstream(torch.zeros(1, length), torch.tensor([length]))
        assert counter.num_frames(length) == 0
    assert counter.num_frames(16000) == 50


def test_fairseq_makes_49_frames_of_a_second():
    counter = frame_counter({"frontend": "none", "encoder": "wav2vec2"})
    assert counter.num_frames(16000) == 49
    assert [counter.num_frames(n) for n in (399, 400, 719, 720)] == [0, 1, 1, 2]


MINI = {
    "frontend": "default", "frontend_conf": {"hop_length": 160},
    "encoder": "conv_ctc", "encoder_conf": {"strides": [2, 2]},
}  # fmt: skip


@given(st.lists(st.integers(0, 2_000_000), min_size=1, max_size=20))
@settings(deadline=None)
def test_an_array_is_counted_as_its_elements_are_and_never_falls_with_length(samples):
    counter = frame_counter(MINI)
    samples.sort()
    frames = counter.num_frames(np.array(samples))
    assert frames.tolist() == [counter.num_frames(n) for n in samples]
    assert (np.diff(frames) >= 0).all()


def test_frame_shift_and_blame_name_the_step_that_makes_frames_long():
    counter = frame_counter(MINI)
    assert counter.frame_shift == pytest.approx(0.04)
    assert counter.blame == "encoder conv_ctc (stride 4 on 10 ms frames)"
    alone = frame_counter({"frontend": "none", "encoder": "wav2vec2"})
    assert (alone.frame_shift, alone.blame) == (0.02, "encoder wav2vec2 (a frame each 20 ms)")


def test_all_steps_count(caplog):
    config = MINI | {
        "postencoder": "length_adaptor", "postencoder_conf": {"length_adaptor_n_layers": 1},
    }  # fmt: skip
    counter = frame_counter(config)
    assert counter.frame_shift == pytest.approx(0.08)
    assert counter.blame == "postencoder length_adaptor (stride 2 on 40 ms frames)"
    assert counter.num_frames(16000) == 13  # 101 -> 51 -> 26 -> 13
    assert counter.exact and not caplog.records


def test_an_unknown_rule_gives_an_upper_bound_and_says_so(caplog):
    counter = frame_counter({"frontend": "none", "encoder": "beats"})
    assert not counter.exact
    assert counter.num_frames(16000) == 16000
    assert "encoder beats is not known" in caplog.text


def test_an_unknown_input_layer_is_refused_with_the_legal_ones():
    config = {"encoder": "conformer", "encoder_conf": {"input_layer": "conv2d3"}}
    with pytest.raises(UserError, match="input_layer is 'conv2d3'.*Did you mean 'conv2d'.*conv2d8"):
        frame_counter(config)


@pytest.mark.parametrize("name, hop", [("conv_ctc", 160), ("transformer", 160), ("quartznet", 128)])
def test_the_fewest_samples_give_a_frame_and_one_less_gives_none(name, hop):
    config = {"frontend": "default", "frontend_conf": {"hop_length": hop}, "encoder": name}
    counter = frame_counter(config)
    fewest = counter.min_samples
    assert counter.num_frames(fewest) >= 1 and counter.num_frames(fewest - 1) == 0
