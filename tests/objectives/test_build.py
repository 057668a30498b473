"""Building by name: the defaults of the specification, and every wrong key by its name."""

import inspect
import math
import re

import pytest
import torch

from asr_dro_plugin.base.class_path import load_class
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives import OBJECTIVES, build_objective
from asr_dro_plugin.objectives.abs_objective import AbsObjective
from asr_dro_plugin.objectives.keys import EXPERIMENTAL
from asr_dro_plugin.stack.signatures import signature_of

# Section 9 of the specification, for G = 10.
DEFAULTS = {
    "step_size": None, "step_size_rel": 0.5, "smoothing": 0.06, "agg": "sum",
    "reduction": "utterance", "length_norm": "none", "signal": "sum", "update": "round",
    "round_limit": 200, "cap": 1.0, "floor": 0.001, "acts_on": "loss", "duration": 50.0,
    "size_adjustment": 0.0,
}  # fmt: skip


def test_the_defaults_are_those_of_the_specification():
    objective = build_objective("ctc_dro", 10)
    assert {key: getattr(objective, key) for key in DEFAULTS} == pytest.approx(DEFAULTS)


def test_group_dro_differs_from_ctc_dro_in_the_smoothing_alone():
    conf = DEFAULTS | {"smoothing": None}
    objective = build_objective("group_dro", 10)
    assert {key: getattr(objective, key) for key in conf} == conf
    keys = {name: set(signature(name)) for name in ("group_dro", "ctc_dro")}
    assert keys["ctc_dro"] - keys["group_dro"] == {"smoothing", "smoothing_rel"}
    assert keys["group_dro"] < keys["ctc_dro"]


def signature(name):
    """Keys of an objective, read without importing torch."""
    return signature_of(OBJECTIVES[name].path).parameters


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_keys_can_be_listed_without_importing(name):
    keys = signature(name)
    assert keys["num_groups"].required and not any(
        parameter.required for key, parameter in keys.items() if key != "num_groups"
    )
    literal = {key: parameter.default for key, parameter in keys.items() if key != "num_groups"}
    assert isinstance(build_objective(name, 3, **literal), AbsObjective)


@pytest.mark.parametrize(
    ("name", "conf", "said"),
    [
        ("ctc_dr", {}, "Did you mean 'ctc_dro'"),
        ("ctc_dro", {"smothing": 0.1}, "Did you mean 'smoothing'"),
        ("ctc_dro", {"experimental": {"flor": 0.1}}, "experimental: 'flor' is no argument. Did"),
        ("ctc_dro", {"experimental": {"smoothing": 0.1}}, "'smoothing' is no argument. Legal: agg"),
        ("ctc_dro", {"experimental": {"cap": 2}, "cap": 2.0}, "has cap twice"),
        ("ctc_dro", {"experimental": 2}, "experimental must be a mapping"),
        ("ctc", {"experimental": {"cap": 2.0}}, "CTC: 'cap' is no argument"),
        ("ctc_dro", {"reference": {"steps": [1]}}, "reference is ignored with signal sum"),
        ("ctc", {"step_size": 0.1}, "CTC: 'step_size' is no argument"),
        ("group_dro", {"smoothing": 0.1}, "GroupDRO: 'smoothing' is no argument"),
        ("ctc_dro", {"smoothing": 0.1, "smoothing_rel": 0.6}, "both smoothing and smoothing_rel"),
        ("ctc_dro", {"step_size": 0.1, "step_size_rel": 0.6}, "both step_size and step_size_rel"),
        ("ctc_dro", {"step_size": 1e300}, "step_size must be at least 0 and at most 1e+20"),
        ("ctc_dro", {"step_size": math.inf}, "step_size must be a finite number"),
        ("ctc_dro", {"step_size_rel": 1e300}, "step_size_rel must be"),
        ("ctc_dro", {"smoothing_rel": -1.0}, "smoothing_rel must be at least 0, not -1.0"),
        ("ctc_dro", {"floor": 1 / 3}, "floor"),
        ("ctc_dro", {"cap": 0}, "cap must be above 0"),
        ("ctc_dro", {"signal": "wer"}, "sum, frames, labels, excess, dev_cer"),
        ("ctc_dro", {"signal": "excess"}, "needs reference"),
        ("ctc_dro", {"signal": "frames", "length_norm": "frames"}, "divided already"),
        ("ctc_dro", {"agg": "max"}, "agg is 'max'"),
        ("ctc_dro", {"update": "epoch"}, "update is 'epoch'"),
        ("ctc_dro", {"acts_on": "q"}, "acts_on is 'q'"),
        ("ctc_dro", {"round_limit": -1}, "round_limit"),
        ("ctc_dro", {"size_adjustment": 1.0}, "group_sizes"),
        ("ctc_dro", {"size_adjustment": 1.0, "group_sizes": [1, 0, 2]}, "group_sizes"),
        ("ctc", {"reduction": "mean"}, "reduction is 'mean'"),
        ("ctc", {"length_norm": "sum"}, "length_norm is 'sum'"),
        ("ctc", {"duration": 0.0}, "duration must be above 0"),
        ("ctc", {"duration": "long"}, "duration must be a number"),
        ("ctc", {"duration": math.nan}, "duration must be a number"),
        ("ctc_dro", {"cap": "x"}, "cap must be a number, not 'x'"),
        ("ctc_dro", {"cap": True}, "cap must be a number, not True"),
        ("ctc_dro", {"cap": None}, "cap must be a number, not None"),
        ("ctc_dro", {"floor": "x"}, "floor must be a number"),
        ("ctc_dro", {"round_limit": 1.5}, "round_limit must be a whole number, not 1.5"),
        ("ctc_dro", {"round_limit": math.nan}, "round_limit must be a whole"),
        ("ctc_dro", {"round_limit": True}, "round_limit must be a whole"),
        ("ctc_dro", {"step_size": True}, "step_size must be a number, not True"),
        ("ctc_dro", {"step_size": "1e-3"}, "Write 1.0e-3"),
        ("ctc_dro", {"smoothing_rel": [0.6]}, "smoothing_rel must be a number, not [0.6]"),
        ("ctc_dro", {"smoothing": math.nan}, "smoothing must be a number, not nan"),
        ("group_dro", {"size_adjustment": "x"}, "size_adjustment must be a number"),
        (
            "group_dro",
            {"size_adjustment": 1.0, "group_sizes": [1, 2.5, 2]},
            "group_sizes must be a whole number, not 2.5",
        ),
        (
            "group_dro",
            {"size_adjustment": 1.0, "group_sizes": [1, "2", 2]},
            "group_sizes must be a whole number",
        ),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name, conf, said):
    with pytest.raises(UserError, match=re.escape(said)):
        build_objective(name, 3, **conf)


def test_an_infinite_cap_switches_it_off():
    assert build_objective("ctc_dro", 3, cap=math.inf).cap == math.inf


@pytest.mark.parametrize("num_groups", [2.5, True, "3", None])
def test_the_number_of_groups_is_a_whole_number(num_groups):
    with pytest.raises(UserError, match="num_groups must be a whole number"):
        build_objective("ctc", num_groups)


def test_no_group_is_no_objective():
    with pytest.raises(UserError, match="num_groups must be at least 1"):
        build_objective("ctc", 0)


def test_one_group_is_plain_ctc():
    objective = build_objective("ctc_dro", 1)
    for _ in range(3):
        loss, _ = objective(torch.tensor([5.0, 7.0]), torch.tensor([0, 0]))
    assert float(loss) == 6.0 and objective.group_weights.tolist() == [1.0]


def test_the_published_runs_can_be_reproduced():
    conf = {"smoothing": 0.1, "step_size": 1e-3, "floor": 1e-10, "cap": 1e9}
    objective = build_objective("ctc_dro", 6, **conf)
    assert {key: getattr(objective, key) for key in conf} == conf


def test_switches_of_research_are_read_in_experimental_and_as_before_beside_it():
    switches = {"cap": 2.0, "floor": 0.01, "agg": "mean"}
    apart = build_objective("ctc_dro", 3, smoothing_rel=3.0, experimental=switches)
    flat = build_objective("ctc_dro", 3, smoothing_rel=3.0, **switches)
    assert (apart.cap, apart.floor, apart.agg, apart.smoothing) == (2.0, 0.01, "mean", 1.0)
    assert (flat.cap, flat.floor, flat.agg, flat.smoothing) == (2.0, 0.01, "mean", 1.0)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_class_shows_every_keyword_though_its_constructor_names_its_own_alone(name):
    known = set(inspect.signature(load_class(OBJECTIVES[name].path)).parameters)
    assert known == set(signature(name))
    assert {"num_groups", "group_names", "reduction"} <= known


def test_what_is_experimental_is_what_constructors_take_beside_the_numbers_of_the_papers():
    of_the_task = {"num_groups", "group_names", "group_sizes"}
    numbers = {"smoothing", "smoothing_rel", "step_size", "step_size_rel"}
    assert set(signature("ctc_dro")) - of_the_task - numbers == set(EXPERIMENTAL)
