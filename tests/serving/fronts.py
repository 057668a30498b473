"""A whole service as a process of its own: uvicorn, the routes, the pool; its workers stand in."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile

import numpy as np
import soundfile

from asr_dro_plugin.errors import run_main
from asr_dro_plugin.serving.pool import Pool
from asr_dro_plugin.serving.server import run
from asr_dro_plugin.serving.settings import ServiceSettings

STAND_IN = (sys.executable, "-m", "tests.serving.stand_in")


def wav(seconds=25.0, level=0.01, rate=16000):
    """The bytes of a recording; its level tells the stand-in what to do."""
    content = io.BytesIO()
    soundfile.write(content, np.full(round(seconds * rate), level, np.float32), rate, format="WAV")
    return content.getvalue()


class Front:
    """A service that was started.

    Attributes:
        url: its address.
        process: the front's process; the workers are its children.
    """

    def __init__(self, process, log):
        self.process, self._log = process, log
        first = process.stdout.readline()
        assert first.startswith("asr-dro serve: http"), self.log
        self.url = first.split()[2]
        self.port = int(self.url.rpartition(":")[2])

    def wait_ready(self):
        assert "ready after" in self.process.stdout.readline()
        return self

    def workers(self):
        """Ids of its workers' processes."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path, encoding="ascii") as file:
            return [int(word) for word in file.read().split()]

    def megabytes(self):
        """Memory of the front and of each worker, 2^20 bytes."""
        return [megabytes_of(pid) for pid in (self.process.pid, *self.workers())]

    def num_open(self):
        """Open descriptors of the front and of each worker."""
        pids = (self.process.pid, *self.workers())
        return [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]

    def stop(self, number=signal.SIGTERM, seconds=20):
        """(exit code, rest of stdout, the log)."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, self.log

    @property
    def log(self):
        """All that it has logged."""
        self._log.seek(0)
        return self._log.read()


def megabytes_of(pid, kind="VmRSS"):
    """Memory of a process, 2^20 bytes; ``VmHWM`` is the most it ever had."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(kind)) // 1024


def front(ready=True, environment=None, **settings):
    """A service with these settings, at a free port, gone behind the block; workers stand in."""
    settings = {"models": {"m": "."}, "port": 0, "workers": 1, **settings}
    command = [sys.executable, "-m", "tests.serving.fronts", json.dumps(settings)]
    return _started(command, ready, environment)


def serving(model, ready=True, environment=None, **options):
    """``asr-dro serve`` of an exported model."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "asr_dro_plugin.bin.main", "serve", str(model), "--port", "0"]
    return _started([*command, *words], ready, environment)


@contextlib.contextmanager
def _started(command, ready, environment):
    with tempfile.TemporaryFile("w+") as log:  # a pipe that nobody reads would stop it
        process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=log,
                                   env={**os.environ, **(environment or {})})  # fmt: skip
        try:
            made = Front(process, log)
            yield made.wait_ready() if ready else made
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


def main():
    told = json.loads(sys.argv[1])
    told["origins"] = tuple(told.get("origins", ()))
    settings = ServiceSettings(**told)
    return run(settings, lambda line: print(line, flush=True), lambda told: Pool(told, STAND_IN))


if __name__ == "__main__":
    run_main(main)
