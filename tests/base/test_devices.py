"""A GPU is used when it is asked for and there, and the CPU needs no torch to be chosen."""

import subprocess
import sys

import pytest

from asr_dro_plugin.base.devices import device_of
from asr_dro_plugin.errors import UserError


def test_the_cpu_is_chosen_without_torch():
    program = (
        "import sys; from asr_dro_plugin.base.devices import device_of\n"
        "assert device_of(0) == 'cpu' and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(("there", "asked"), [(1, 1), (4, 2)])
def test_a_gpu_that_is_there_is_taken(monkeypatch, there, asked):
    show(monkeypatch, there)
    assert device_of(asked) == "cuda"


@pytest.mark.parametrize(
    ("there", "asked", "message"),
    [
        (0, 1, "asks for 1 GPU, .* sees none on this machine. Give --ngpu 0 to compute on the CPU"),
        (2, 4, "asks for 4 GPUs, .* sees 2 on this machine. Give --ngpu 2."),
        (2, -1, "--ngpu -1 is no number of GPUs. Give --ngpu 0 for the CPU."),
    ],
)
def test_more_than_there_are_is_refused(monkeypatch, there, asked, message):
    show(monkeypatch, there)
    with pytest.raises(UserError, match=message):
        device_of(asked)


def show(monkeypatch, count):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
