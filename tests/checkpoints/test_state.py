"""checkpoint_state: what a training run holds becomes tensors and plain values, or is refused."""

import enum
import io
import random
from collections import OrderedDict, defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.checkpoints.state import num_bytes, plain, snapshot, tensors_of
from asr_dro_plugin.errors import UserError


class Colour(enum.IntEnum):
    RED = 1


def through_a_file(state):
    """``state`` saved and loaded without any exception to weights_only."""
    stream = io.BytesIO()
    torch.save(state, stream)
    stream.seek(0)
    return torch.load(stream, weights_only=True)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
STATES = st.recursive(
    SCALARS | st.floats(allow_nan=False).map(np.float64) | st.integers(0, 99).map(np.int32),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(STATES)
def test_plain_values_come_back_as_they_were(state):
    assert through_a_file(plain(state)) == state


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int16", "uint32", "int64", "float16", "float64"]
)
def test_an_array_comes_back_as_a_tensor_with_the_same_numbers(dtype):
    array = np.arange(5).astype(dtype)
    result = through_a_file(plain({"a": array}))["a"]
    assert result.numpy().dtype == array.dtype
    assert np.array_equal(result.numpy(), array)


def test_the_state_of_every_random_generator_is_plain():
    state = {
        "numpy": np.random.get_state(),  # noqa: NPY002 - the one that ESPnet draws from
        "python": random.getstate(),
        "torch": torch.get_rng_state(),
    }
    result = through_a_file(plain(state))
    assert result["python"] == state["python"]
    assert np.array_equal(result["numpy"][1].numpy(), state["numpy"][1])
    assert torch.equal(result["torch"], state["torch"])


def test_a_copy_does_not_follow_the_model_as_it_trains():
    model = torch.nn.Linear(3, 2)
    before = model.weight.detach().clone()
    copy = snapshot(model.state_dict())
    with torch.no_grad():
        model.weight.add_(1)
    assert torch.equal(copy["weight"], before)
    assert not copy["weight"].requires_grad


def test_tied_weights_stay_tied_and_are_stored_once():
    weight = torch.zeros(1000, 100)
    copy = snapshot({"in": weight, "out": weight, "head": weight[:10]})
    assert copy["in"] is copy["out"]
    assert copy["head"].untyped_storage().nbytes() == 4000, "a view takes no more than it shows"


@given(
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["<f4", "<i8"])), max_size=6), st.data()
)
def test_a_snapshot_in_the_memory_of_another_is_as_good_as_one_in_its_own(forms, data):
    """Other tensors than the last time, in another order, some of them tied."""

    def state(seed):
        draw = np.random.default_rng(seed)
        made = [torch.from_numpy(draw.integers(0, 99, size).astype(dtype)) for size, dtype in forms]
        return [made[i] for i in data.draw(st.lists(st.integers(0, len(made) - 1)))] if made else []

    first, second = state(1), state(2)
    spare = snapshot(first)
    spared = {tensor.data_ptr() for tensor in spare if tensor.numel()}
    result = snapshot(second, spare=spare)
    assert [tensor.tolist() for tensor in result] == [tensor.tolist() for tensor in second]
    assert [tensor.dtype for tensor in result] == [tensor.dtype for tensor in second]
    if len(forms) == 1 and first and second and forms[0][0]:
        assert {tensor.data_ptr() for tensor in result} == spared


def test_a_modules_versions_survive():
    result = through_a_file(plain(torch.nn.BatchNorm1d(3).state_dict()))
    assert isinstance(result, OrderedDict)
    assert result._metadata[""]["version"] == 2


def test_subclasses_of_plain_types_become_plain():
    state = {"e": Colour.RED, "d": defaultdict(list, a=[1]), "s": np.str_("x")}
    result = plain(state)
    assert [type(value) for value in result.values()] == [int, dict, str]
    assert through_a_file(result) == {"e": 1, "d": {"a": [1]}, "s": "x"}


@pytest.mark.parametrize("value", [lambda: 0, object(), {1}, np.array([None])])
def test_what_needs_pickle_is_refused_with_its_place(value):
    with pytest.raises(UserError, match=r"state\['schedulers'\]\[1\]\['f'\] is a .*pickle"):
        plain({"schedulers": [None, {"f": value}]})


@given(st.lists(st.integers(0, 5000), max_size=20))
def test_the_estimated_size_is_never_below_the_files(sizes):
    state = {f"encoder.layer.{i}.weight": torch.zeros(size) for i, size in enumerate(sizes)}
    stream = io.BytesIO()
    torch.save(state, stream)
    assert len(list(tensors_of(state))) == len(sizes)
    assert stream.tell() <= num_bytes(state) <= stream.tell() + (2 << 20)
