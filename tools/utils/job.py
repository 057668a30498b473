#!/usr/bin/env python3
"""Run a command, or its parts 1..N, here or on a Slurm cluster, each with a log of its own.

    utils/job.py --backend local|slurm [--conf conf/slurm.conf] [--gpu N] [--mem 4G]
        [--num_threads N] [--max_jobs_run N] [--time 1:00:00] [--title WORDS]
        [JOB=1:N] LOG command arguments...

JOB, where no letter or digit touches it, is replaced by the part's number in LOG and in the
command.  The command is run as it is given, without a shell.  LOG begins with host, date and
command and ends with the exit code; the log before it is kept as LOG.1.  A part may write
"done total note" to $ASR_DRO_PROGRESS_FILE; one bar on stderr shows all parts.  Exits with 0 when
every part did, with 1 and the failed part's last lines when not (with 74, the disk is full, or 75,
stopped and saved, where that is what all failed parts ended with).  Interrupted, it ends every part
and then itself: with 75 where the parts have saved all they did, else by the same signal.  USR1 and
USR2 are passed on to the commands.
Python >= 3.9, standard library only.
"""

import difflib
import os
import re
import signal
import sys
import time

from jobs import bar, local, slurm, slurm_conf

OPTIONS = {"backend": "local", "conf": "conf/slurm.conf", "title": "", "grace": "5"}
RESOURCES = ("gpu", "mem", "num_threads", "max_jobs_run", "time")
TAIL_LINES, MAX_REPORTED = 20, 3
SAVED, KILLED = 75, 137  # stopped with everything saved (EX_TEMPFAIL); 128 + SIGKILL
TELLING_CODES = {74, SAVED}  # sysexits.h: an input/output error, a temporary failure
SAME_SIGNAL = 0.5  # seconds in which one Ctrl-C or scancel reaches a process more than once
GO_ON = "Give the same command again to go on."


class UsageError(Exception):
    """The command line cannot be run; one line with the remedy."""


def parse_arguments(arguments):
    """(options, resources given, job name, indices, log, command) of a command line.

    Without JOB=1:N the job name is empty and there is one part.
    """
    options, resources = dict(OPTIONS), {}
    rest = list(arguments)
    while rest and rest[0].startswith("--"):
        name, equals, value = rest.pop(0)[2:].partition("=")
        name = name.replace("-", "_")
        if not equals and not rest:
            raise UsageError(f"--{name} needs a value.")
        (options if name in OPTIONS else resources)[name] = value if equals else rest.pop(0)
    match = re.fullmatch(r"([A-Za-z]\w*)=(\d+)(?::(\d+))?", rest[0]) if rest else None
    job, indices = "", [1]
    if match:
        job, first, last = match[1], int(match[2]), int(match[3] or match[2])
        indices = list(range(first, last + 1))
        if not indices or first < 1:
            raise UsageError(f"{rest[0]} names no part. Write {job}=1:N with N >= 1.")
        rest.pop(0)
    if len(rest) < 2:
        raise UsageError("after the options come [JOB=1:N] LOG command arguments...; see --help.")
    check_options(options, resources)
    if len(indices) > 1 and substitute(rest[0], job, "") == rest[0]:
        raise UsageError(f"the log {rest[0]} must contain {job}, or the parts would share it.")
    return options, resources, job, indices, rest[0], rest[1:]


def check_options(options, resources):
    """Refuse what no backend knows; Slurm's own options are checked against its conf file."""
    if options["backend"] not in ("local", "slurm"):
        raise UsageError(f"--backend takes local or slurm, not '{options['backend']}'.")
    for name, value in resources.items():
        if name not in RESOURCES and options["backend"] == "local":
            near = difflib.get_close_matches(name, [*OPTIONS, *RESOURCES], n=1)
            hint = f" Did you mean --{near[0]}?" if near else ""
            raise UsageError(f"unknown option --{name}.{hint} Known: {', '.join(RESOURCES)}.")
        least = {"num_threads": 1, "max_jobs_run": 1, "gpu": 0}.get(name)
        if least is not None and not (value.isdigit() and int(value) >= least):
            raise UsageError(f"--{name} takes an integer from {least}, not '{value}'.")
    if not re.fullmatch(r"\d+(\.\d+)?", options["grace"]):
        raise UsageError(f"--grace takes seconds, not '{options['grace']}'.")


def substitute(word, job, value):
    """``word`` with the job's name, standing free of letters and digits, replaced."""
    if not job:
        return word
    return re.sub(rf"(?<![A-Za-z0-9]){job}(?![A-Za-z0-9])", value, word)


def make_parts(options, resources, job, indices, log, command):
    """The specification of each part, see ``jobs.part.Part``."""
    return [
        {
            "log": os.path.abspath(substitute(log, job, str(index))),
            "command": [substitute(word, job, str(index)) for word in command],
            "num_threads": int(resources.get("num_threads", 1)),
            "grace": float(options["grace"]),
            "cwd": os.getcwd(),
        }
        for index in indices
    ]


def make_backend(options, resources, indices, parts):
    """Start the job on its backend."""
    at_once = resources.pop("max_jobs_run", None)
    if options["backend"] == "local":
        return local.LocalBackend(parts, int(at_once or len(parts)))
    conf = slurm_conf.SiteConf(options["conf"])
    submit = conf.submit_command(resources)
    name = os.path.basename(options["title"] or parts[0]["log"]).replace(" ", "_")
    submit.append(f"--job-name={name}")
    array = f"{indices[0]}-{indices[-1]}" if len(indices) > 1 else ""
    if array and at_once:
        array += f"%{at_once}"
    folder = os.path.dirname(parts[0]["log"])
    return slurm.SlurmBackend(parts, indices, submit, folder, array, **conf.numbers)


class Interruption:
    """Notes which signal came first, and whether another one did."""

    def __init__(self):
        self.number, self.first, self.count = 0, 0.0, 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup and background jobs stay so
                signal.signal(number, self.note)

    def note(self, number, _frame):
        """The handler."""
        now = time.monotonic()
        if not self.number:
            self.number, self.first = number, now
        if self.count == 0 or now - self.first > SAME_SIGNAL:
            self.count += 1

    def hurry(self):
        """Whether the user has asked a second time."""
        return self.count > 1

    def leave(self):
        """End this process by the signal, so that the shell above stops as well (128 + n)."""
        signal.signal(self.number, signal.SIG_DFL)
        os.kill(os.getpid(), self.number)


def watch(backend, parts, title, interruption):
    """Wait for the parts and draw their progress; False when interrupted."""
    drawing = bar.Bar(title)
    pause = 0.01
    while backend.poll():
        if interruption.number:
            return False
        show_progress(backend, parts, drawing.show)
        time.sleep(pause)
        pause = min(pause * 1.3, 0.2)
    if not backend.failed:
        show_progress(backend, parts, drawing.close)
    return not interruption.number


def show_progress(backend, parts, show):
    """Sum the parts' own counts, or where they have none count the finished parts."""
    reports = [bar.read_progress(part["log"] + ".progress") for part in parts]
    total = bar.sum_progress(reports)
    note = reports[0][2] if len(parts) == 1 and reports[0] else ""
    if total:
        show(total[0], total[1], estimated=total[2], note=note)
    elif len(parts) > 1:
        show(len(backend.codes), len(parts), note="parts")


def tail(path):
    """The last lines of a log."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.path.getsize(path) - 16384))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ["(there is no log)"]
    return lines[-TAIL_LINES:]


def report_failures(backend, parts, indices):
    """Print each failed part's exit code, reason, log and last lines."""
    failed = [number for number, code in sorted(backend.codes.items()) if code > 0]
    for number in failed[:MAX_REPORTED]:
        part = f"part {indices[number]} of {len(parts)}" if len(parts) > 1 else "the command"
        log = os.path.relpath(parts[number]["log"])
        words = failure(part, backend.codes[number], backend.reason(number), log)
        print(f"ERROR: {words}", file=sys.stderr)
    if len(failed) > MAX_REPORTED:
        rest = ", ".join(os.path.relpath(parts[n]["log"]) for n in failed[MAX_REPORTED:][:10])
        print(f"ERROR: {len(failed) - MAX_REPORTED} more parts failed: {rest}", file=sys.stderr)
    not_run = len(parts) - sum(code >= 0 for code in backend.codes.values())
    if not_run:
        print(f"ERROR: {not_run} of {len(parts)} parts were not started any more.", file=sys.stderr)


def failure(part, code, reason, log):
    """What a failed part is told of: how to go on where its log cannot say, else the log's end."""
    words = f" ({reason})" if reason else ""
    if code == SAVED:
        return f"{part} was stopped and has saved all it did{words}; see {log}. {GO_ON}"
    if code == KILLED:
        words = words or ", often for lack of memory"
        return (
            f"{part} was killed from outside (code 137){words}; its log, {log}, ends there. Free "
            f"memory, or ask for more with --mem in cmd.sh or conf/slurm.conf. {GO_ON}"
        )
    lines = "\n".join("    " + line for line in tail(log))
    return f"{part} failed with code {code}{words}. The end of {log}:\n{lines}"


def remove_progress_files(parts):
    """The progress files are of no use once the job has ended."""
    for part in parts:
        if os.path.exists(part["log"] + ".progress"):
            os.remove(part["log"] + ".progress")


def main(arguments):
    """Run the job; returns the exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    options, resources, job, indices, log, command = parse_arguments(arguments)
    parts = make_parts(options, resources, job, indices, log, command)
    remove_progress_files(parts)
    interruption = Interruption()
    backend = make_backend(options, resources, indices, parts)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda number, _frame: backend.signal(number))
    title = options["title"] or os.path.basename(log).replace(f".{job}.log", "").replace(".log", "")
    try:
        if not watch(backend, parts, title, interruption):
            print(f"\nInterrupted: ending {title}.", file=sys.stderr)
            backend.stop(interruption.hurry)
            if exit_code(backend) == SAVED:
                print(f"{title}: stopped, and all of it is saved. {GO_ON}", file=sys.stderr)
                return SAVED
        elif backend.failed:
            report_failures(backend, parts, indices)
    finally:
        remove_progress_files(parts)
        backend.clean_up()
    if interruption.number:
        interruption.leave()
    return exit_code(backend)


def exit_code(backend):
    """0, 1, or the one telling code that all failed parts share."""
    codes = {code for code in backend.codes.values() if code > 0}
    return codes.pop() if len(codes) == 1 and codes <= TELLING_CODES else int(backend.failed)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (UsageError, ValueError, slurm.SlurmError) as error:
        print(f"ERROR: job.py: {error}", file=sys.stderr)
        sys.exit(2)
