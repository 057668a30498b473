import asyncio
import gc
import io
import itertools
import os
import signal
import sys
import time

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.serving import pool as pool_module
from asr_dro_plugin.serving import worker_process
from asr_dro_plugin.serving.pool import Pool
from asr_dro_plugin.serving.protocol import Busy, Done, Draining, Failed, Job, Partial
from asr_dro_plugin.serving.settings import ServiceSettings
from tests.serving.stand_in import CRASH, HANG, KILL, SLOW

COMMAND = (sys.executable, "-m", "tests.serving.stand_in")


def recording(seconds, level=0.01, rate=16000):
    """An unnamed file: its descriptor."""
    content = io.BytesIO()
    soundfile.write(content, np.full(round(seconds * rate), level, np.float32), rate, format="WAV")
    descriptor = os.memfd_create("upload")
    os.write(descriptor, content.getvalue())
    return descriptor


def with_pool(body, workers=2, silence=60.0, models=("m",), ready=True, **settings):
    """Run ``body(pool)`` with live workers, in a bounded time, and see that all is gone after."""

    async def run():
        told = ServiceSettings(models=dict.fromkeys(models, "."), workers=workers, **settings)
        pool = Pool(told, COMMAND, silence)
        await pool.start()
        try:
            async with asyncio.timeout(50):
                if ready:
                    assert await pool.wait_ready(40), pool.fault
                    while ready and pool.counts["workers_ready"] < workers:
                        await asyncio.sleep(0.02)
                return await body(pool)
        finally:
            await pool.drain(0)
            assert pool.processes == [] and not pool.counts["running"]

    before = len(os.listdir("/proc/self/fd"))
    made = asyncio.run(run())
    for _ in range(40):  # what a busy machine closes late
        if len(os.listdir("/proc/self/fd")) <= before + 2:
            break
        gc.collect()
        time.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # those of a first event loop stay
    return made


async def transcribed(pool, descriptor, **job):
    """All events of one recording; the descriptor is closed."""
    try:
        with pool.admit() as ticket:
            told = Job(id="x", model="m", **job)
            return [event async for event in ticket.run(told, descriptor)]
    finally:
        os.close(descriptor)


def test_events_come_in_order_and_the_transcript_last():
    async def body(pool):
        return await transcribed(pool, recording(50.0), language="eng")

    *partials, done = with_pool(body, workers=1)
    assert isinstance(done, Done) and done.duration == 50.0 and done.model == "m"
    assert done.transcript["hypotheses"][0]["text"].endswith("w50 eng")
    assert all(isinstance(event, Partial) and event.duration == 50.0 for event in partials)
    words = [word["text"] for event in partials for word in event.words]
    assert " ".join(words) == partials[-1].text.removesuffix(" eng") and len(words) > 1


def test_many_at_once_are_all_answered_and_leave_nothing_open():
    async def body(pool):
        seconds = [0.5 + number % 7 for number in range(60)]
        made = await asyncio.gather(*(transcribed(pool, recording(s)) for s in seconds))
        assert [events[-1].duration for events in made] == seconds
        assert pool.counts["admitted"] == pool.counts["waiting"] == 0
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pool.processes]

    assert max(with_pool(body)) < 16


def test_a_short_recording_does_not_wait_for_a_long_one(monkeypatch):
    monkeypatch.setenv("SLOW_STEPS", "0.05")

    async def body(pool):
        ends = {}

        async def timed(name, seconds):
            events = await transcribed(pool, recording(seconds))
            ends[name] = time.monotonic(), events[-1].duration

        long = [asyncio.create_task(timed(f"long {n}", 300.0)) for n in range(3)]
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await asyncio.gather(*(timed(f"short {n}", 5.0) for n in range(4)))
        waited = max(at for name, (at, _) in ends.items() if "short" in name) - began
        assert not any("long" in name for name in ends)
        await asyncio.gather(*long)
        return waited, {seconds for _, seconds in ends.values()}

    waited, seconds = with_pool(body, workers=1)
    assert waited < 3 and seconds == {5.0, 300.0}


def test_a_full_queue_says_when_to_come_back():
    async def body(pool):
        tickets = [pool.admit() for _ in range(3)]
        with pytest.raises(Busy) as busy:
            pool.admit()
        assert 1 <= busy.value.retry_after <= 60
        tickets[0].release()
        pool.admit().release()

    with_pool(body, workers=1, max_queue=3)


def test_a_recording_that_crashes_its_workers_is_told_of_as_unreadable():
    async def body(pool):
        bad, good = await asyncio.gather(
            transcribed(pool, recording(1.0, CRASH)),
            asyncio.gather(*(transcribed(pool, recording(2.0)) for _ in range(12))),
        )
        assert [events[-1].duration for events in good] == [2.0] * 12
        assert pool.num_restarts == 2
        return bad[-1]

    end = with_pool(body)
    assert isinstance(end, Failed) and (end.status, end.code) == (400, "invalid_audio")


@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_worker_costs_nothing_but_time(workers, monkeypatch):
    monkeypatch.setenv("SLOW_STEPS", "0.1")

    async def body(pool):
        jobs = [asyncio.create_task(transcribed(pool, recording(3.0 + n))) for n in range(30)]
        for _ in range(3):
            await asyncio.sleep(0.2)
            while pool.counts["workers_ready"] < 1:
                await asyncio.sleep(0.02)
            os.kill(pool.processes[0], signal.SIGKILL)
        return await asyncio.gather(*jobs)

    made = with_pool(body, workers=workers)
    assert [events[-1].duration for events in made] == [3.0 + n for n in range(30)]
    for *partials, done in made:  # and no word is told twice
        words = [word["text"] for event in partials for word in event.words]
        assert words == done.transcript["hypotheses"][0]["text"].split()


@pytest.mark.parametrize(("is_memory", "tries"), [(True, 2), (False, 4)])
def test_one_whose_workers_are_killed_is_not_tried_for_ever(monkeypatch, is_memory, tries):
    """By the kernel, for want of memory, or by somebody unknown, who is given more chances."""
    kills = itertools.count()
    monkeypatch.setattr(worker_process, "_oom_kills", lambda: next(kills) if is_memory else 0)
    monkeypatch.setattr(pool_module, "MOST_KILLS", 4)

    async def body(pool):
        end = (await transcribed(pool, recording(1.0, KILL)))[-1]
        return end.status, pool.num_restarts

    status, num_restarts = with_pool(body, workers=1)
    assert status == 400 and tries - 1 <= num_restarts <= tries


def test_a_worker_that_hangs_is_ended_and_the_recording_told_of():
    async def body(pool):
        bad, good = await asyncio.gather(
            transcribed(pool, recording(1.0, HANG)), transcribed(pool, recording(2.0))
        )
        return bad[-1], good[-1]

    bad, good = with_pool(body, silence=0.6)
    assert bad.status == 400 and good.duration == 2.0


def test_a_client_that_leaves_frees_its_worker(monkeypatch):
    monkeypatch.setenv("SLOW_STEPS", "0.05")

    async def body(pool):
        leaver = asyncio.create_task(transcribed(pool, recording(500.0)))
        queued = [asyncio.create_task(transcribed(pool, recording(500.0))) for _ in range(3)]
        while not pool.counts["running"]:
            await asyncio.sleep(0.01)
        for task in (leaver, *queued):
            task.cancel()
        await asyncio.gather(leaver, *queued, return_exceptions=True)
        assert pool.counts["running"] == pool.counts["waiting"] == pool.counts["admitted"] == 0
        began = time.monotonic()
        assert (await transcribed(pool, recording(1.0)))[-1].duration == 1.0
        return time.monotonic() - began, len(os.listdir(f"/proc/{pool.processes[0]}/fd"))

    waited, num_open = with_pool(body, workers=1)
    assert waited < 2 and num_open < 14


def test_clients_that_come_and_leave_do_not_flood_a_worker_that_is_at_work(monkeypatch):
    monkeypatch.setenv("SLOW_STEPS", "1.0")

    async def body(pool):
        stays = asyncio.create_task(transcribed(pool, recording(20.0)))
        while not pool.counts["running"]:
            await asyncio.sleep(0.01)
        descriptor = recording(1.0)
        for number in range(2000):
            with pool.admit() as ticket:
                events = ticket.run(Job(id=str(number), model="m"), descriptor)
                leaver = asyncio.create_task(anext(events))
                await asyncio.sleep(0)
                leaver.cancel()
                await asyncio.gather(leaver, return_exceptions=True)
        os.close(descriptor)
        assert pool.num_restarts == 0
        assert (await transcribed(pool, recording(1.0)))[-1].duration == 1.0
        return (await stays)[-1]

    assert with_pool(body, workers=1).duration == 20.0


def test_a_drain_lets_those_that_are_in_finish_and_nobody_else_in():
    async def body(pool):
        inside = asyncio.create_task(transcribed(pool, recording(2.0, SLOW)))
        await asyncio.sleep(0.1)
        draining = asyncio.create_task(pool.drain(20))
        await asyncio.sleep(0.05)
        with pytest.raises(Draining):
            pool.admit()
        assert not pool.ready
        return (await inside)[-1], await draining

    end, was_clean = with_pool(body)
    assert end.duration == 2.0 and was_clean


def test_a_drain_ends_in_time_and_tells_those_that_are_left():
    async def body(pool):
        inside = asyncio.create_task(transcribed(pool, recording(2.0, HANG)))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        was_clean = await pool.drain(0.3)
        return (await inside)[-1], was_clean, time.monotonic() - began

    end, was_clean, seconds = with_pool(body)
    assert (end.status, end.code) == (503, "draining") and not was_clean and seconds < 3


@pytest.mark.parametrize(
    ("model", "said"), [("broken", "altered"), ("huge", "SIGKILL, perhaps out of memory")]
)
def test_a_model_that_cannot_be_loaded_is_told_of(model, said):
    async def body(pool):
        assert not await pool.wait_ready(20)
        return pool.fault

    assert said in with_pool(body, models=(model,), ready=False)


def test_workers_end_when_the_front_is_killed(tmp_path):
    import subprocess

    program = (
        "import asyncio, os, signal\n"
        "from tests.serving.test_pool import *\n"
        "async def main():\n"
        "    pool = Pool(ServiceSettings(models={'m': '.'}, workers=2), COMMAND)\n"
        "    await pool.start()\n"
        "    await pool.wait_ready()\n"
        "    asyncio.create_task(transcribed(pool, recording(1.0, HANG)))\n"
        "    await asyncio.sleep(.2)\n"
        "    print(*pool.processes, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    pids = [int(word) for word in done.stdout.split()]
    assert pids, done.stderr[-500:]
    until = time.monotonic() + 10
    while any(is_alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_alive(pid) for pid in pids)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
