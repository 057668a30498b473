"""QuartzNet: published sizes, lengths, and an output that padding does not touch."""

import numpy as np
import pytest
import torch

from asr_dro_plugin.features.log_mel_torch import BatchLogMel
from asr_dro_plugin.nets import frame_layouts
from asr_dro_plugin.nets.frame_layouts import PackedFrames, PaddedFrames
from asr_dro_plugin.nets.quartznet import BlockShape, QuartzNet, nemo_names, quartznet_blocks
from asr_dro_plugin.optim.novograd import NovoGrad
from tests.nets.plain_quartznet import PlainQuartzNet

SMALL = {"num_repeats": 1, "repeat": 2, "width": 0.0625}


def num_parameters(**arguments):
    with torch.device("meta"):
        return sum(p.numel() for p in QuartzNet(64, **arguments).parameters())


def small(seed=0, **arguments):
    """A small network whose batch norms have seen something, in evaluation mode."""
    torch.manual_seed(seed)
    net = QuartzNet(20, **{**SMALL, **arguments}).train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(3, 80, 20), torch.tensor([80, 60, 70]))
    return net.eval()


@pytest.fixture(params=[False, True], ids=["plain", "gated"])
def net(request):
    return small(se=request.param)


@pytest.fixture(params=[1, 1 << 62], ids=["fourier", "tap-by-tap"])
def way(request, monkeypatch):
    """Every depthwise convolution by Fourier transform, or none."""
    monkeypatch.setattr(frame_layouts, "FEWEST_PRODUCTS", request.param)
    monkeypatch.setattr(frame_layouts, "FEWEST_TAPS", 1)


@pytest.mark.parametrize(
    ("num_repeats", "russian"), [(1, 6_718_306), (2, 12_823_906), (3, 18_929_506)]
)
def test_it_has_as_many_parameters_as_published(num_repeats, russian):
    head = 1024 * 34 + 34
    assert num_parameters(num_repeats=num_repeats) + head == russian


def test_english_15x5_has_its_own_head():
    assert num_parameters() == 18_894_656
    assert num_parameters() + 1024 * 29 + 29 == 18_924_381


def test_gates_add_two_narrow_layers_a_block():
    gated = [shape for shape in quartznet_blocks(se=True) if shape.se]
    assert len(gated) == 15
    added = sum(2 * shape.filters * shape.filters // 8 for shape in gated)
    assert num_parameters(se=True) - num_parameters() == added == 688_128


def test_the_layers_are_the_published_ones():
    table = [
        (s.repeat, s.filters, s.kernel, s.stride, s.dilation, s.padding, s.residual, s.separable)
        for s in quartznet_blocks()
    ]
    groups = [(256, 33, 16), (256, 39, 19), (512, 51, 25), (512, 63, 31), (512, 75, 37)]
    assert table == [
        (1, 256, 33, 2, 1, 16, False, True),
        *[(5, c, k, 1, 1, p, True, True) for c, k, p in groups for _ in range(3)],
        (1, 512, 87, 1, 2, 86, False, True),
        (1, 1024, 1, 1, 1, 0, False, False),
    ]


def test_an_utterance_of_any_length_has_half_the_frames_rounded_up(net):
    lengths = torch.arange(1, 51)
    with torch.no_grad():
        out, out_lengths = net(torch.randn(50, 50, 20), lengths)
        assert out_lengths.tolist() == [-(-length // 2) for length in range(1, 51)]
        assert out.shape == (50, 25, net.output_size)
        for length in (1, 2, 17):
            alone, count = net(torch.randn(1, length, 20), torch.tensor([length]))
            assert alone.shape[1] == int(count) == -(-length // 2)


@torch.no_grad()
def test_company_and_padding_change_nothing(net, way):
    features, lengths = torch.randn(3, 90, 20), torch.tensor([30, 90, 61])
    features[0, 30:] = 100.0
    out, out_lengths = net(features, lengths)
    for row, length, count in zip(features, lengths, out_lengths, strict=True):
        alone, _ = net(row[None, :length], length[None])
        at = [index for index in range(3) if lengths[index] == length][0]
        assert (alone[0] - out[at, :count]).abs().max() < 1e-5
        assert (out[at, count:] == 0).all()


@torch.no_grad()
def test_without_masks_padding_leaks():
    net = small(conv_mask=False)
    features, length = torch.randn(1, 30, 20), torch.tensor([30])
    padded = torch.nn.functional.pad(features, (0, 0, 0, 60))
    alone, padded = net(features, length)[0], net(padded, length)[0][:, :15]
    assert (alone - padded).abs().max() > 1e-2


@torch.no_grad()
def test_what_is_exported_is_what_was_trained(net):
    """Tracing takes the padded layout, and its graph holds for other shapes."""
    shapes = (torch.randn(2, 40, 20), torch.tensor([40, 21]))
    traced = torch.jit.trace(net, shapes, check_trace=False)
    features, lengths = torch.randn(3, 90, 20), torch.tensor([30, 90, 61])
    for left, right in zip(traced(features, lengths), net(features, lengths), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


def test_batch_norms_see_valid_frames_only():
    features, lengths = torch.randn(2, 60, 20), torch.tensor([60, 24])
    tight, loose = (small(seed=1).train() for _ in range(2))
    tight(features, lengths)
    loose(torch.nn.functional.pad(features, (0, 0, 0, 200), value=9.0), lengths)
    for name, value in tight.state_dict().items():
        torch.testing.assert_close(value, loose.state_dict()[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("masked", [True, False], ids=["masked", "unmasked"])
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("gated", [False, True], ids=["plain", "gated"])
def test_it_is_the_network_written_plainly_under_nemos_names(masked, mode, gated, way):
    net = small(se=gated, width=0.125)
    plain = PlainQuartzNet(20, net.shapes, masked)
    names = nemo_names(net, masked)
    assert set(names) == set(net.state_dict())
    plain.load_state_dict({names[name]: value for name, value in net.state_dict().items()})
    getattr(net, mode)(), getattr(plain, mode)()
    features, slope = torch.randn(2, 75, 20), torch.randn(2, 38, net.output_size)
    ours, _ = net(features, torch.tensor([75, 75]))
    theirs = plain(features.transpose(1, 2)).transpose(1, 2)
    assert (ours - theirs).abs().max() < 1e-5
    (ours * slope).sum().backward()
    (theirs * slope).sum().backward()
    gradients = dict(plain.named_parameters())
    for name, parameter in net.named_parameters():
        expected = gradients[names[name]].grad
        assert (parameter.grad - expected).abs().max() < 1e-4 * (1 + expected.abs().max()), name


def test_nemos_names_count_relus_and_dropouts():
    net = QuartzNet(20, **{**SMALL, "repeat": 5, "se": True})
    names = nemo_names(net)
    first, last = "blocks.1.subblocks.0.", "blocks.1.subblocks.4."
    assert names[f"{first}depthwise.weight"] == "encoder.encoder.1.mconv.0.conv.weight"
    assert names[f"{last}pointwise.weight"] == "encoder.encoder.1.mconv.21.conv.weight"
    assert names[f"{last}norm.running_var"] == "encoder.encoder.1.mconv.22.running_var"
    assert names["blocks.1.gate.excite.weight"] == "encoder.encoder.1.mconv.23.fc.2.weight"
    assert names["blocks.1.residual.norm.bias"] == "encoder.encoder.1.res.0.1.bias"
    unmasked = nemo_names(net, conv_mask=False)
    assert unmasked[f"{first}depthwise.weight"] == "encoder.encoder.1.mconv.0.weight"
    assert unmasked["blocks.1.residual.conv.weight"] == "encoder.encoder.1.res.0.0.weight"
    assert names["blocks.7.subblocks.0.pointwise.weight"] == "encoder.encoder.7.mconv.0.conv.weight"


@pytest.mark.parametrize(
    "shape",
    [
        {"kernel": 11, "stride": 2, "dilation": 2},
        {"kernel": 10},
        {"kernel": 11, "stride": 2, "repeat": 2},
        {"kernel": 11, "stride": 2, "residual": True},
    ],
)
def test_what_is_no_same_convolution_is_refused(shape):
    with pytest.raises(ValueError, match="stride|odd"):
        BlockShape(8, **shape)


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ({"filters": 8, "repeat": 0}, "a block's repeat is 0; it must be a number from 1 up."),
        ({"filters": 8, "stride": 0}, "a block's stride is 0"),
        ({"filters": 8, "kernel": "5"}, "a block's kernel is '5'"),
        ({"filters": 8, "kernell": 5}, "a block has 'kernell', which is none of filters, repeat"),
    ],
    ids=["no sub-block", "no stride", "text", "unknown word"],
)
def test_what_a_block_cannot_be_is_told_by_name(block, why):
    with pytest.raises(ValueError, match=why):
        QuartzNet(4, blocks=[block])


def test_blocks_of_an_imported_model_take_the_place_of_the_published_ones():
    blocks = [
        {"filters": 8, "kernel": 11, "stride": 2},
        {"filters": 12, "kernel": 13, "repeat": 2, "residual": True, "se": True},
        {"filters": 16, "separable": False},
    ]
    net = QuartzNet(20, blocks=blocks).eval()
    out, lengths = net(torch.randn(1, 30, 20), torch.tensor([30]))
    assert out.shape == (1, 15, 16) and lengths.tolist() == [15]
    assert len(net.blocks[1].subblocks) == 2 and net.blocks[1].gate is not None


def test_the_two_layouts_pool_and_scale_alike():
    x, lengths = torch.randn(2, 3, 9), torch.tensor([9, 4])
    gates = torch.rand(2, 3)
    packed, padded = PackedFrames((9, 4)), PaddedFrames(lengths)
    rows = PackedFrames.pack(x.transpose(1, 2), [9, 4])
    torch.testing.assert_close(packed.means(rows), padded.means(x))
    torch.testing.assert_close(padded.means(x)[1], x[1, :, :4].mean(dim=1))
    left, right = packed.scaled(rows, gates), padded.scaled(x, gates)
    torch.testing.assert_close(packed.unpack(left), padded.unpack(right))


LETTERS = "abcdefgh"


def tones(text, rng):
    """0.2 s of a tone for each letter, with short pauses."""
    samples = []
    for letter in text:
        turns = 2 * np.pi * 300 * 1.35 ** LETTERS.index(letter) * np.arange(3200) / 16000
        samples += [0.3 * np.sin(turns) * np.hanning(3200), np.zeros(640)]
    samples = np.concatenate(samples)
    return torch.from_numpy(samples + 1e-3 * rng.standard_normal(len(samples))).float()


def test_a_small_one_learns_four_utterances_by_heart():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list(LETTERS), length)) for length in (6, 8, 5, 7)]
    waves = [tones(text, rng) for text in texts]
    lengths = torch.tensor([len(wave) for wave in waves])
    speech = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    net, features = QuartzNet(64, num_repeats=1, repeat=1, width=0.125), BatchLogMel()
    head = torch.nn.Linear(net.output_size, len(LETTERS) + 1)
    model = torch.nn.ModuleList([features, net, head])
    optimizer = NovoGrad(model.parameters(), lr=0.05, betas=(0.8, 0.5), weight_decay=1e-3)
    labels = torch.tensor([1 + LETTERS.index(letter) for text in texts for letter in text])
    counts = torch.tensor([len(text) for text in texts])

    def log_probs_and_loss():
        out, out_lengths = net(*features(speech, lengths))
        log_probs = head(out).log_softmax(dim=-1)
        total = torch.nn.functional.ctc_loss(
            log_probs.transpose(0, 1), labels, out_lengths, counts, reduction="sum"
        )
        return log_probs, out_lengths, total / len(texts)

    for _ in range(100):
        optimizer.zero_grad()
        log_probs_and_loss()[2].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        log_probs, out_lengths, loss = log_probs_and_loss()
    paths = [row[:count].argmax(dim=-1) for row, count in zip(log_probs, out_lengths, strict=True)]
    found = [[i for i in path.unique_consecutive().tolist() if i] for path in paths]
    assert ["".join(LETTERS[i - 1] for i in ids) for ids in found] == texts
    assert loss < 0.05
