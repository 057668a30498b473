"""Whisper's networks against transformers' on the same weights, and what transformers lacks."""

import pytest
import torch

from asr_dro_plugin.nets.whisper import WhisperDecoder, WhisperEncoder

H, V, POSITIONS = 16, 60, 50
LENGTHS = torch.tensor([100, 61, 8])


@pytest.fixture(scope="module")
def theirs():
    from transformers import WhisperConfig, WhisperModel

    config = WhisperConfig(
        vocab_size=V, d_model=H, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=20,
        max_source_positions=POSITIONS, max_target_positions=12, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=3, scale_embedding=True,
    )  # fmt: skip
    model = WhisperModel(config).eval()
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if "encoder.embed_positions" not in name:
            parameter.data.add_(0.2 * torch.randn_like(parameter))
    return model


def build(theirs, do_pad_trim=False, **options):
    """(encoder, decoder) of ours with the same weights."""
    conf = theirs.config.to_dict()
    encoder = WhisperEncoder(conf, do_pad_trim=do_pad_trim, **options)
    decoder = WhisperDecoder(V, H, conf, **options)
    encoder.load_state_dict(theirs.encoder.state_dict())
    decoder.load_state_dict(theirs.decoder.state_dict())
    return encoder.eval(), decoder.eval()


@pytest.fixture(scope="module")
def ours(theirs):
    return build(theirs)


@pytest.fixture(scope="module")
def inputs():
    torch.manual_seed(1)
    return torch.randn(3, 2 * POSITIONS, 80), torch.randint(0, V, (3, 9))


@torch.no_grad()
@pytest.mark.parametrize("do_pad_trim", [True, False])
def test_encoder_and_decoder_are_transformers(theirs, inputs, do_pad_trim):
    features, ids = inputs
    encoder, decoder = build(theirs, do_pad_trim)
    lengths = torch.full((3,), 2 * POSITIONS)
    hidden, frames = encoder(features, lengths)
    expected = theirs(features.transpose(1, 2), decoder_input_ids=ids)
    assert torch.allclose(hidden, expected.encoder_last_hidden_state, atol=1e-5)
    assert frames.tolist() == [POSITIONS] * 3
    logits = expected.last_hidden_state @ theirs.decoder.embed_tokens.weight.T
    assert torch.allclose(decoder(ids, hidden, frames), logits, atol=1e-4)


def test_the_positions_that_do_not_learn_are_transformers(theirs, ours):
    weight = WhisperEncoder(theirs.config.to_dict()).embed_positions.weight
    assert torch.allclose(weight, theirs.encoder.embed_positions.weight, atol=1e-6)
    assert "embed_positions.weight" not in dict(ours[0].named_parameters())


@torch.no_grad()
def test_padding_reaches_no_utterance(ours, inputs):
    features, ids = inputs
    encoder, decoder = ours
    hidden, frames = encoder(features, LENGTHS)
    logits = decoder(ids, hidden, frames)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, count = encoder(features[row : row + 1, :length], LENGTHS[row : row + 1])
        assert frames[row] == count == alone.shape[1] == (length + 1) // 2
        assert torch.allclose(hidden[row, :count], alone[0], atol=1e-5)
        assert torch.allclose(logits[row], decoder(ids[row : row + 1], alone, count)[0], atol=1e-5)


@torch.no_grad()
def test_step_by_step_gives_the_logits_of_all_at_once_also_for_some_rows(ours, inputs):
    features, ids = inputs
    encoder, decoder = ours
    hidden, frames = encoder(features, LENGTHS)
    expected = decoder(ids, hidden, frames)
    memory = decoder.remember(hidden, frames)
    for new in (slice(0, 1), slice(1, 3), slice(3, 4)):
        assert torch.allclose(decoder.step(ids[:, new], memory), expected[:, new], atol=1e-5)
    rows = torch.tensor([2, 0])
    memory.select(rows)
    for place in range(4, 9):
        logits = decoder.step(ids[rows, place : place + 1], memory)
        assert torch.allclose(logits[:, 0], expected[rows, place], atol=1e-5)
    with pytest.raises(ValueError, match="13 tokens, and Whisper takes 12 at most"):
        decoder.step(ids[rows, :4], memory)


def test_a_token_does_not_see_what_follows(ours, inputs):
    features, ids = inputs
    encoder, decoder = ours
    hidden, frames = encoder(features, LENGTHS)
    changed = ids.clone()
    changed[:, 5:] = (ids[:, 5:] + 1) % V
    assert torch.equal(decoder(ids, hidden, frames)[:, :5], decoder(changed, hidden, frames)[:, :5])


def gradients(encoder, decoder, inputs):
    features, ids = inputs
    encoder.train(), decoder.train()
    hidden, frames = encoder(features, LENGTHS)
    decoder(ids, hidden, frames).logsumexp(-1).sum().backward()
    nets = (encoder, decoder)
    return {(k, n): p.grad for k, net in enumerate(nets) for n, p in net.named_parameters()}


def test_gradient_checkpointing_changes_no_gradient(theirs, inputs):
    plain = gradients(*build(theirs), inputs)
    saved = gradients(*build(theirs, gradient_checkpointing=True), inputs)
    assert plain.keys() == saved.keys() and None not in plain.values()
    for name, gradient in plain.items():
        assert torch.allclose(gradient, saved[name], atol=1e-5, rtol=1e-4), name


def test_layers_are_dropped_and_features_masked_in_training_alone(theirs, inputs):
    features, _ = inputs
    plain, _ = build(theirs)
    conf = {"model_config": theirs.config.to_dict(), "do_pad_trim": False}
    masked = WhisperEncoder(**conf, mask_time_prob=0.5, mask_feature_prob=0.2)
    masked.load_state_dict(plain.state_dict())
    dropping = WhisperEncoder(**conf, layerdrop=1.0)
    dropping.load_state_dict(plain.state_dict())
    expected = plain(features, LENGTHS)[0]
    for net in (masked, dropping):
        assert torch.equal(net.eval()(features, LENGTHS)[0], expected)
        assert not torch.allclose(net.train()(features, LENGTHS)[0], expected, atol=1e-3)


def test_without_droprates_training_draws_no_random_number(theirs, inputs):
    encoder, decoder = build(theirs)
    state = torch.get_rng_state()
    gradients(encoder, decoder, inputs)
    assert torch.equal(state, torch.get_rng_state())


def test_what_does_not_fit_is_refused(theirs):
    conf = theirs.config.to_dict()
    with pytest.raises(ValueError, match="of a wav2vec2, not of a Whisper"):
        WhisperEncoder({**conf, "model_type": "wav2vec2"})
    with pytest.raises(ValueError, match="activation_function tanh is none of"):
        WhisperEncoder({**conf, "activation_function": "tanh"})
    with pytest.raises(ValueError, match="the encoder gives 12, not d_model 16"):
        WhisperDecoder(V, 12, conf)
    with pytest.raises(ValueError, match="102 mel frames, and Whisper takes 100"):
        WhisperEncoder(conf)(torch.zeros(1, 102, 80), torch.tensor([102]))


def test_the_published_small_one_has_as_many_parameters():
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        d_model=768, encoder_layers=12, decoder_layers=12, encoder_attention_heads=12,
        decoder_attention_heads=12, encoder_ffn_dim=3072, decoder_ffn_dim=3072,
    )  # fmt: skip
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(config)
        ours = [WhisperEncoder(config.to_dict()), WhisperDecoder(51865, 768, config.to_dict())]
    numbers = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert sum(p.numel() for net in ours for p in net.parameters()) == numbers == 240_582_912
