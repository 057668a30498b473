"""``feature_grad_mult`` on convolutions that ``freeze_param`` had frozen ended in a traceback;
``freeze_cnn`` of a Whisper was refused, as if it had no convolutions."""

import argparse

import pytest
from torch import nn

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.freezing import apply_freezing
from asr_dro_plugin.stack.training_rules import check_training


class Model(nn.Module):
    """What holds a ``feature_extractor`` in its encoder."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.net = nn.Module()
        self.encoder.net.feature_extractor = nn.ModuleList([nn.Conv1d(1, 2, 3), nn.Conv1d(2, 2, 3)])


def test_what_is_frozen_stays_so_and_the_rest_is_scaled():
    model = Model()
    frozen, free = model.encoder.net.feature_extractor
    entry = "encoder.net.feature_extractor.0"
    apply_freezing(model, argparse.Namespace(freeze_param=[entry], feature_grad_mult=0.1))
    assert not frozen.weight.requires_grad
    free.weight.sum().backward()
    assert (free.weight.grad - 0.1).abs().max() < 1e-6


def test_a_whisper_has_convolutions_to_freeze():
    check_training({"encoder": "hf_whisper", "freeze_cnn": True}, "x.yaml")
    with pytest.raises(UserError, match="this stack has none"):
        check_training({"encoder": "conv_ctc", "freeze_cnn": True}, "x.yaml")
