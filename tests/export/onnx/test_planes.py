"""Convolutions over time as such over planes: the same numbers from other kernels."""

import numpy as np
import onnx
import onnxruntime
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.export.onnx.planes import spread_over_planes

SHAPES = st.tuples(
    st.sampled_from([1, 4]),  # groups
    st.sampled_from([1, 3, 6]),  # width of the kernel
    st.sampled_from([1, 2]),  # stride
    st.sampled_from([1, 2]),  # dilation
    st.sampled_from([0, 2]),  # padding
)


def traced(network, path):
    torch.onnx.export(
        network.eval(), (torch.randn(2, 4, 120),), path, dynamo=False, opset_version=17,
        input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "B", 2: "T"}},
    )  # fmt: skip
    return onnx.load(path)


def outputs(model, x):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(["y"], {"x": x})[0]


@given(shapes=st.lists(SHAPES, min_size=1, max_size=3), masked=st.booleans())
def test_what_is_computed_is_the_same(tmp_path_factory, shapes, masked):
    layers = []
    for groups, kernel, stride, dilation, padding in shapes:
        layers += [torch.nn.Conv1d(4, 4, kernel, stride, padding, dilation, groups)]
        layers += [torch.nn.ReLU()] if masked else []
    model = traced(torch.nn.Sequential(*layers), tmp_path_factory.mktemp("p") / "m.onnx")
    x = np.random.default_rng(0).standard_normal((3, 4, 137)).astype(np.float32)
    before = outputs(model, x)
    spread_over_planes(model)
    onnx.checker.check_model(model)
    assert all(len(t.dims) == 4 for t in model.graph.initializer if t.name.endswith("weight"))
    np.testing.assert_allclose(outputs(model, x), before, rtol=0, atol=1e-5)


def test_a_plane_is_not_left_between_two_convolutions(tmp_path):
    pair = torch.nn.Sequential(torch.nn.Conv1d(4, 4, 3, groups=4), torch.nn.Conv1d(4, 8, 1))
    model = traced(pair, tmp_path / "m.onnx")
    spread_over_planes(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == ["Unsqueeze", "Conv", "Conv", "Squeeze"]


def test_weights_that_are_shared_are_left_alone(tmp_path):
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(4, 4, 3, padding=1)

        def forward(self, x):
            return self.conv(self.conv(x))

    model = traced(Twice(), tmp_path / "m.onnx")
    spread_over_planes(model)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Conv"]
