"""tools/make_tiny_ssl.py: real strides, one set of weights, without s3prl or fairseq."""

import subprocess
import sys

import pytest
import torch

from tests.fixtures_ssl import TOOL
from tests.tool_modules import load_tool

pytest_plugins = ["tests.fixtures_ssl"]


def test_the_convolutions_have_the_real_kernels_and_strides():
    tool = load_tool("make_tiny_ssl")
    stride, receptive = 1, 1
    for kernel, step in zip(tool.KERNELS, tool.STRIDES):
        receptive += (kernel - 1) * stride
        stride *= step
    assert (stride, receptive) == (320, 400)


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(make_tiny_ssl, tiny_ssl):
    def weights(tiny):
        return torch.load(tiny.s3prl)["model_weight"]

    first, same = weights(tiny_ssl), weights(make_tiny_ssl(seed=0))
    other = weights(make_tiny_ssl(seed=1))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_the_fairseq_file_has_the_real_keys_in_plain_containers(tiny_ssl):
    state = torch.load(tiny_ssl.fairseq, weights_only=True)
    assert {"args", "cfg", "model", "optimizer_history", "task_state", "extra_state",
            "last_optimizer_state"} <= set(state)  # fmt: skip
    assert {"multiple_train_files", "eval_wer"} <= set(state["cfg"]["task"])


def test_equal_sizes_that_fairseq_cannot_load_are_refused(tmp_path):
    with pytest.raises(SystemExit):
        load_tool("make_tiny_ssl").main([str(tmp_path), "--hidden", "16", "--conv_dim", "16"])


def test_it_needs_neither_s3prl_nor_fairseq(tmp_path):
    script = (
        "import runpy, sys; sys.modules.update(s3prl=None, fairseq=None, omegaconf=None);"
        "sys.argv = sys.argv[1:]; sys.path.insert(0, sys.argv[0].rpartition('/')[0]);"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", script, str(TOOL), str(tmp_path / "x"), "--variant", "base"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"hf", "s3prl.pt", "fairseq.pt"}
