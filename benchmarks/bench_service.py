"""The service under load, beside the bare model in the same run; on 127.0.0.1, and over by itself.

    python benchmarks/bench_service.py [MODEL] [--audio DIR] [--only latency throughput ...]

MODEL is an exported folder; without one a network of 76 MB with random weights is exported.
Without --audio noise in syllables is transcribed.  "Bare" is onnxruntime with one thread and our
decoder, in a loop, on samples that are in memory already.
"""

import argparse
import asyncio
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.serving.clients import get, patient, post  # noqa: E402
from tests.serving.fronts import megabytes_of, serving  # noqa: E402

SECONDS = 12.0  # of each measurement of throughput
HIDDEN = 602  # of the network that is made here: 76 MB


def made_speech(seconds: float, seed: int) -> bytes:
    """A WAV file of noise in syllables; what has no sound would be answered without the model."""
    rng, num = np.random.default_rng(seed), round(seconds * 16000)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(num) / 16000)
    content = io.BytesIO()
    soundfile.write(content, 0.1 * syllables * rng.standard_normal(num), 16000, format="WAV")
    return content.getvalue()


class Bare:
    """onnxruntime and the decoder."""

    def __init__(self, model: str) -> None:
        import onnxruntime

        from asr_dro_plugin.decoding.greedy import speller
        from asr_dro_plugin.runtime import Recogniser

        self._own = Recogniser(model)
        manifest = self._own.manifest
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        graph = Path(model) / manifest.precisions[manifest.default_precision]["file"]
        self._session = onnxruntime.InferenceSession(graph, options)
        self._spell = speller(self._own.model.tokens, self._own.model.token_type)

    def __call__(self, samples: np.ndarray) -> str:
        from asr_dro_plugin.emissions import Emission

        manifest = self._own.manifest
        inputs = {
            manifest.inputs["speech"]: samples[None],
            manifest.inputs["lengths"]: np.array([len(samples)]),
        }
        wanted = [manifest.outputs[role] for role in ("log_probs", "lengths")]
        found = self._session.run(wanted, inputs)
        own = self._own.model
        emission = Emission(*found, own.frame_shift, own.blank_id, own.tokens)
        return self._spell(self._own.decoder(emission, [None])[0][0].ids)


def bare_loop(model: str, clip: str, seconds: float) -> None:
    """Print how many times the bare model transcribes a clip in so many seconds."""
    samples, bare = _samples(clip), Bare(model)
    bare(samples)
    print("ready", flush=True)
    sys.stdin.readline()
    count, began = 0, time.monotonic()
    while time.monotonic() < began + seconds:
        bare(samples)
        count += 1
    print(count / (time.monotonic() - began))


def _samples(clip: str) -> np.ndarray:
    from asr_dro_plugin.audio.files import read

    return read(clip)[0]


def latency(model: str, clips: list[bytes], folder: Path) -> None:
    """One client, 30 s of speech."""
    (folder / "clip.wav").write_bytes(clips[0])
    bare, samples = Bare(model), _samples(folder / "clip.wav")
    ours, theirs = [], []
    with serving(model, workers=1) as service:
        for number in range(65):
            began = time.monotonic()
            bare(samples)
            ended = time.monotonic()
            answer = asyncio.run(post(service.port, clips[0]))
            assert answer.status == 200
            if number >= 5:
                theirs.append(ended - began)
                ours.append(answer.seconds)
    raw, own = (np.percentile(each, 95) for each in (theirs, ours))
    limit = 1.05 * raw + 0.015
    print(f"latency: p95 {1000 * own:.1f} ms, bare {1000 * raw:.1f} ms; {own / limit:.2f} of the "
          f"limit (1.05 x bare + 15 ms); medians {1000 * np.median(ours):.1f} and "
          f"{1000 * np.median(theirs):.1f} ms")  # fmt: skip


def throughput(model: str, clips: list[bytes], folder: Path) -> None:
    """Two workers against two bare loops, by turns."""
    (folder / "clip.wav").write_bytes(clips[0])
    ours, theirs = [], []
    with serving(model, workers=2) as service:
        for _ in range(2):
            theirs.append(_two_loops(model, folder / "clip.wav"))
            ours.append(asyncio.run(_rate(service.port, clips[0])))
    print(f"throughput: {max(ours):.1f} clips/s of 30 s with two workers, {max(theirs):.1f} of two "
          f"bare loops; ratio {sum(ours) / sum(theirs):.2f} (to reach .90)")  # fmt: skip


def _two_loops(model: str, clip: Path) -> float:
    command = [sys.executable, __file__, model, "--bare_loop", str(clip)]
    loops = [subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
             for _ in range(2)]  # fmt: skip
    for loop in loops:
        loop.stdout.readline()
    return sum(float(each) for each in [loop.communicate("\n")[0] for loop in _all_begun(loops)])


def _all_begun(loops):
    for loop in loops:
        loop.stdin.write("\n")
        loop.stdin.flush()
    return loops


async def _rate(port: int, clip: bytes, clients: int = 6) -> float:
    count, began = 0, time.monotonic()

    async def client() -> None:
        nonlocal count
        while time.monotonic() < began + SECONDS:
            assert (await post(port, clip)).status == 200
            count += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    return count / (time.monotonic() - began)


def uploads(model: str, clips: list[bytes], folder: Path) -> None:
    """Two hundred at once: all answered, the front small and awake."""
    with serving(model, workers=2) as service:
        asyncio.run(post(service.port, clips[0]))
        idle = megabytes_of(service.process.pid)
        command = [sys.executable, __file__, "--poll", str(service.port)]
        poll = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        poll.stdout.readline()
        answers = asyncio.run(_at_once(service.port, list(islice(cycle(clips), 200))))
        waits = json.loads(poll.communicate("\n")[0])
        peak = megabytes_of(service.process.pid, "VmHWM")
    good = sum(answer.status == 200 for answer in answers)
    print(f"uploads: {good} of 200 at once answered; front {peak - idle} MB above idle (at most "
          f"96); /healthz p99 {1000 * np.percentile(waits, 99):.0f} ms of {len(waits)} "
          f"(at most 250)")  # fmt: skip


async def _at_once(port: int, clips: list[bytes], client=post) -> list:
    return await asyncio.gather(*(client(port, clip) for clip in clips))


def poll_health(port: int) -> None:
    """Print the seconds of every ``/healthz``, until told to stop."""
    import threading

    stop, waits = threading.Event(), []
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    print("ready", flush=True)
    until = time.monotonic() + 300
    while not stop.is_set() and time.monotonic() < until:
        waits.append(asyncio.run(get(port, "/healthz")).seconds)
        time.sleep(0.01)
    print(json.dumps(waits))


def patience(model: str, clips: list[bytes], folder: Path) -> None:
    """A queue of 20, 200 clients that honour Retry-After: the serial run's texts."""
    with serving(model, workers=2, max_queue=20) as service:
        serial = [asyncio.run(post(service.port, clip)).json["text"] for clip in clips]
        began = time.monotonic()
        answers = asyncio.run(_at_once(service.port, list(islice(cycle(clips), 200)), patient))
        seconds = time.monotonic() - began
    same = sum(answer.status == 200 and answer.json["text"] == text
               for answer, text in zip(answers, cycle(serial), strict=False))  # fmt: skip
    print(f"patience: {same} of 200 texts are the serial run's, through a queue of 20, "
          f"in {seconds:.0f} s")  # fmt: skip


def flat(model: str, clips: list[bytes], folder: Path) -> None:
    """Two thousand requests of all lengths: memory and descriptors."""
    rng = random.Random(0)
    sizes = [rng.uniform(0.3, 30) for _ in range(2000)]
    seen = {}
    with serving(model, workers=2) as service:
        for first in range(0, 2000, 200):
            cut = [_cut(rng.choice(clips), size) for size in sizes[first : first + 200]]
            answers = asyncio.run(_by_few(service.port, cut))
            assert all(answer.status == 200 for answer in answers)
            seen[first + 200] = service.megabytes(), service.num_open()
    for number in (200, 400, 1000, 2000):
        print(f"flat: after {number} requests MB of front and workers {seen[number][0]}, "
              f"descriptors {seen[number][1]}")  # fmt: skip


def _cut(clip: bytes, seconds: float) -> bytes:
    """The beginning of a WAV clip at 16 kHz, as a WAV of its own."""
    import io

    import soundfile

    samples, rate = soundfile.read(io.BytesIO(clip), dtype="int16")
    out = io.BytesIO()
    soundfile.write(out, samples[: round(seconds * rate)], rate, format="WAV")
    return out.getvalue()


async def _by_few(port: int, clips: list[bytes], most: int = 8) -> list:
    gate = asyncio.Semaphore(most)

    async def one(clip: bytes):
        async with gate:
            return await post(port, clip)

    return await asyncio.gather(*map(one, clips))


def kills(model: str, clips: list[bytes], folder: Path) -> None:
    """Fifty workers killed under load: every answer whole and the same."""
    with serving(model, workers=2) as service:
        texts = {clip: asyncio.run(post(service.port, clip)).json["text"] for clip in clips}
        before = service.num_open()[0]
        answers, killed = asyncio.run(_killing(service, clips))
        more = service.num_open()[0] - before
        code, _, _ = service.stop()
    wrong = [answer for clip, answer in answers
             if answer.status != 200 or answer.json["text"] != texts[clip]]  # fmt: skip
    print(f"kills: {killed} workers killed, {len(answers)} answers, {len(wrong)} not as without "
          f"({sorted({a.status for a in wrong})}); {more} more descriptors in the front; exit code "
          f"{code}")  # fmt: skip


async def _killing(service, clips: list[bytes], most: int = 50):
    killed, answers, rng, is_over = 0, [], random.Random(0), False

    async def client(number: int) -> None:
        for clip in islice(cycle(clips), number, None):
            if is_over:
                return
            answers.append((clip, await post(service.port, clip)))

    clients = [asyncio.create_task(client(number)) for number in range(6)]
    until = time.monotonic() + 240
    while killed < most and time.monotonic() < until:
        await asyncio.sleep(rng.uniform(0.1, 0.8))
        page = (await get(service.port, "/metrics")).body.decode()
        if "asr_dro_pool_workers_ready 2.0" in page:
            os.kill(rng.choice(service.workers()), signal.SIGKILL)
            killed += 1
    is_over = True
    await asyncio.gather(*clients)
    return answers, killed


def drains(model: str, clips: list[bytes], folder: Path) -> None:
    """SIGTERM under load, twenty times: what was let in is answered, then exit code 0."""
    clean, answered, refused = 0, 0, 0
    for _ in range(20):
        with serving(model, workers=2, max_queue=16) as service:
            statuses = asyncio.run(_draining(service, clips))
            service.process.wait(40)
            clean += service.process.returncode == 0 and set(statuses) <= {200, 503}
            answered += statuses.count(200)
            refused += statuses.count(503)
    print(f"drains: {clean} of 20 clean; {answered} answered, {refused} sent away with 503")


async def _draining(service, clips: list[bytes]) -> list[int]:
    """Statuses of all that came before the end; 0 is one that was begun before and cut off."""
    statuses: list[int] = []
    told = False

    async def client(number: int) -> None:
        for clip in islice(cycle(clips), number, None):
            was_told = told
            try:
                statuses.append((await post(service.port, clip)).status)
            except (ConnectionError, asyncio.IncompleteReadError):
                statuses.extend([] if was_told else [0])
                return  # the service is gone
            if statuses[-1] == 503:
                await asyncio.sleep(0.05)

    clients = [asyncio.create_task(client(number)) for number in range(6)]
    await asyncio.sleep(0.5)
    service.process.send_signal(signal.SIGTERM)
    told = True
    await asyncio.gather(*clients)
    return statuses


def hours(model: str, clips: list[bytes], folder: Path) -> None:
    """Two hours beside two minutes: the worker's memory; and short recordings meanwhile."""
    import io

    import soundfile

    speech = [soundfile.read(io.BytesIO(clip), dtype="float32")[0] for clip in clips]
    recordings = []
    for number in (4, 240):
        path = folder / f"{number}.flac"
        with soundfile.SoundFile(path, "w", samplerate=16000, channels=1) as file:
            for samples in islice(cycle(speech), number):
                file.write(samples)
        recordings.append(path.read_bytes())
    with serving(model, workers=1) as service:
        peaks = []
        for recording in recordings:
            answer, waits = asyncio.run(_beside(service.port, recording, _cut(clips[0], 3.0)))
            assert answer.status == 200
            peaks.append(megabytes_of(service.workers()[0], "VmHWM"))
    print(f"hours: two hours take the worker {peaks[1] - peaks[0]} MB more than two minutes (at "
          f"most 32), {answer.seconds:.0f} s; 3 s of speech meanwhile p95 "
          f"{1000 * np.percentile(waits, 95):.0f} ms of {len(waits)}")  # fmt: skip


async def _beside(port: int, long: bytes, short: bytes) -> tuple:
    waits: list[float] = []
    task = asyncio.create_task(post(port, long))
    while not task.done():
        waits.append((await post(port, short)).seconds)
        await asyncio.sleep(0.1)
    return await task, waits


def cold(model: str, clips: list[bytes], folder: Path) -> None:
    """From the command to ready."""
    size = sum(path.stat().st_size for path in Path(model).rglob("*.onnx*")) / 1e6
    waits = []
    for _ in range(3):
        began = time.monotonic()
        with serving(model, workers=1):
            waits.append(time.monotonic() - began)
    print(f"cold: ready after {min(waits):.2f} to {max(waits):.2f} s with a model of {size:.0f} MB "
          "(at most 2.5 s)")  # fmt: skip


PARTS = {
    each.__name__: each
    for each in (latency, throughput, uploads, patience, flat, kills, drains, hours, cold)
}


def random_model(folder: Path) -> str:
    """An exported network of 76 MB."""
    from tests.export.onnx.exps import write_exp

    conf = {"hidden_size": HIDDEN, "num_blocks": 6, "kernel_size": 7, "strides": [2, 2]}
    exp = write_exp(folder / "exp", {"encoder": "conv_ctc", "encoder_conf": conf,
                                     "frontend": "default", "normalize": "utterance_mvn",
                                     "decoder": "none"})  # fmt: skip
    command = [sys.executable, "-m", "asr_dro_plugin.bin.main", "export", str(exp)]
    command += ["--to", "onnx", "--out", str(folder / "model")]
    subprocess.run(command, check=True, capture_output=True)
    return str(folder / "model")


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--audio", help="a folder of WAV files of 30 s at 16 kHz")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--bare_loop", help=argparse.SUPPRESS)
    parser.add_argument("--poll", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.bare_loop:
        return bare_loop(args.model, args.bare_loop, SECONDS)
    if args.poll:
        return poll_health(args.poll)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [path.read_bytes() for path in sorted(Path(args.audio).glob("*.wav"))] if (
            args.audio) else [made_speech(30.0, n) for n in range(8)]  # fmt: skip
        model = args.model or random_model(folder)
        for part in args.only:
            PARTS[part](model, clips, folder)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
