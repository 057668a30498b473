"""Raw speech: ESPnet's numbers to the bit, without its squares of samples x samples."""

import pytest
import torch
from espnet2.asr.encoder.wav2vec2_encoder import FairSeqWav2Vec2Encoder
from espnet2.layers.utterance_mvn import UtteranceMVN

pytest_plugins = ["tests.fixtures_ssl"]


@pytest.fixture
def encoder(task, tiny_ssl):
    from asr_dro_plugin.espnet.parts.ssl import PreparedWav2Vec2Encoder

    conf = {"w2v_url": tiny_ssl.fairseq.name, "w2v_dir_path": str(tiny_ssl.folder)}
    return PreparedWav2Vec2Encoder(input_size=1, output_size=24, normalize_before=True, **conf)


def test_the_encoder_computes_what_espnets_computes(encoder):
    speech, lengths = torch.randn(3, 4000), torch.tensor([4000, 3000, 1600])
    encoder.eval()
    ours = encoder(speech, lengths)
    theirs = FairSeqWav2Vec2Encoder.forward(encoder, speech, lengths)
    assert torch.equal(ours[0], theirs[0])
    assert ours[1].tolist() == theirs[1].tolist() == [12, 9, 4]


def test_equal_lengths_need_no_mask(encoder):
    lengths = torch.tensor([3200, 3200])
    assert encoder.eval()(torch.randn(2, 3200), lengths)[1].tolist() == [9, 9]


@pytest.mark.parametrize("means", [True, False])
@pytest.mark.parametrize("variances", [True, False])
@pytest.mark.parametrize("shape", [(3, 400), (3, 40, 5)])
def test_normalisation_over_an_utterance_is_espnets(task, means, variances, shape):
    from asr_dro_plugin.espnet.parts.ssl import PreparedUtteranceMVN

    speech = torch.randn(shape) * 3 + 1
    lengths = torch.tensor([shape[1], 30, 1])
    results = []
    for cls in (UtteranceMVN, PreparedUtteranceMVN):
        layer = cls(norm_means=means, norm_vars=variances)
        results.append(layer(speech.clone(), lengths)[0])
    assert torch.allclose(*results, rtol=1e-5, atol=1e-6)


def test_twenty_seconds_of_raw_speech_take_megabytes(encoder):
    from asr_dro_plugin.espnet.parts.ssl import PreparedUtteranceMVN

    num_samples = 320_000  # ESPnet asks for 100 GB here
    speech, lengths = torch.randn(2, num_samples), torch.tensor([num_samples, num_samples - 1000])
    speech, lengths = PreparedUtteranceMVN(norm_vars=True)(speech, lengths)
    with torch.no_grad():
        assert encoder.eval()(speech, lengths)[1].tolist() == [999, 996]
