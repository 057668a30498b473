"""Each phase of a start is one line with its seconds, from the first one on."""

import logging
import re
import subprocess
import sys

from asr_dro_plugin.base.phase_timer import Phases


def seconds_of(lines):
    """(phase, seconds, seconds in all) of the log."""
    found = [re.fullmatch(r"Start: (.+) (\d+\.\d) s, (\d+\.\d) s in all", line) for line in lines]
    return [(match[1], float(match[2]), float(match[3])) for match in found]


def test_every_phase_is_told_with_its_own_seconds_and_those_so_far(monkeypatch, caplog):
    now = [10.0]
    monkeypatch.setattr("asr_dro_plugin.base.phase_timer.time.perf_counter", lambda: now[0])
    phases = Phases()
    with caplog.at_level(logging.INFO):
        for phase, seconds in (("imports", 8.0), ("train plan", 0.5)):
            now[0] += seconds
            phases.end(phase, last=phase == "train plan")
        phases.end("of the second epoch")
    assert seconds_of(caplog.messages) == [("imports", 8.0, 8.0), ("train plan", 0.5, 8.5)]


def test_what_ends_before_the_log_is_set_up_waits_and_does_not_set_it_up():
    program = (
        "import logging\nfrom asr_dro_plugin.base.phase_timer import START\n"
        "START.end('imports')\n"
        "logging.basicConfig(level='INFO', format='ours %(message)s')\n"
        "START.end('model')\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    lines = run.stderr.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["ours", "Start:", "imports"],
        ["ours", "Start:", "model"],
    ]
