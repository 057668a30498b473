#!/usr/bin/env python3
"""Run a script so that a stop reaches what it runs, and is waited for.

    utils/supervise.py SCRIPT arguments...

A shell that is told to end while it waits for a command ends at once and leaves the command behind.
This process stands in the script's place: a TERM, HUP, INT or USR1 is passed on to what the script
runs (to the runner of a job, which ends its parts), and when all of it has ended this process ends
with 75 if what was stopped has saved itself, else with the script's code.  Ctrl-C on a terminal
reaches all of them by itself.  For Linux.
Python >= 3.9, standard library only.
"""

import os
import signal
import subprocess
import sys

from jobs.part import PR_SET_CHILD_SUBREAPER, SAVED, parents, prctl, reap

STOPS = {
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGUSR1,
}  # USR1: Slurm, near the limit
SHELLS = {"bash", "sh", "dash"}
FROM_THE_KERNEL = 0x80  # siginfo's si_code of a signal that the terminal sends to everyone


def command_name(pid):
    """What a process runs, as ps shows it; empty when it has ended."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def addressed(root):
    """The processes a stop is meant for: the first below ``root`` that are no waiting shells."""
    table = parents()
    children = [pid for pid, parent in table.items() if parent == root]
    found = []
    for pid in children:
        waits = command_name(pid) in SHELLS and pid in table.values()
        found += addressed(pid) if waits else [pid]
    return found


def pass_on(number):
    """Send a signal to those that it is meant for."""
    for pid in addressed(os.getpid()):
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def supervise(command):
    """Run the command to its end, and what it leaves behind when it was stopped."""
    watched = {number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN}
    watched.add(signal.SIGCHLD)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = subprocess.Popen(
        command, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, before)
    )
    codes, stopped_by = {}, 0
    while reap(codes) and (stopped_by or child.pid not in codes):
        received = signal.sigwaitinfo(watched)
        if received.si_signo in STOPS:
            stopped_by = stopped_by or received.si_signo
            if received.si_code != FROM_THE_KERNEL:
                pass_on(received.si_signo)
    child.returncode = codes[child.pid]
    if stopped_by and SAVED in codes.values():
        return SAVED
    return 128 + stopped_by if stopped_by else child.returncode


def main(command):
    """Returns the exit code."""
    if not command:
        print(__doc__)
        return 2
    os.environ["ASR_DRO_SUPERVISOR"] = str(os.getpid())
    return supervise(command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
