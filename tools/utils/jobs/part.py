"""Run one part of a job: its log, its environment, its end.

Every part runs under a process of its own, `python part.py`, on this machine or on a cluster's
node.  It outlives no one: when the runner above it dies, by whatever signal, it ends all that the
part has started, also what has left the part's process group.
"""

import ctypes
import datetime
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
SAVED = 75  # EX_TEMPFAIL: stopped, with everything saved
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2)  # to the command, which knows what they mean
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def prctl(option, value):
    """Linux's prctl, best effort: elsewhere it does nothing."""
    try:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    except (OSError, AttributeError):
        pass


def parents():
    """Process id -> parent's id, of everything that runs on this machine."""
    table = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stream:
                    table[int(name)] = int(stream.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue  # it ended meanwhile
    return table


def descendants(root):
    """Ids of the processes below ``root``."""
    table, found = parents(), {root}
    while True:
        more = {pid for pid, parent in table.items() if parent in found} - found
        if not more:
            return found - {root}
        found |= more


def signal_all(number):
    """Send a signal to every process below this one; whether there was any."""
    below = descendants(os.getpid())
    for pid in below:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass
    return bool(below)


def reap(codes):
    """Note the exit codes of the children that have ended, by id; whether any are left."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        codes[pid] = exit_code(status)


def exit_code(status):
    """A wait status as the shell counts it: 128 + n for signal n."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


class Part:
    """One part: ``spec`` holds log, command, num_threads, grace (s), cwd and perhaps exit_file."""

    def __init__(self, spec):
        self.spec = spec
        self.stopped_by = 0
        self.hurry = False
        self.codes = {}  # of what has ended below, by process id

    def stop(self, number, _frame):
        """Signal handler: the first asks the part to end, the second insists."""
        self.hurry = bool(self.stopped_by)
        self.stopped_by = self.stopped_by or number

    def run(self):
        """Run the command to its end; returns its exit code."""
        for number in STOP_SIGNALS:
            signal.signal(number, self.stop)
        for number in PASSED_ON:
            signal.signal(number, lambda number, _frame: signal_all(number))
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        started = time.time()
        os.makedirs(os.path.dirname(self.spec["log"]) or ".", exist_ok=True)
        if os.path.exists(self.spec["log"]):
            os.replace(self.spec["log"], self.spec["log"] + ".1")
        with open(self.spec["log"], "a", encoding="utf-8") as log:
            command = " ".join(shlex.quote(word) for word in self.spec["command"])
            log.write(f"# {socket.gethostname()}, {now()}, {command}\n")
            log.flush()
            code = self.run_command(log)
            seconds = time.time() - started
            log.write(f"# Ended (code {code}) at {now()}, elapsed {seconds:.0f} s\n")
        if self.spec.get("exit_file"):
            write_atomically(self.spec["exit_file"], str(code))
        return code

    def run_command(self, log):
        """Start the command and wait for it, or for a signal."""
        try:
            child = subprocess.Popen(
                self.spec["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment(), start_new_session=True,
                preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
            )  # fmt: skip
        except OSError as error:
            log.write(f"{self.spec['command'][0]} cannot be started: {error.strerror}\n")
            log.flush()
            return 127
        code = self.wait(child.pid)
        child.returncode = code  # already reaped here: keeps Popen from waiting again
        self.end_descendants()
        if self.stopped_by:
            return SAVED if self.codes.get(child.pid) == SAVED else 128 + self.stopped_by
        return code

    def wait(self, pid):
        """Exit code of ``pid``; when this process is told to stop, does not wait any longer."""
        pause = 0.005
        while not self.stopped_by:
            reap(self.codes)
            if pid in self.codes:
                return self.codes[pid]
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)
        return 0

    def end_descendants(self):
        """Terminate all that is left below; kill it after the grace, or when told a second time."""
        deadline = time.monotonic() + self.spec["grace"]
        number = signal.SIGTERM
        while signal_all(number):
            reap(self.codes)
            late = self.hurry or time.monotonic() > deadline
            number = signal.SIGKILL if late else 0  # TERM is said once
            time.sleep(0.02)

    def environment(self):
        """The part's environment: threads as granted, and where to write its progress."""
        env = dict(os.environ, ASR_DRO_PROGRESS_FILE=self.spec["log"] + ".progress")
        env.update((name, str(self.spec["num_threads"])) for name in THREAD_VARIABLES)
        return env


def now():
    """Local date and time to the second."""
    return datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")


def write_atomically(path, content):
    """Write a small text file that is either whole or absent."""
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(content)
    os.replace(temporary, path)


def main():
    """`part.py - PARENT` reads the part from stdin; `part.py SPEC INDEX` picks it from a file."""
    source, argument = sys.argv[1:3]
    if source == "-":
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        spec = json.load(sys.stdin)
        if os.getppid() != int(argument):
            return 1  # the runner died before it could be watched
    else:
        with open(source, encoding="utf-8") as stream:
            spec = json.load(stream)[argument]
        os.chdir(spec["cwd"])
    return Part(spec).run()


if __name__ == "__main__":
    sys.exit(main())
