"""Threads sleep while they wait, as many as Slurm granted, unless the user says otherwise."""

import os
import subprocess
import sys

import pytest

from asr_dro_plugin.base.threads import set_thread_defaults

PASSIVE = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, PASSIVE),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
        ({"GOMP_SPINCOUNT": "100"}, {**PASSIVE, "GOMP_SPINCOUNT": "100"}),
        ({"SLURM_CPUS_PER_TASK": "4"}, {**PASSIVE, "OMP_NUM_THREADS": "4"}),
        ({"SLURM_CPUS_PER_TASK": "4", "OMP_NUM_THREADS": "2"}, {**PASSIVE, "OMP_NUM_THREADS": "2"}),
    ],
)
def test_what_the_user_or_slurm_said_is_kept_and_the_rest_is_set(given, expected):
    environment = dict(given)
    set_thread_defaults(environment)
    assert {**given, **expected} == environment


def test_a_command_sets_them_before_pytorch_is_imported():
    program = (
        "import asr_dro_plugin.bin.transcribe, os, sys;"
        "print(os.environ['OMP_WAIT_POLICY'], os.environ['OMP_NUM_THREADS'],"
        "'torch' in sys.modules)"
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "SLURM_"))}
    env |= {"SLURM_CPUS_PER_TASK": "3"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert done.stdout.split() == ["passive", "3", "False"], done.stderr
