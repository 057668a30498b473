"""A model file as the base of adapters ended in a traceback where a tensor had another shape."""

import pytest
import torch

from asr_dro_plugin.errors import UserError

CONFIG = {
    "model_type": "wav2vec2", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


class Model(torch.nn.Module):
    def __init__(self, **changes):
        from asr_dro_plugin.espnet.parts.hf_wav2vec2 import HFWav2Vec2Encoder

        super().__init__()
        self.frontend, self.encoder = None, HFWav2Vec2Encoder({**CONFIG, **changes})


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("base") / "1epoch.pth"
    torch.save(Model().state_dict(), path)
    return path


def test_it_is_named_in_one_line(base):
    from asr_dro_plugin.espnet.start.adapters import load_base

    with pytest.raises(UserError, match=r"is \(16,.* and \(24,.* Set save_strategy: all"):
        load_base(Model(intermediate_size=24), base)


def test_one_that_fits_is_taken(base):
    from asr_dro_plugin.espnet.start.adapters import load_base

    model = Model()
    load_base(model, base)
    expected = torch.load(base, weights_only=True)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
