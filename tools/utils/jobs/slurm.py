"""Parts as one Slurm job (an array for several), watched by the exit codes that they write."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PART = os.path.join(os.path.dirname(os.path.abspath(__file__)), "part.py")
DONE_STATES = (
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY",
    "PREEMPTED", "TIMEOUT",
)  # fmt: skip  # of squeue; every other state may still come to an end by itself
WORDS = {
    "CANCELLED": "cancelled", "NODE_FAIL": "the node failed", "OUT_OF_MEMORY": "out of memory",
    "TIMEOUT": "out of time", "DEADLINE": "out of time", "PREEMPTED": "preempted",
}  # fmt: skip
NOT_STARTED = -1
TERMINATED = 143  # by SIGTERM: cancelled, out of time, or preempted and soon to be run again
TIMEOUT = 120  # seconds for one Slurm command


class SlurmError(Exception):
    """Slurm refused, in one line."""


def call(*command):
    """(exit code, stdout, stderr) of a Slurm command, out of reach of the terminal's Ctrl-C."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            universal_newlines=True, start_new_session=True, check=False, timeout=TIMEOUT,
        )  # fmt: skip
    except FileNotFoundError:
        raise SlurmError(
            f"{command[0]} is not on PATH. Run on a login node of the cluster, or set "
            "cmd_backend=local in cmd.sh."
        ) from None
    except subprocess.TimeoutExpired:
        return 1, "", f"{command[0]} gave no answer in {TIMEOUT} s"
    return done.returncode, done.stdout.strip(), done.stderr.strip()


class SlurmBackend:
    """One submission: watches exit files and squeue, cancels.

    Args:
        parts: the specifications, see ``part.Part``.
        indices: Slurm's array index of each part.
        submit: the sbatch command with the site's options, without the script.
        folder: where the submission's own files may lie; on a file system that nodes see.
        array: whether to submit an array, and how many of it may run at once.
        poll: seconds between two questions to squeue.
        grace: seconds that a shared file system may take to show a file.
    """

    def __init__(self, parts, indices, submit, folder, array, poll, grace):
        self.indices = [str(index) for index in indices]
        self.grace, self.poll_seconds = grace, poll
        self.codes, self.states, self.gone_since = {}, {}, {}
        self.asked = 0.0
        self.cancelled_pending = False
        os.makedirs(folder, exist_ok=True)
        self.folder = os.path.abspath(tempfile.mkdtemp(prefix=".slurm-", dir=folder))
        try:
            self.write_script(parts)
            self.job_id = self.submit(submit, array)
        except BaseException:
            self.clean_up()
            raise

    def write_script(self, parts):
        """The batch script and the parts' specifications."""
        for index, spec in zip(self.indices, parts):
            spec["exit_file"] = self.path(f"exit.{index}")
        words = [sys.executable, PART, self.path("parts.json")]
        single = "${SLURM_ARRAY_TASK_ID:-" + self.indices[0] + "}"
        with open(self.path("job.sh"), "w", encoding="utf-8") as stream:
            command = " ".join(shlex.quote(word) for word in words)
            stream.write(f'#!/bin/bash\nexec {command} "{single}"\n')
        with open(self.path("parts.json"), "w", encoding="utf-8") as stream:
            json.dump(dict(zip(self.indices, parts)), stream)

    def submit(self, submit, array):
        """Hand the script to sbatch; returns the job's id."""
        output = self.path("output.%a" if array else f"output.{self.indices[0]}")
        command = [*submit, "--parsable", f"--output={output}", "--open-mode=append"]
        if array:
            command.append(f"--array={array}")
        code, out, err = call(*command, self.path("job.sh"))
        if code:
            raise SlurmError(f"sbatch refused: {' '.join(err.split())} ({shlex.join(command)})")
        self.array = bool(array)
        return out.splitlines()[-1].split(";")[0]

    def path(self, name):
        """A file of this submission."""
        return os.path.join(self.folder, name)

    def poll(self):
        """Note what has ended; whether anything is left to wait for."""
        present = set(os.listdir(self.folder))  # also makes NFS look again
        for index, name in enumerate(self.indices):
            if index not in self.codes and f"exit.{name}" in present:
                self.read_code(index, self.path(f"exit.{name}"))
        if len(self.codes) < len(self.indices):
            if time.monotonic() - self.asked >= self.poll_seconds:
                self.ask()
            self.cancel_pending()
        return len(self.codes) < len(self.indices)

    def read_code(self, index, path):
        """Take a part's exit code, unless Slurm ended the part only to run it again."""
        with open(path, encoding="utf-8") as stream:
            code = int(stream.read())
        state = self.states.get(index, ("",))[0]
        if code != TERMINATED or state in (*DONE_STATES, "VANISHED"):
            self.codes[index] = code
        elif state in ("PENDING", "REQUEUED"):
            os.remove(path)

    def ask(self):
        """Ask squeue for the states; give up parts that it has long seen ended, or no longer."""
        code, out, err = call("squeue", "-t", "all", *self.question())
        self.asked = time.monotonic()
        if code and "Invalid job id" not in err:
            return  # the controller does not answer: it may be restarted, the job lives on
        seen = self.parse(out)
        for index, name in enumerate(self.indices):
            state = seen.get(name if self.array else "N/A", ("VANISHED", ""))
            if state[0] != "VANISHED" or index not in self.states:
                self.states[index] = state
            if index in self.codes or (state[0] != "VANISHED" and state[0] not in DONE_STATES):
                self.gone_since.pop(index, None)
            elif self.asked - self.gone_since.setdefault(index, self.asked) >= self.grace:
                self.codes[index] = self.code_without_file(index, state[0])

    def question(self):
        """Arguments of squeue: one line for each part of this job."""
        return "-h", "-r", "-j", self.job_id, "-o", "%K|%T|%r"

    @staticmethod
    def parse(out):
        """squeue's lines as array index -> (state, reason)."""
        fields = [line.split("|") for line in out.splitlines() if line.count("|") == 2]
        return {index: (state, reason) for index, state, reason in fields}

    def code_without_file(self, index, state):
        """Exit code of a part that is gone without one."""
        begun = os.path.exists(self.path(f"output.{self.indices[index]}"))
        taken_back = self.cancelled_pending and state in ("CANCELLED", "VANISHED")
        return NOT_STARTED if taken_back and not begun else 1

    def cancel_pending(self):
        """After a failure let the running parts end and take the waiting ones back."""
        if self.failed and not self.cancelled_pending:
            self.cancelled_pending = True
            call("scancel", "--state=PENDING", self.job_id)

    @property
    def failed(self):
        """Whether a part has failed."""
        return any(code > 0 for code in self.codes.values())

    def signal(self, number):
        """Send a signal to what the parts run, on their nodes."""
        name = signal.Signals(number).name[len("SIG") :]
        call("scancel", f"--signal={name}", "--full", self.job_id)

    def stop(self, hurry):
        """Cancel the job and wait, for a while, until squeue has forgotten or ended it."""
        call("scancel", self.job_id)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not hurry():
            code, out, err = call("squeue", *self.question())
            self.poll()  # the exit codes that the parts leave
            if (not code and not out) or "Invalid job id" in err:
                return
            time.sleep(0.3)

    def reason(self, index):
        """Why a part failed, beyond its exit code, by squeue and by the batch script's output."""
        state, reason = self.final_state(index)
        words = WORDS.get(state, "")
        if state == "VANISHED":
            words = "gone from squeue without an exit code: cancelled, or its node failed"
        if words and reason not in ("", "None", state.title()):
            words += f", Slurm says {reason}"
        left_code = os.path.exists(self.path(f"exit.{self.indices[index]}"))
        said = "" if left_code else self.output(index)
        return "; ".join(word for word in (words, said) if word)

    def final_state(self, index):
        """(state, reason) of a part that has ended; squeue may be a moment behind."""
        for _ in range(20):
            self.ask()
            if self.states.get(index, ("",))[0] in (*DONE_STATES, "VANISHED"):
                break
            time.sleep(0.2)
        return self.states.get(index, ("", ""))

    def output(self, index):
        """What the batch script itself said, in one line: only when it could not even begin."""
        try:
            with open(self.path(f"output.{self.indices[index]}"), encoding="utf-8") as stream:
                return " ".join(stream.read().split())[-300:]
        except OSError:
            return ""

    def clean_up(self):
        """Remove the submission's own files."""
        shutil.rmtree(self.folder, ignore_errors=True)
