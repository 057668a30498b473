"""Parts on this machine, at most so many at once."""

import json
import os
import signal
import subprocess
import sys
import time

PART = os.path.join(os.path.dirname(os.path.abspath(__file__)), "part.py")


class LocalBackend:
    """Starts parts, watches them, ends them.

    Args:
        parts: the specifications, see ``part.Part``.
        max_jobs_run: how many may run at once.
    """

    def __init__(self, parts, max_jobs_run):
        self.parts = parts
        self.waiting = list(enumerate(parts))[::-1]
        self.max_jobs_run = max_jobs_run
        self.running = {}
        self.codes = {}

    def poll(self):
        """Start what may start, note what has ended; whether anything is left to wait for."""
        for index, process in list(self.running.items()):
            if process.poll() is not None:
                del self.running[index]
                code = process.returncode
                self.codes[index] = 128 - code if code < 0 else code
        while self.waiting and len(self.running) < self.max_jobs_run and not self.failed:
            index, spec = self.waiting.pop()
            self.running[index] = self.start(spec)
        return bool(self.running)

    @property
    def failed(self):
        """Whether a part has failed: then no further ones are started, the running ones end."""
        return any(self.codes.values())

    def start(self, spec):
        """Start one part's process, in a session of its own: Ctrl-C reaches the runner alone."""
        process = subprocess.Popen(
            [sys.executable, PART, "-", str(os.getpid())],
            stdin=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            process.stdin.write(json.dumps(spec).encode())
            process.stdin.close()
        except BrokenPipeError:
            pass  # it was killed at once; its exit code tells
        return process

    def stop(self, hurry):
        """End every part and wait until it has ended, killing at the last."""
        self.waiting.clear()
        grace = max((part["grace"] for part in self.parts), default=0.0)
        deadline = time.monotonic() + max(60, grace + 10)
        self.signal(signal.SIGTERM)
        while self.poll():
            time.sleep(0.02)
            if hurry():
                self.signal(signal.SIGTERM)  # the second one insists
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)

    def signal(self, number):
        """Send a signal to each running part's process."""
        for process in self.running.values():
            process.send_signal(number)

    def reason(self, _index):
        """Why a part failed, beyond its exit code: nothing is known here."""
        return ""

    def clean_up(self):
        """Nothing is left behind."""
