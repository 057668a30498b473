"""A stack whose text is known: tones for letters."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from asr_dro_plugin.decoding.greedy import GreedyDecoder
from asr_dro_plugin.decoding.language import LanguageChoice
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.runtime.live.model import LiveModel

SHIFT = 640
TOKENS = ("<blank>", "<space>", "[eng]", "[fra]", *"abcdefgh")


def hears_tones(samples: np.ndarray) -> np.ndarray:
    """(N,) -> (T, V): symbol k where frame n is a tone of 500 k Hz, the blank where it is quiet."""
    frames = samples[: len(samples) // SHIFT * SHIFT].reshape(-1, SHIFT)
    spectrum = np.abs(np.fft.rfft(frames, axis=1))
    loudest = np.minimum(spectrum.argmax(axis=1) // 20, len(TOKENS) - 1)
    symbols = np.where(spectrum.max(axis=1) > 1, loudest, 0)
    if len(samples) and samples.min() > 0.99:  # full scale throughout breaks the model
        return np.full((len(frames), len(TOKENS)), np.nan, np.float32)
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
    recogniser = ToneRecogniser(is_exact)
    decoder, _ = recogniser.of_language(language.split())
    return LiveModel.of(recogniser, recogniser.manifest.receptive_field_samples, decoder)


class ToneRecogniser:
    """The same as ``transcribing.abs_recogniser`` has it."""

    tokens, token_type, blank_id = TOKENS, "char", 0
    frame_shift, exact_frames, min_samples, longest = SHIFT / 16000, True, SHIFT, None
    depends_on_company = False

    def __init__(self, is_exact: bool = True) -> None:
        field = SHIFT if is_exact else None
        self.manifest = SimpleNamespace(languages=["eng", "fra"], receptive_field_samples=field)

    @property
    def model(self) -> "ToneRecogniser":
        """It is its own network."""
        return self

    def of_language(self, language: str | list[str] | None) -> tuple[GreedyDecoder, None]:
        """The decoder that finds these languages alone."""
        rule = " ".join([language] if isinstance(language, str) else language or ["free"])
        return GreedyDecoder(LanguageChoice(rule, TOKENS, 0)), None

    def emission(self, speech: Sequence[np.ndarray]) -> Emission:
        """Of one utterance."""
        (samples,) = speech
        found = hears_tones(samples)
        lengths = np.array([len(found)])
        return Emission(found[None], lengths, self.frame_shift, self.blank_id, TOKENS)


def pieces_of(data: bytes, lengths: list[int]) -> list[bytes]:
    """The bytes in pieces of these lengths, taken again and again."""
    found, start, n = [], 0, 0
    while start < len(data):
        found.append(data[start : start + lengths[n % len(lengths)]])
        start, n = start + lengths[n % len(lengths)], n + 1
    return found
