"""How long after the last sound the service answers, with several people speaking at once.

    benchmarks/bench_live_service.py FOLDER DATA [--speakers 1 4 8] [--seconds 10]

Each sends utterances of a dumped set in pieces of 100 ms, as fast as they are said, and commits;
told are the milliseconds from the commit to ``completed`` (median, 95th per cent), the processors
that all workers take together, and the front's memory.  Traffic goes to 127.0.0.1 alone, to a
service of its own, and ends by itself.
"""

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import psutil
import websockets

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.bench_live import PIECE, Recording, utterances

RATE = 16000
COMPLETED = "conversation.item.input_audio_transcription.completed"
SESSION = {"type": "transcription", "audio": {"input": {
    "format": {"type": "audio/pcm", "rate": RATE}, "turn_detection": None}}}  # fmt: skip


@contextlib.contextmanager
def service(folder: str) -> Iterator[tuple[int, psutil.Process]]:
    """Its port and its front, once the model is loaded."""
    process = subprocess.Popen(
        [sys.executable, "-m", "asr_dro_plugin.bin.main", "serve", folder, "--port", "0",
         "--workers", "1", "--live_sessions", "64", "--log_level", "error"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        port = int(process.stdout.readline().split()[2].rpartition(":")[2])
        process.stdout.readline()
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


async def speaker(port: int, speech: Sequence[Recording], seconds: float) -> list[float]:
    """Seconds from each commit to its text."""
    waits, begin = [], time.monotonic()
    async with websockets.connect(f"ws://127.0.0.1:{port}/v1/realtime") as connection:
        await connection.send(json.dumps({"type": "session.update", "session": SESSION}))
        for recording in itertools.cycle(speech):
            await speak(connection, recording.samples)
            committed = time.monotonic()
            await connection.send(json.dumps({"type": "input_audio_buffer.commit"}))
            while json.loads(await connection.recv())["type"] != COMPLETED:
                pass
            waits.append(time.monotonic() - committed)
            if time.monotonic() - begin > seconds:
                return waits


async def speak(connection: websockets.ClientConnection, samples: np.ndarray) -> None:
    """A piece each ``PIECE`` seconds, by the clock."""
    data = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2").tobytes()
    size, begin = round(PIECE * RATE) * 2, time.monotonic()
    for number, start in enumerate(range(0, len(data), size), 1):
        audio = base64.b64encode(data[start : start + size]).decode()
        await asyncio.sleep(max(0.0, begin + number * PIECE - time.monotonic()))
        await connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))


def busy(front: psutil.Process) -> float:
    """Seconds that the workers have computed."""
    return sum(sum(child.cpu_times()[:2]) for child in front.children())


async def measured(port: int, front: psutil.Process, speech: list, num: int, seconds: float) -> str:
    """A line of the table."""
    begin, before = time.monotonic(), busy(front)
    parts = [speech[number::num] for number in range(num)]
    waits = await asyncio.gather(*(speaker(port, part, seconds) for part in parts))
    took = time.monotonic() - begin
    ms = sorted(1000 * wait for each in waits for wait in each)
    middle, late = median(ms), ms[int(0.95 * (len(ms) - 1))]
    computed, memory = (busy(front) - before) / took, front.memory_info().rss / 1e6
    return f"| {num} | {middle:.0f} / {late:.0f} | {computed:.2f} | {memory:.0f} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="an exported model")
    parser.add_argument("data", type=Path, help="a dumped set: wav.scp, text")
    parser.add_argument("--speakers", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--seconds", type=float, default=15.0)
    args = parser.parse_args(argv)
    speech = [each for each in utterances(args.data) if len(each.samples) < 6 * RATE]
    print("| speakers | ms from commit to text | processors | front, MB |\n|---|---|---|---|")
    with service(args.folder) as (port, front):
        for num in args.speakers:
            print(asyncio.run(measured(port, front, speech, num, args.seconds)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
