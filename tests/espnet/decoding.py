"""Decoding the toy sets, for the tests of stage 12."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Decodes as stage 12 does, and stands still after a number of batches.
STANDING_STILL = """
import sys, time
from asr_dro_plugin.transcribing.transcriber import Transcriber
from asr_dro_plugin.bin import decode

real, left = Transcriber.__call__, [int(sys.argv[1])]

def transcribe(*args):
    if left[0] == 0:
        print("standing still", flush=True)
        time.sleep(600)
    left[0] -= 1
    return real(*args)

Transcriber.__call__ = transcribe
decode.main(sys.argv[2:])
"""


def words(exp: Path, data: Path, out: Path, seconds: float = 3.0) -> list[str]:
    """Arguments of ``bin.decode``, greedy with batches of so many padded seconds."""
    config = out.parent / f"{out.name}.yaml"
    config.write_text(f"mode: greedy\nbatch_duration: {seconds}\n")
    given = {"exp": exp, "config": config, "data_dir": data, "out_dir": out}
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def killed_after(batches: int, arguments: list[str]) -> None:
    """Decode in a process of its own that gets SIGKILL after so many batches."""
    process = subprocess.Popen(
        [sys.executable, "-c", STANDING_STILL, str(batches), *arguments], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
    finally:
        process.kill()
        _, errors = process.communicate()
    assert line == "standing still\n", errors
