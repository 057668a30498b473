"""onnxruntime kept a device id and events in the user's cache, and asked for its maker's host."""

import os
import subprocess
import sys

import pytest

SESSION = """
import sys
{first}
from onnx import TensorProto, helper
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", [x], [y])
model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
from asr_dro_plugin.runtime.session import open_session
session = open_session(model.SerializeToString(), 1, "a graph")
session.run(None, {{"x": __import__("numpy").ones(1, "float32")}})
"""


def files_after(tmp_path, first, **variables):
    """What lies in the home of a process that ran a graph."""
    kept = {key: value for key, value in os.environ.items() if "TELEMETRY" not in key}
    kept |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), **variables}
    code = SESSION.format(first=first)
    subprocess.run([sys.executable, "-c", code], env=kept, check=True, timeout=120)
    return [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_graph_at_work_leaves_nothing_in_the_users_home(tmp_path):
    assert not files_after(tmp_path, "import asr_dro_plugin")


def test_who_wants_onnxruntimes_own_way_says_so(tmp_path):
    if not files_after(tmp_path, "import asr_dro_plugin", ORT_DISABLE_TELEMETRY="0"):
        pytest.skip("this onnxruntime keeps nothing by itself")
