"""A worker whose model is arithmetic: its text says how many seconds it was given.

What a recording does to it is said by its first sample's level (see ``COMMANDS``), so that tests of
the pool can have it crash, hang or work slowly without a model.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from asr_dro_plugin.serving import worker
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, Unit
from tests.runtime.live.tones import ToneRecogniser

CHUNK = 10.0  # seconds of a step
CRASH, HANG, SLOW, KILL = 0.5, 0.25, 0.125, 0.375  # level of the first second


@dataclass
class Piece:
    seconds_done: float
    duration: float | None
    text: str
    words: list = field(default_factory=list)
    transcript: Transcript | None = None


class Counter:
    """Stands for a recogniser."""

    manifest = {"languages": ["eng"], "name": "counter"}

    def transcribe(self, audio, **_):
        return Transcript("", (Hypothesis(f"{len(audio)} samples", 0.0),))

    def stream(self, source, language=None, vad=None, times=True, chars=False):
        done, text, units = 0, "", []
        for block in source:
            if not done:
                self._obey(block)
            if os.environ.get("SLOW_STEPS"):
                time.sleep(float(os.environ["SLOW_STEPS"]))
            done += len(block)
            word = f"w{done // 16000}"
            text = f"{text} {word}".strip()
            start = units[-1].end if units else 0.0
            units.append(Unit(word, start, done / 16000, 0.9))
            yield Piece(done / 16000, source.duration, text, units[-1:])
        if language:
            text = f"{text} {language}".strip()
            units.append(Unit(str(language), done / 16000, done / 16000, 0.9))
        lang = language if isinstance(language, str) else None
        best = Hypothesis(text, 0.0, words=tuple(units))
        transcript = Transcript("", (best,), lang, done / 16000)
        yield Piece(done / 16000, done / 16000, text, [], transcript)

    def _obey(self, block):
        level = float(np.median(block[: len(block) // 2]))
        if abs(level - CRASH) < 0.01:
            os.kill(os.getpid(), signal.SIGSEGV)
        if abs(level - KILL) < 0.01:
            os.kill(os.getpid(), signal.SIGKILL)
        if abs(level - HANG) < 0.01:
            time.sleep(1000)
        if abs(level - SLOW) < 0.01:
            time.sleep(0.5)


class Tones(ToneRecogniser):
    """Hears letters in tones, live too."""

    def transcribe(self, audio, **_):
        return Transcript("", (Hypothesis(f"{len(audio)} samples", 0.0),))


def load(settings):
    if "broken" in settings.models:
        from asr_dro_plugin.errors import UserError

        raise UserError("broken/model.onnx is altered. Export it again.")
    if "huge" in settings.models:  # as the system does when there is no memory left
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(os.environ.get("SLOW_LOADING", "0")))
    kinds = {"tones": lambda: Tones(True), "windows": lambda: Tones(False)}
    return {name: kinds.get(name, Counter)() for name in settings.models}


if __name__ == "__main__":
    worker.main(sys.argv[1:], load)
