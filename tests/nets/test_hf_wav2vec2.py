"""hf_wav2vec2 computes what transformers computes, for an utterance alone and in any company."""

import json
import shutil

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.nets.hf_wav2vec2 import HFWav2Vec2Net
from asr_dro_plugin.pretrained.hf_folders import read_weights
from asr_dro_plugin.pretrained.read_weights import modern_name

transformers = pytest.importorskip("transformers")
pytest_plugins = ["tests.fixtures_ssl"]

TINY = {
    "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4,
}  # fmt: skip
TYPES = ("wav2vec2", "hubert", "wavlm")
NORMS = ("layer", "group")
LENGTHS = torch.tensor([9000, 6000, 400])


def config(model_type="wav2vec2", norm="layer", **changes):
    layer = norm == "layer"
    norms = {"feat_extract_norm": norm, "do_stable_layer_norm": layer, "conv_bias": layer}
    return {"model_type": model_type, **TINY, **norms, **changes}


def net_of(model_config, **conf):
    """A network whose every parameter differs from its start, so that a swapped one shows."""
    torch.manual_seed(0)
    net = HFWav2Vec2Net(model_config, **conf).eval()
    with torch.no_grad():
        for parameter in net.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def batch_of_three():
    generator = torch.Generator().manual_seed(1)
    speech = torch.randn(3, int(LENGTHS.max()), generator=generator) * 0.3 + 0.1
    for row, length in enumerate(LENGTHS):
        speech[row, length:] = 7.0  # whatever lies there must not count
    return speech


@pytest.fixture(params=[(t, n) for t in TYPES for n in NORMS], ids="-".join)
def net(request):
    return net_of(config(*request.param))


@torch.no_grad()
def test_an_utterance_comes_out_as_of_transformers_after_its_preprocessor(net):
    speech = batch_of_three()
    prepare = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    for row, length in enumerate(LENGTHS):
        given = prepare(speech[row, :length].numpy(), sampling_rate=16000, return_tensors="pt")
        theirs = net.model(given["input_values"]).last_hidden_state
        ours, lengths = net(speech[row : row + 1, :length], LENGTHS[row : row + 1])
        assert lengths.tolist() == [theirs.shape[1]]
        assert (ours - theirs).abs().max() < 1e-4


@torch.no_grad()
def test_an_utterance_is_the_same_alone_and_padded_in_a_batch(net):
    """With a group norm too: it looks at the utterance's own frames."""
    speech = batch_of_three()
    together, frames = net(speech, LENGTHS)
    for row, length in enumerate(LENGTHS):
        alone, _ = net(speech[row : row + 1, :length], LENGTHS[row : row + 1])
        assert (together[row, : frames[row]] - alone[0]).abs().max() < 1e-5


@torch.no_grad()
def test_without_an_attention_mask_padding_counts_as_transformers_counts_it():
    net = net_of(config(norm="group"), attention_mask=False)
    speech = batch_of_three()
    inside = torch.arange(speech.shape[1]) < LENGTHS[:, None]
    prepare = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False)
    waves = [row[:length].numpy() for row, length in zip(speech, LENGTHS, strict=True)]
    given = prepare(waves, sampling_rate=16000, padding=True, return_tensors="pt")
    theirs = net.model(given["input_values"]).last_hidden_state
    ours, _ = net(speech.masked_fill(~inside, 0.0), LENGTHS)
    assert (ours - theirs).abs().max() < 1e-4
    alone, _ = net(speech[1:2, :6000], LENGTHS[1:2])
    assert (ours[1, : alone.shape[1]] - alone[0]).abs().max() > 1e-3  # padding does reach it


@torch.no_grad()
def test_the_sum_of_layers_is_over_the_first_ones_input_and_all_outputs(net):
    weighted = HFWav2Vec2Net(net.config.to_dict(), layers="weighted", do_normalize=False).eval()
    weighted.model.load_state_dict(net.model.state_dict())
    assert weighted.layer_weights.shape == (TINY["num_hidden_layers"] + 1,)
    weighted.layer_weights.copy_(torch.tensor([0.3, -1.0, 2.0, 0.5]))
    shares = weighted.layer_weights.softmax(0)
    assert shares.sum() == pytest.approx(1.0)
    speech = torch.randn(1, 4000)
    states = hidden_states(net, speech)
    expected = sum(share * state for share, state in zip(shares, states, strict=True))
    assert (weighted(speech, torch.tensor([4000]))[0] - expected).abs().max() < 1e-4


def hidden_states(net, speech):
    """Input of transformers' first layer and every layer's output, the last as it leaves."""
    kept = []
    layers = net.model.encoder.layers
    before = layers[0].register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    after = [
        layer.register_forward_hook(
            lambda _, __, out: kept.append(out[0] if isinstance(out, tuple) else out)
        )
        for layer in layers
    ]
    last = net.model(speech).last_hidden_state
    for hook in (before, *after):
        hook.remove()
    return [*kept[:-1], last]


@pytest.mark.parametrize("layerdrop", [0.0, 0.7])
@pytest.mark.parametrize("model_type", TYPES)
def test_gradients_reach_every_weight_of_the_sum_whatever_layer_is_dropped(model_type, layerdrop):
    net = HFWav2Vec2Net(config(model_type), layers="weighted", layerdrop=layerdrop).train()
    for seed in range(4):
        torch.manual_seed(seed)
        net.zero_grad()
        out, _ = net(batch_of_three(), LENGTHS)
        (out * torch.randn_like(out)).sum().backward()
        assert torch.isfinite(net.layer_weights.grad).all()
        assert (net.layer_weights.grad != 0).all()


@torch.no_grad()
def test_a_number_of_layers_ends_the_network_there():
    whole, cut = (net_of(config(), **conf, do_normalize=False) for conf in ({}, {"layers": 2}))
    assert len(cut.model.encoder.layers) == 2
    cut.model.load_state_dict(whole.model.state_dict(), strict=False)
    del whole.model.encoder.layers[2]
    speech = torch.randn(1, 4000)
    ours, _ = cut(speech, torch.tensor([4000]))
    assert (ours - whole.model(speech).last_hidden_state).abs().max() < 1e-5


@torch.no_grad()
def test_adapters_behind_the_transformer_shorten_and_keep_padding_out():
    net = net_of(config(add_adapter=True, output_hidden_size=12, num_adapter_layers=2))
    speech = batch_of_three()
    out, frames = net(speech, LENGTHS)
    assert out.shape[2] == net.output_size == 12 and frames.tolist() == [7, 5, 1]
    for row, length in enumerate(LENGTHS):
        alone, _ = net(speech[row : row + 1, :length], LENGTHS[row : row + 1])
        assert (out[row, : frames[row]] - alone[0]).abs().max() < 1e-5


@pytest.mark.parametrize("model_type", TYPES)
def test_checkpointing_gives_the_same_gradients(model_type):
    found = []
    for checkpointing in (False, True):
        net = net_of(config(model_type), gradient_checkpointing=checkpointing, hidden_dropout=0.0,
                     attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0,
                     layerdrop=0.0, mask_time_prob=0.0).train()  # fmt: skip
        net(batch_of_three(), LENGTHS)[0].square().sum().backward()
        found.append([p.grad for p in net.parameters()])
    assert all(torch.allclose(a, b, atol=1e-5, rtol=1e-4) for a, b in zip(*found, strict=True))


def test_features_are_masked_in_training_alone_and_not_where_an_utterance_is_too_short():
    off = {f"{name}_dropout": 0.0 for name in ("hidden", "attention", "activation", "feat_proj")}
    net = net_of(config(), mask_time_prob=0.5, mask_time_length=4, layerdrop=0.0, **off)
    speech = batch_of_three()
    plain, frames = net(speech, LENGTHS)
    net.train()
    masked, _ = net(speech, LENGTHS)
    changed = (masked - plain).abs().amax(dim=(1, 2)) > 1e-3
    assert changed.tolist() == [True, True, False] and frames[2] == 1
    short, _ = net(speech[2:, :400], LENGTHS[2:])  # transformers raises a ValueError here
    assert torch.isfinite(short).all()


def test_what_the_convolutions_learn_is_what_transformers_would_teach_them():
    """No dropout, no masks: all gradients equal, those of the convolutions too."""
    for norm in NORMS:
        net = net_of(config(norm=norm), do_normalize=False)
        speech = torch.randn(2, 4000)
        net(speech, torch.tensor([4000, 4000]))[0].square().mean().backward()
        ours = {
            name: p.grad.clone() for name, p in net.model.named_parameters() if "mask" not in name
        }
        net.zero_grad()
        net.model(speech).last_hidden_state.square().mean().backward()
        for name, parameter in net.model.named_parameters():
            if name in ours:
                scale = parameter.grad.abs().max() + 1e-6
                assert (ours[name] - parameter.grad).abs().max() / scale < 1e-3, name


# -- weights ---------------------------------------------------------------------------------------


def as_safetensors(model, folder):
    model.save_pretrained(folder)


def as_parts(model, folder):
    model.save_pretrained(folder, max_shard_size="8KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1


def as_bin(model, folder):
    model.config.save_pretrained(folder)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")


def as_the_hubs_older_bin(model, folder):
    """A prefix, the names that weight_norm had, heads of pretraining, torch's old file format."""
    model.config.save_pretrained(folder)
    old = {"original0": "weight_g", "original1": "weight_v"}
    weights = {"project_q.weight": torch.zeros(8, 8), "lm_head.bias": torch.zeros(3)}
    for name, value in model.state_dict().items():
        head, _, last = name.rpartition(".parametrizations.weight.")
        weights[f"wav2vec2.{head}.{old[last]}" if last in old else f"wav2vec2.{name}"] = value
    path = folder / "pytorch_model.bin"
    torch.save(weights, path, _use_new_zipfile_serialization=False)


def with_jsons_one_above(model, folder):
    """A training's checkpoint: weights in a directory, the rest in the one above."""
    model.save_pretrained(folder)
    shutil.move(folder / "config.json", folder.parent / "config.json")


WRITERS = (as_safetensors, as_parts, as_bin, as_the_hubs_older_bin, with_jsons_one_above)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_weights_are_read_from_every_kind_of_folder(write, tmp_path):
    source = net_of(config())
    folder = tmp_path / "checkpoint-8"
    folder.mkdir()
    write(source.model, folder)
    from asr_dro_plugin.pretrained.hf_folders import network_config

    net = HFWav2Vec2Net(network_config(folder, "a folder"))
    net.load_pretrained(folder)
    wanted = source.model.state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in net.model.state_dict().items())


def test_half_precision_weights_become_the_networks(tmp_path):
    source = net_of(config())
    source.model.half().save_pretrained(tmp_path)
    net = HFWav2Vec2Net(config())
    net.load_pretrained(tmp_path)
    assert next(net.parameters()).dtype == torch.float32
    assert torch.equal(
        net.model.encoder.layer_norm.weight.half(), source.model.encoder.layer_norm.weight
    )


def broken(tmp_path, change):
    """A folder whose tensors ``change`` has had its way with."""
    model = net_of(config()).model
    tensors = {name: value.clone() for name, value in model.state_dict().items()}
    change(tensors)
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(json.dumps(config()))
    return tmp_path


NAME = "encoder.layers.1.attention.q_proj.weight"
DAMAGES = {
    "lacks 1 weights .*q_proj": lambda tensors: tensors.pop(NAME),
    r"q_proj.weight is \(3, 3\)": lambda tensors: tensors.update({NAME: torch.zeros(3, 3)}),
    "no place for .*layers.7": lambda t: t.update({"encoder.layers.7.x": torch.zeros(1)}),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_weight_that_does_not_fit_is_named_in_one_line(message, tmp_path):
    folder = broken(tmp_path, DAMAGES[message])
    with pytest.raises(UserError, match=message) as caught:
        HFWav2Vec2Net(config()).load_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_a_model_that_was_trained_without_masking_may_lack_its_vector(tmp_path):
    folder = broken(tmp_path, lambda tensors: tensors.pop("masked_spec_embed"))
    HFWav2Vec2Net(config()).load_pretrained(folder)


def test_names_of_old_files_are_read_as_new_ones(tmp_path):
    assert modern_name("a.conv.weight_g") == "a.conv.parametrizations.weight.original0"
    assert modern_name("a.weight") == "a.weight"
    assert (
        read_weights(broken(tmp_path, lambda _: None)).keys()
        == net_of(config()).model.state_dict().keys()
    )


@pytest.mark.parametrize(
    ("changes", "conf", "message"),
    [
        ({"model_type": "bert"}, {}, "model_type is bert. Legal: wav2vec2, hubert, wavlm"),
        ({}, {"layers": 4}, r"layers is 4. Legal: last, weighted, 1..3"),
        ({}, {"layers": "all"}, "layers is all. Legal: last, weighted or a number"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_built_names_what_is_legal(changes, conf, message):
    with pytest.raises(UserError, match=message):
        HFWav2Vec2Net(config() | changes, **conf)
