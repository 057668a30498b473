"""Adapters learn beside a pretrained model that stands still; their files hold nothing else."""

import argparse
import logging

import pytest
import torch

from asr_dro_plugin.errors import UserError

pytest_plugins = ["tests.fixtures_ssl", "tests.fixtures_whisper"]

LORA = {"rank": 4, "alpha": 8, "target_modules": ["q_proj", "v_proj"]}
HOULSBY = {"bottleneck": 4}
KINDS = {"lora": LORA, "houlsby": HOULSBY}
# 2 layers, 16 wide: rank x (in + out) of two matrices each; 2 D K + K + D behind two sub-layers.
NUM_ADDED = {"lora": 2 * 2 * 4 * (16 + 16), "houlsby": 2 * 2 * (2 * 16 * 4 + 4 + 16)}
TOKENS = ["<blank>", "<unk>", "a", "b", "<sos/eos>"]


def stack(ssl, adapter="lora", **changes):
    """Keys of a YAML: raw speech into the tiny model, adapters, CTC."""
    conf = {
        "frontend": "none", "normalize": "none", "encoder": "hf_wav2vec2",
        "encoder_conf": {"mask_time_prob": 0.0}, "ssl_checkpoint": str(ssl), "use_adapter": True,
        "adapter": adapter, "adapter_conf": KINDS[adapter], "save_strategy": "adapter_only",
    }  # fmt: skip
    return {**conf, **changes}


def s3prl_stack(ssl, adapter="lora", **changes):
    """The same model through the s3prl frontend, nothing but CTC behind it."""
    front = {"frontend": "s3prl", "frontend_conf": {}, "encoder": "identity", "encoder_conf": {}}
    return stack(ssl, adapter, **{**front, **changes})


def build(task, **conf):
    """A model as training begins with it."""
    args = argparse.Namespace(**{**vars(task.get_parser().parse_args([])), **conf})
    args.token_list, args.model_conf, args.decoder = TOKENS, {"ctc_weight": 1.0}, None
    args.frontend = None if args.frontend == "none" else args.frontend
    args.normalize = None if args.normalize == "none" else args.normalize
    torch.manual_seed(0)
    return task.build_model(args), args


def learning(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def log_probs(model, seed=0):
    speech = torch.randn(2, 8000, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        encoded = model.eval().encode(speech, torch.tensor([8000, 8000]))[0]
        return model.ctc.log_softmax(encoded)


def stir(model):
    """As if the adapters had learned something."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in model.adapters.added:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("make", [stack, s3prl_stack], ids=["hf_wav2vec2", "s3prl"])
@pytest.mark.parametrize("adapter", KINDS)
def test_what_learns_is_as_much_as_the_formula_says(task, tiny_ssl, caplog, adapter, make):
    with caplog.at_level(logging.INFO):
        model, _ = build(task, **make(tiny_ssl.hf, adapter))
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert sum(sizes[name] for name in model.adapters.added) == NUM_ADDED[adapter]
    outside = {name for name in sizes if not name.startswith(("encoder.", "frontend.upstream."))}
    assert learning(model) == model.adapters.added | outside
    total = sum(sizes[name] for name in learning(model))
    assert f"{total:,} of {sum(sizes.values()):,} parameters learn" in caplog.text


@pytest.mark.parametrize("adapter", KINDS)
def test_at_first_the_model_computes_what_the_pretrained_one_does(task, tiny_ssl, adapter):
    plain, _ = build(task, **stack(tiny_ssl.hf, use_adapter=False))
    adapted, _ = build(task, **stack(tiny_ssl.hf, adapter))
    assert torch.equal(log_probs(adapted), log_probs(plain))


@pytest.mark.parametrize("make", [stack, s3prl_stack], ids=["hf_wav2vec2", "s3prl"])
@pytest.mark.parametrize("target", ["q_proj", "k_proj", "v_proj", "out_proj", "output_dense"])
def test_every_adapted_layer_is_heard(task, tiny_ssl, make, target):
    model, _ = build(task, **make(tiny_ssl.hf, adapter_conf={**LORA, "target_modules": [target]}))
    before = log_probs(model)
    stir(model)
    assert not torch.allclose(log_probs(model), before, atol=1e-4)


def step(model):
    """One step of training; the names of what it changed."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    speech = torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
    lengths, text = torch.tensor([8000, 8000]), torch.tensor([[2, 3], [3, 2]])
    optimizer = torch.optim.SGD(learned, lr=1.0)
    loss, _, _ = model.train()(speech, lengths, text, torch.tensor([2, 2]))
    loss.backward()
    optimizer.step()
    after = model.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("adapter", KINDS)
def test_a_step_changes_adapters_and_head_and_nothing_else(task, tiny_ssl, adapter):
    model, _ = build(task, **stack(tiny_ssl.hf, adapter))
    stir(model)  # from zero B and up, A and down would learn from the second step on
    changed = step(model)
    assert model.adapters.added <= changed
    assert changed - model.adapters.added == {"ctc.ctc_lo.weight", "ctc.ctc_lo.bias"}


def test_named_parameters_of_the_pretrained_model_learn_beside(task, tiny_ssl):
    conf = {**LORA, "also_train": ["*.final_layer_norm"], "bias_type": "lora_only"}
    model, _ = build(task, **stack(tiny_ssl.hf, adapter_conf=conf))
    own = learning(model) - model.adapters.added - {"ctc.ctc_lo.weight", "ctc.ctc_lo.bias"}
    layers = [f"encoder.net.model.encoder.layers.{number}" for number in (0, 1)]
    norms = {f"{x}.final_layer_norm.{part}" for x in layers for part in ("weight", "bias")}
    biases = {f"{x}.attention.{name}_proj.base_layer.bias" for x in layers for name in "qv"}
    assert own == norms | biases
    assert model.adapters.still.isdisjoint(own)


def test_without_freeze_the_pretrained_model_learns_too(task, tiny_ssl):
    conf = {**LORA, "freeze": False}
    model, _ = build(task, **stack(tiny_ssl.hf, adapter_conf=conf, freeze_cnn=True))
    still = {name for name, _ in model.named_parameters()} - learning(model)
    assert still and all("feature_extractor" in name for name in still)
    assert model.adapters.still == still


def test_gradient_checkpointing_reaches_the_adapters(task, tiny_ssl):
    conf = {"mask_time_prob": 0.0, "gradient_checkpointing": True}
    model, _ = build(task, **stack(tiny_ssl.hf, "houlsby", encoder_conf=conf))
    stir(model)
    assert model.adapters.added <= step(model)


def test_what_freeze_param_freezes_after_that_are_not_the_adapters(task, tiny_ssl):
    """ESPnet's task freezes prefixes once more and then asks for adapters."""
    from espnet2.layers.create_adapter import create_adapter

    conf = {**LORA, "also_train": ["*.final_layer_norm"]}
    model, args = build(task, **stack(tiny_ssl.hf, freeze_param=["encoder"], adapter_conf=conf))
    before = learning(model)
    assert sum("final_layer_norm" in name for name in before) == 4
    model.encoder.requires_grad_(False)
    create_adapter(model, args.adapter, args.adapter_conf)
    assert learning(model) == before > model.adapters.added


def test_only_the_layers_that_are_named_get_adapters(task, tiny_ssl):
    for adapter, conf in KINDS.items():
        conf = {**conf, "target_layers": [1]}
        model, _ = build(task, **stack(tiny_ssl.hf, adapter, adapter_conf=conf))
        assert all(".layers.1." in name for name in model.adapters.added)


def test_the_network_of_fairseqs_file_is_adapted_as_that_of_the_folder(task, tiny_ssl):
    folder, _ = build(task, **stack(tiny_ssl.hf))
    file, _ = build(task, **stack(tiny_ssl.fairseq, encoder="fairseq_wav2vec2"))
    assert file.adapters.added == folder.adapters.added
    stir(folder), stir(file)
    torch.testing.assert_close(file.state_dict(), folder.state_dict())


def test_espnets_own_houlsby_serves_s3prls_own_network(task, tiny_ssl):
    model, _ = build(task, **s3prl_stack(tiny_ssl.s3prl, "houlsby"))
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert sum(sizes[name] for name in model.adapters.added) == 2 * (2 * 16 * 4 + 4 + 16)
    assert step(model) & model.adapters.added
    with pytest.raises(UserError, match="s3prl's layout, which takes weights"):
        build(task, **s3prl_stack(tiny_ssl.s3prl, "lora"))


def wavlm(folder):
    """A tiny random WavLM as a folder."""
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

    WavLMModel(
        WavLMConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
            conv_dim=(8, 8), conv_stride=(10, 32), conv_kernel=(10, 40), num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2, num_feat_extract_layers=2,
        )
    ).save_pretrained(folder)  # fmt: skip
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def test_adapters_that_wavlms_attention_would_not_see_are_refused(task, tmp_path):
    folder = wavlm(tmp_path)
    with pytest.raises(UserError, match="WavLM's, whose attention would not see an adapter"):
        build(task, **stack(folder))
    fine = {**LORA, "target_modules": ["intermediate_dense", "output_dense"]}
    for conf in ({"adapter_conf": fine}, {"adapter": "houlsby", "adapter_conf": HOULSBY}):
        model, _ = build(task, **stack(folder, **conf))
        before = log_probs(model)
        stir(model)
        assert not torch.allclose(log_probs(model), before, atol=1e-4)


def test_a_stack_without_pretrained_model_is_refused(task):
    with pytest.raises(UserError, match="this stack has none that takes adapters"):
        build(task, use_adapter=True, encoder="conv_ctc", encoder_conf={"hidden_size": 16})


def test_files_without_a_base_are_refused_where_nothing_names_one(task, tiny_ssl):
    _, args = build(task, **stack(tiny_ssl.hf))
    conf = {"encoder_conf": args.encoder_conf, "ssl_checkpoint": None}
    with pytest.raises(UserError, match="save_strategy adapter_only leaves .* Set ssl_checkpoint"):
        build(task, **stack(tiny_ssl.hf, **conf))
    model, _ = build(task, **stack(tiny_ssl.hf, **conf, save_strategy="all"))
    assert model.adapters.added


def test_lora_can_be_merged_into_the_weights_and_houlsby_cannot(task, tiny_ssl):
    from asr_dro_plugin.espnet.start.adapters import merge_adapters
    from asr_dro_plugin.experiment.adapter_files import merged_state

    model, args = build(task, **stack(tiny_ssl.hf))
    plain, _ = build(task, **stack(tiny_ssl.hf, use_adapter=False))
    stir(model)
    expected, state = log_probs(model), model.state_dict()
    plain.load_state_dict(merged_state(state, LORA["alpha"]))
    torch.testing.assert_close(log_probs(plain), expected, atol=1e-5, rtol=0)
    merge_adapters(model)
    assert set(model.state_dict()) == set(plain.state_dict())
    torch.testing.assert_close(log_probs(model), expected, atol=1e-5, rtol=0)
    houlsby, _ = build(task, **stack(tiny_ssl.hf, "houlsby"))
    with pytest.raises(UserError, match="houlsby cannot be merged"):
        merge_adapters(houlsby)


@pytest.fixture(scope="module")
def whisper_tokens(dump, tiny_whisper, tmp_path_factory):
    from asr_dro_plugin.bin import make_tokens

    out = tmp_path_factory.mktemp("tokens")
    words = ["--text", str(dump / "train" / "text"), "--token_type", "hugging_face"]
    make_tokens.main([*words, "--out_dir", str(out), "--ssl_checkpoint", str(tiny_whisper)])
    return str(out / "tokens.txt")


@pytest.mark.parametrize("adapter, places", [("lora", 2 * 2 + 2 * 4), ("houlsby", 2 * 2 + 2 * 3)])
def test_whispers_encoder_and_decoder_are_adapted(
    task, tiny_whisper, whisper_tokens, adapter, places
):
    """2 layers each; a decoder's attend to themselves and to the encoder."""
    keys = {
        "encoder": "hf_whisper", "encoder_conf": {"do_pad_trim": False}, "decoder": "hf_whisper",
        "preprocessor": "whisper", "model": "dro", "model_conf": {"ctc_weight": 0.0},
    }  # fmt: skip
    args = argparse.Namespace(**{**vars(task.get_parser().parse_args([])), **stack(tiny_whisper)})
    vars(args).update({**keys, "adapter": adapter, "adapter_conf": KINDS[adapter]})
    args.token_list, args.token_type = whisper_tokens, "hugging_face"
    args.frontend = args.normalize = None
    model = task.build_model(args)
    assert learning(model) == model.adapters.added
    assert len(model.adapters.added) == places * (2 if adapter == "lora" else 4)
    stir(model)
    text = torch.tensor([[300, 301], [301, 302]])
    loss, _, _ = model.train()(
        torch.randn(2, 8000), torch.tensor([8000] * 2), text, torch.tensor([2] * 2)
    )
    loss.backward()
    lacking = [n for n, p in model.named_parameters() if p.requires_grad and not p.grad.any()]
    assert not lacking
