"""Stacks whose text is known: tones for letters, and a small network of convolutions."""

import numpy as np
import torch

from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.features.log_mel_torch import BatchLogMel
from asr_dro_plugin.features.settings import LogMelSettings
from asr_dro_plugin.nets.convnet import ConvNet
from asr_dro_plugin.runtime.live.frames import Stack
from asr_dro_plugin.runtime.live.model import LiveModel
from asr_dro_plugin.runtime.live.words import TokenReader

SHIFT = 640
TOKENS = ("<blank>", "<space>", "[eng]", "[fra]", *"abcdefgh")


def hears_tones(samples: np.ndarray) -> np.ndarray:
    """(N,) -> (T, V): symbol k where frame n is a tone of 500 k Hz, the blank where it is quiet."""
    frames = samples[: len(samples) // SHIFT * SHIFT].reshape(-1, SHIFT)
    spectrum = np.abs(np.fft.rfft(frames, axis=1))
    loudest = np.minimum(spectrum.argmax(axis=1) // 20, len(TOKENS) - 1)
    symbols = np.where(spectrum.max(axis=1) > 1, loudest, 0)
    likely = np.eye(len(TOKENS))[symbols] * 0.9 + 0.1 / len(TOKENS)
    return np.log(likely).astype(np.float32)


def says(text: str, pause: int = 1) -> np.ndarray:
    """(N,) samples: a frame a letter, ``pause`` quiet ones behind each; "_" is a second of quiet,
    capitals E and F are the tags [eng] and [fra]."""
    named = {" ": "<space>", "E": "[eng]", "F": "[fra]"}
    time = np.arange(SHIFT) / 16000
    pieces = []
    for letter in text:
        if letter == "_":
            pieces.append(np.zeros(25 * SHIFT))
            continue
        hertz = 500 * TOKENS.index(named.get(letter, letter))
        pieces += [0.5 * np.sin(2 * np.pi * hertz * time), np.zeros(pause * SHIFT)]
    return np.concatenate(pieces).astype(np.float32)


def pcm(samples: np.ndarray) -> bytes:
    """16-bit samples, little-endian."""
    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def tone_model(is_exact: bool, language: str = "free") -> LiveModel:
    """A model of ``hears_tones``, which is said to see a frame or the whole utterance."""
    stack = Stack(hears_tones, SHIFT, SHIFT, len(TOKENS), SHIFT if is_exact else None)
    choice = LanguageChoice(language, TOKENS, 0)
    return LiveModel(stack, TokenReader(TOKENS, "char", 0, SHIFT / 16000, choice))


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


def pieces_of(data: bytes, lengths: list[int]) -> list[bytes]:
    """The bytes in pieces of these lengths, taken again and again."""
    found, start, n = [], 0, 0
    while start < len(data):
        found.append(data[start : start + lengths[n % len(lengths)]])
        start, n = start + lengths[n % len(lengths)], n + 1
    return found
