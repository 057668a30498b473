"""Our encoders keep ESPnet's contract."""

import pytest
import torch


@pytest.mark.parametrize("name", ["identity", "conv_ctc", "deepspeech2"])
def test_encoders_give_the_size_they_promise_and_cut_to_the_longest_utterance(task, name):
    from espnet2.tasks.asr import encoder_choices

    encoder = encoder_choices.get_class(name)(input_size=40).eval()
    out, lengths, states = encoder(torch.randn(2, 20, 40), torch.tensor([9, 16]))
    assert out.shape == (2, int(lengths.max()), encoder.output_size())
    assert states is None


def test_the_identity_encoder_changes_no_value(task):
    from asr_dro_plugin.espnet.parts.encoders import IdentityEncoder

    features = torch.randn(2, 5, 3)
    out, lengths, _ = IdentityEncoder(3)(features, torch.tensor([5, 2]))
    assert torch.equal(out, features)
    assert lengths.tolist() == [5, 2]
