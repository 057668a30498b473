"""What candidates do to a graph, and what they leave alone."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from asr_dro_plugin.export.int8.candidates import CANDIDATES, NotPossible, size_of
from asr_dro_plugin.export.int8.graph import weighted
from asr_dro_plugin.export.int8.sessions import inputs_of, log_probs_of, opened
from asr_dro_plugin.export.int8.stored import rounded
from tests.export.int8.toy_graph import speech, write_model

BY_NAME = {candidate.name: candidate for candidate in CANDIDATES}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("toy") / "model.onnx", products=2)


@pytest.fixture(scope="module", params=BY_NAME)
def written(request, model, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "model.int8.onnx"
    BY_NAME[request.param].write(model, out, speech(4, seed=5))
    return request.param, out


def test_each_candidate_hears_nearly_the_same(model, written):
    for samples in speech(2, seed=9):
        base = log_probs_of(opened(model, 1), samples)
        other = log_probs_of(opened(written[1], 1), samples)
        assert np.abs(np.exp(base) - np.exp(other)).mean() < 0.02


def test_features_stay_in_32_bits(written):
    nodes = {node.name: node.op_type for node in onnx.load(written[1]).graph.node}
    kinds = {kind for name, kind in nodes.items() if name.startswith("features/")}
    kinds -= {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}  # of what follows
    assert kinds == {"Add", "Conv", "Log", "Mul", "ReduceMean", "Sub", "Unsqueeze"}
    dft = next(n for n in onnx.load(written[1]).graph.node if n.name == "features/dft")
    assert list(dft.input) == ["features/channel", "dft"]


def test_nothing_is_left_beside_the_file(written):
    assert [path.name for path in written[1].parent.iterdir()] == ["model.int8.onnx"]


def test_dynamic_candidates_leave_convolutions_alone(model, tmp_path):
    BY_NAME["dynamic"].write(model, tmp_path / "out.onnx", ())
    kinds = {node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node}
    assert "ConvInteger" not in kinds and "MatMulInteger" in kinds


def test_stored_weights_take_a_quarter_of_the_bytes(tmp_path):
    model = write_model(tmp_path / "model.onnx", convolutions=12)
    BY_NAME["stored"].write(model, tmp_path / "out.onnx", ())
    features = 4 * 40 * 400
    small, large = (size_of(tmp_path / name) - features for name in ("out.onnx", "model.onnx"))
    assert small < 0.28 * large


@given(arrays(np.float32, (5, 7), elements=st.floats(-1e3, 1e3, width=32)), st.sampled_from([0, 1]))
def test_rounding_moves_no_number_by_more_than_half_a_step(values, axis):
    small, scales = rounded(values, axis)
    assert small.dtype == np.int8
    assert (np.abs(small * scales - values) <= 0.5001 * scales).all()


def test_a_model_of_convolutions_alone_has_no_dynamic_candidate(tmp_path):
    model = write_model(tmp_path / "model.onnx", products=0)
    with pytest.raises(NotPossible, match="no matrix product with constant weights"):
        BY_NAME["dynamic"].write(model, tmp_path / "out.onnx", ())


def test_static_needs_audio_to_calibrate_on(model, tmp_path):
    with pytest.raises(NotPossible, match="no training audio"):
        BY_NAME["static"].write(model, tmp_path / "out.onnx", ())


def test_attention_has_no_weights_to_quantise():
    float32 = onnx.TensorProto.FLOAT
    q, k, out = (onnx.helper.make_tensor_value_info(n, float32, ["B", 8, 8]) for n in "qko")
    product = onnx.helper.make_node("MatMul", ["q", "k"], ["o"], "scores")
    model = onnx.helper.make_model(onnx.helper.make_graph([product], "attention", [q, k], [out]))
    assert not list(weighted(model))


def test_a_convolution_over_raw_audio_stays_as_it_is(tmp_path):
    weights = onnx.numpy_helper.from_array(np.ones((4, 1, 10), np.float32), "w")
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["B", 1, "N"])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    raw = onnx.helper.make_node("Conv", ["x", "w"], ["y"], "raw")
    graph = onnx.helper.make_graph([raw], "raw", [x], [y], [weights])
    assert not list(weighted(onnx.helper.make_model(graph)))


def test_weights_of_a_large_model_lie_beside_the_graph_and_can_be_moved(
    model, tmp_path, monkeypatch
):
    monkeypatch.setattr("asr_dro_plugin.export.int8.candidates.EXTERNAL_BYTES", 0)
    for name, candidate in BY_NAME.items():
        folder = tmp_path / name
        folder.mkdir()
        candidate.write(model, folder / "model.int8.onnx", speech(2))
        moved = folder.rename(tmp_path / f"{name}_moved")
        assert {p.name for p in moved.iterdir()} == {"model.int8.onnx", "model.int8.onnx.data"}
        session = opened(moved / "model.int8.onnx", 1)
        assert session.run(None, inputs_of(speech(1)[0]))
