"""The service's own routes over a pool that says what a test has written."""

import asyncio
import contextlib
import json
import os
import socket
import threading

import uvicorn

from asr_dro_plugin.serving.app import create_app
from asr_dro_plugin.serving.protocol import Busy, Done, Failed, Partial
from asr_dro_plugin.serving.settings import ServiceSettings
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, Unit, to_json

LANGUAGES = ["ara", "eng", "fra", "zho"]
WORDS = ["the", "weather", "tomorrow", "will", "be", "mostly", "dry", "with", "light", "winds"]
CONFIDENCES = (0.97, 0.97, 0.6, 0.97, 0.3)


def said(texts=WORDS, start=0.2, each=0.05, gap=0.05, confidences=CONFIDENCES):
    """Words one after the other, ``each`` seconds a character, and their characters."""
    words, chars = [], []
    for number, text in enumerate(texts):
        sure = confidences[number % len(confidences)]
        chars += [Unit(char, start + n * each, start + (n + 1) * each, sure)
                  for n, char in enumerate(text)]  # fmt: skip
        words.append(Unit(text, start, start + each * len(text), sure))
        start = words[-1].end + gap
    return words, chars


def transcript(texts=WORDS, lang="eng", duration=3.0, **how):
    """The transcript of words that are said."""
    words, chars = said(texts, **how)
    best = Hypothesis(f"[{lang}] {' '.join(texts)}", 0.0, words=tuple(words), chars=tuple(chars))
    return Transcript("", (best,), lang, duration)


class ScriptedPool:
    """A pool of one test.

    Attributes:
        answer: what is said of every recording: a ``Transcript`` or ``Failed``.
        step: seconds before each event.
        at_once: words that become final with it.
        stop_after: events after which nothing comes any more, None for all.
        busy: seconds that each of the next admissions is sent away with, in order.
        jobs: (job, bytes of the recording) of all that was asked.
        left: jobs whose client went before the end.
    """

    def __init__(self):
        self.ready, self.models = True, {"weather": {"languages": LANGUAGES}}
        self.reset()

    def reset(self):
        self.answer, self.step, self.at_once, self.stop_after = transcript(), 0.0, 5, None
        self.busy, self.jobs, self.left = [], [], 0

    def admit(self):
        if self.busy:
            raise Busy(self.busy.pop(0))
        return self

    def release(self):
        pass

    def describe(self):
        return {}

    async def run(self, job, fd):
        self.jobs.append((job, os.pread(fd, 1 << 28, 0)))
        try:
            for number, event in enumerate(self.events(job)):
                await asyncio.sleep(self.step)
                while number == self.stop_after:
                    await asyncio.sleep(0.02)
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.left += 1
            raise

    def events(self, job):
        if isinstance(self.answer, Failed):
            return [self.answer]
        words = self.answer.best.words
        texts = [word.text for word in words]
        step = self.at_once
        partial = [
            Partial(words[min(n + step, len(words)) - 1].end, self.answer.duration,
                    " ".join(texts[: n + step]), [vars(word) for word in words[n : n + step]])
            for n in range(0, len(words), step)
        ]  # fmt: skip
        return [*partial, Done(json.loads(to_json(self.answer)), self.answer.duration, job.model)]


def _below(path, app):
    """The application behind a proxy that shows it below a path and takes the path off."""

    async def proxy(scope, receive, send):
        assert scope["path"].startswith(path)
        await app({**scope, "path": scope["path"].removeprefix(path)}, receive, send)

    return proxy


@contextlib.contextmanager
def served(pool, **settings):
    """The address of a service over a pool, on 127.0.0.1."""
    settings = ServiceSettings(models=dict.fromkeys(pool.models, "."), **settings)
    app = _below(settings.root_path, create_app(settings, pool))
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}/"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(20)
