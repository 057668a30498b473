"""With every chance at 0, two passes in training mode are the same."""

import pytest
import torch
from torch import nn

pytest_plugins = ["tests.fixtures_ssl"]

CONFORMER = {
    "output_size": 8, "attention_heads": 2, "linear_units": 8, "num_blocks": 3,
    "cnn_module_kernel": 3, "stochastic_depth_rate": 0.5,
}  # fmt: skip
E_BRANCHFORMER = {
    "output_size": 8, "attention_heads": 2, "cgmlp_linear_units": 8, "linear_units": 8,
    "num_blocks": 2, "cgmlp_conv_kernel": 3, "use_ffn": True, "macaron_ffn": True,
}  # fmt: skip
ENCODERS = {
    "conv_ctc": {"hidden_size": 8},
    "deepspeech2": {"hidden_size": 8, "channels": [2, 2, 2]},
    "conformer": CONFORMER,
    "e_branchformer": E_BRANCHFORMER,
    "rnn": {"hidden_size": 8, "output_size": 8, "dropout": 0.5},
    "wav2vec2": {},
    "hf": {},
}


@pytest.fixture(scope="module")
def build(task, make_tiny_ssl):
    """Function of a name: the module and what to give it."""
    from espnet2.tasks.asr import encoder_choices

    features = (torch.randn(3, 60, 40), torch.tensor([60, 60, 60]))
    speech = (torch.randn(3, 16000), torch.tensor([16000] * 3))

    def made(name: str) -> tuple[nn.Module, tuple]:
        if name == "hf":
            return HF(make_tiny_ssl(layerdrop=0.5).hf), speech[:1]
        if name == "wav2vec2":
            path = make_tiny_ssl(layerdrop=0.5).fairseq
            conf = {"w2v_url": path.name, "w2v_dir_path": str(path.parent), "output_size": 8}
            return encoder_choices.get_class(name)(input_size=1, **conf), speech
        return encoder_choices.get_class(name)(input_size=40, **ENCODERS[name]), features

    return made


class HF(nn.Module):
    """transformers' own wav2vec 2.0, which masks and drops by its ``config``."""

    def __init__(self, folder) -> None:
        super().__init__()
        from transformers import Wav2Vec2Model

        self.model = Wav2Vec2Model.from_pretrained(folder, layerdrop=0.5, mask_time_prob=0.5)

    def forward(self, speech: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.model(speech).last_hidden_state,)


@pytest.mark.parametrize("name", ENCODERS)
def test_nothing_is_left_to_chance(build, name):
    from asr_dro_plugin.espnet.onebatch.unregularised import plain_model

    module, given = build(name)
    module.train()

    def differs() -> bool:
        return any(not torch.equal(module(*given)[0], module(*given)[0]) for _ in range(3))

    assert differs()
    assert plain_model(module)
    assert not differs()
    assert not plain_model(module)


def test_every_group_loses_its_weight_decay():
    from asr_dro_plugin.espnet.onebatch.unregularised import plain_optimizers

    one, two = (nn.Parameter(torch.ones(1)) for _ in range(2))
    groups = [{"params": [one]}, {"params": [two], "weight_decay": 0.3}]
    optimizer = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.02)
    assert plain_optimizers([optimizer]) == ["weight decay 0.02, 0.3"]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.0]
    assert plain_optimizers([optimizer]) == []
