"""Someone speaks to a worker, over a socket that the pool hands on."""

import asyncio
import contextlib
import json
import os
import signal
import socket

import pytest

from asr_dro_plugin.serving.live_wire import (
    AUDIO,
    CLEAR,
    COMMIT,
    LIVE,
    FrameReader,
    LiveSettings,
    frames,
    settings_frame,
)
from asr_dro_plugin.serving.protocol import Done, Failed, Job
from tests.runtime.live.tones import pcm, says
from tests.serving.test_pool import recording, transcribed, with_pool

TEXT = "Eabc de__"


class Client:
    """Speaks to a worker as the front does."""

    def __init__(self, pool, model="tones"):
        self.ours, self._theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.job = asyncio.create_task(self._run(pool, model))
        self._bytes = b""

    async def _run(self, pool, model):
        with pool.admit() as ticket:
            told = Job(id="live", model=model, kind=LIVE)
            async for event in ticket.run(told, self._theirs.fileno()):
                last = event
        self._theirs.close()
        return last

    async def send(self, kind, payload=b""):
        for frame in frames(kind, payload):
            await asyncio.get_running_loop().sock_sendall(self.ours, frame)

    async def set(self, **settings):
        frame = settings_frame(LiveSettings(**{"rate": 16000, **settings}))
        await asyncio.get_running_loop().sock_sendall(self.ours, frame)

    async def until(self, kind):
        """All that is said until a message of this type, which is the last."""
        found = []
        while not found or found[-1]["type"] != kind:
            while b"\n" not in self._bytes:
                data = await asyncio.get_running_loop().sock_recv(self.ours, 1 << 16)
                assert data, "the worker has hung up"
                self._bytes += data
            line, _, self._bytes = self._bytes.partition(b"\n")
            found.append(json.loads(line))
        return found

    async def hang_up(self):
        self.ours.close()
        return await self.job


def test_frames_come_out_as_they_went_in_however_they_are_cut():
    sent = b"".join([*frames(AUDIO, bytes(200_001)), *frames(COMMIT)])
    reader, found = FrameReader(), []
    for start in range(0, len(sent), 997):
        reader.feed(sent[start : start + 997])
        while frame := reader.next():
            found.append(frame)
    assert [kind for kind, _ in found] == [AUDIO] * 4 + [COMMIT]
    assert b"".join(payload for _, payload in found) == bytes(200_001)


@pytest.mark.parametrize("model", ["tones", "windows"])
def test_words_come_while_someone_speaks_and_stay(model):
    async def body(pool):
        client = Client(pool, model)
        await client.set(silence=0.7)
        await client.send(AUDIO, pcm(says(TEXT)))
        first = await client.until("final")
        await client.set(silence=None)
        await client.send(AUDIO, pcm(says("fg")))
        await client.send(CLEAR)
        await client.send(AUDIO, pcm(says("ha")))
        await client.send(COMMIT)
        rest = await client.until("cleared") + await client.until("final")
        return first, rest, await client.hang_up()

    first, rest, done = with_pool(body, workers=1, models=(model,))
    assert first[0] == {"type": "settings", "is_exact": model == "tones"}
    said = [
        word["text"]
        for event in first
        for word in event.get("words", ())
        if event["type"] == "interim"
    ]
    assert said == ["abc", "de"] and [e["type"] for e in first if "seconds" in e] == [
        "started",
        "stopped",
    ]
    assert (first[-1]["text"], first[-1]["lang"], first[-1]["by"]) == ("abc de", "eng", "pause")
    assert (rest[-1]["text"], rest[-1]["by"]) == ("ha", "commit")
    whole = len(says(TEXT + "fg")) / 16000
    assert rest[-1]["words"][0]["start"] == pytest.approx(whole)  # of the whole stream
    assert isinstance(done, Done) and done.duration == pytest.approx(
        len(says(TEXT + "fgha")) / 16000
    )


def test_recordings_have_their_turns_beside_those_who_speak_and_the_idle_are_no_hangers():
    async def body(pool):
        clients = [Client(pool) for _ in range(3)]
        for client in clients:
            await client.set(silence=0.7)
        quiet = clients.pop()
        speak = [client.send(AUDIO, pcm(says(TEXT * 40))) for client in clients]
        made, *_ = await asyncio.gather(transcribed(pool, recording(5.0)), *speak)
        finals = [[await client.until("final") for _ in range(40)] for client in clients]
        await asyncio.sleep(1.5)  # longer than a worker may be silent that has work
        await quiet.send(COMMIT)
        last = await quiet.until("final")
        for client in [*clients, quiet]:
            await client.hang_up()
        assert pool.counts["running"] == 0 and pool.num_restarts == 0
        return made[-1], finals, last[-1]

    done, finals, last = with_pool(body, workers=1, models=("tones", "m"), silence=1.0)
    assert done.duration == 5.0 and last["text"] == ""
    assert [{event[-1]["text"] for event in each} for each in finals] == [{"abc de"}] * 2


def test_one_who_does_not_read_is_not_listened_to_and_keeps_nobody_waiting():
    async def body(pool):
        deaf, client = Client(pool), Client(pool)
        await deaf.set(silence=0.2)
        sound = pcm(says("a b c d e f g h _" * 400))  # a minute and more, with many words
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                while True:
                    await deaf.send(AUDIO, sound)
        await client.set()
        await client.send(AUDIO, pcm(says("abc")))
        await client.send(COMMIT)
        final = await client.until("final")
        await client.hang_up()
        return final[-1]["text"], await deaf.hang_up()

    text, done = with_pool(body, workers=1, models=("tones",))
    assert text == "abc" and isinstance(done, Done)


def test_a_killed_worker_ends_its_sessions_and_the_next_one_is_served():
    async def body(pool):
        client = Client(pool)
        await client.set()
        await client.until("settings")
        os.kill(pool.processes[0], signal.SIGKILL)
        failed = await client.job
        client.ours.close()
        another = Client(pool)
        await another.set()
        await another.until("settings")
        await another.hang_up()
        return failed

    failed = with_pool(body, workers=1, models=("tones",))
    assert isinstance(failed, Failed) and (failed.status, failed.code) == (503, "worker_lost")


def test_a_model_that_gives_nan_fails_the_item_and_not_the_session():
    async def body(pool):
        client = Client(pool)
        await client.set()
        await client.send(AUDIO, b"\xff\x7f" * 16000)  # full scale, which breaks the model
        await client.send(COMMIT)
        failed = await client.until("failed")
        await client.send(AUDIO, pcm(says("abc")))
        await client.send(COMMIT)
        final = await client.until("final")
        await client.hang_up()
        return failed[-1], final[-1]

    failed, final = with_pool(body, workers=1, models=("tones",))
    assert "NaN" in failed["message"] and final["text"] == "abc"
