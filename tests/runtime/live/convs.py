"""A small network of convolutions, random, whose receptive field is known."""

import numpy as np
import torch

from asr_dro_plugin.features.log_mel_torch import BatchLogMel
from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.nets.convnet import ConvNet
from asr_dro_plugin.runtime.live.frames import Stack
from tests.runtime.live.tones import SHIFT, TOKENS


def conv_stack() -> Stack:
    """A random network of convolutions without gates, of which a frame sees 10,112 samples."""
    torch.manual_seed(0)
    mel = BatchLogMel(LogMelSettings(n_mels=20, normalize="none")).eval()
    net = ConvNet(20, 16, num_blocks=3, kernel_size=5, strides=(2, 2), gates=False).eval()
    head = torch.nn.Linear(16, len(TOKENS))

    @torch.no_grad()
    def model(samples: np.ndarray) -> np.ndarray:
        speech = torch.from_numpy(np.array(samples))[None]
        features, lengths = mel(speech, torch.tensor([len(samples)]))
        found, _ = net(features + 5, lengths)
        return (5 * head(found)).log_softmax(-1)[0].numpy()

    return Stack(model, SHIFT, 400, len(TOKENS), 512 + 4 * 160 + 4 * 320 + 3 * 4 * 640)
