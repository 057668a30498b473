"""Building by name: the defaults of the specification, and every wrong key by its name."""

import math
import re

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives import OBJECTIVES, build_objective
from asr_dro_plugin.objectives.abs_objective import AbsObjective
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
        ("ctc", {"step_size": 0.1}, "step_size is not a key of CTC, which has"),
        ("group_dro", {"smoothing": 0.1}, "smoothing is not a key of GroupDRO"),
        ("ctc_dro", {"smoothing": 0.1, "smoothing_rel": 0.6}, "both smoothing and smoothing_rel"),
        ("ctc_dro", {"step_size": 0.1, "step_size_rel": 0.6}, "both step_size and step_size_rel"),
        ("ctc_dro", {"step_size": 1e300}, "overflow"),
        ("ctc_dro", {"step_size": math.inf}, "step_size is inf"),
        ("ctc_dro", {"step_size_rel": 1e300}, "overflow"),
        ("ctc_dro", {"smoothing_rel": -1.0}, "smoothing_rel is -1.0"),
        ("ctc_dro", {"floor": 1 / 3}, "floor"),
        ("ctc_dro", {"cap": 0}, "cap is 0"),
        ("ctc_dro", {"signal": "wer"}, "sum frames labels excess dev_cer"),
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
        ("ctc", {"duration": 0.0}, "duration is 0"),
        ("ctc", {"duration": "long"}, "duration is long"),
        ("ctc", {"duration": math.nan}, "duration is nan"),
        ("ctc_dro", {"cap": "x"}, "cap is x: it must be a number"),
        ("ctc_dro", {"cap": True}, "cap is True"),
        ("ctc_dro", {"cap": None}, "cap is None"),
        ("ctc_dro", {"floor": "x"}, "floor is x"),
        ("ctc_dro", {"round_limit": 1.5}, "round_limit is 1.5: it must be a whole number"),
        ("ctc_dro", {"round_limit": math.nan}, "round_limit is nan"),
        ("ctc_dro", {"round_limit": True}, "round_limit is True"),
        ("ctc_dro", {"step_size": True}, "step_size is True"),
        ("ctc_dro", {"step_size": "1e-3"}, "write 1.0e-3"),
        ("ctc_dro", {"smoothing_rel": [0.6]}, "smoothing_rel is [0.6]"),
        ("ctc_dro", {"smoothing": math.nan}, "smoothing is nan"),
        ("group_dro", {"size_adjustment": "x"}, "size_adjustment is x"),
        ("group_dro", {"size_adjustment": 1.0, "group_sizes": [1, 2.5, 2]}, "group_sizes is 2.5"),
        ("group_dro", {"size_adjustment": 1.0, "group_sizes": [1, "2", 2]}, "group_sizes is 2"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name, conf, said):
    with pytest.raises(UserError, match=re.escape(said)):
        build_objective(name, 3, **conf)


def test_an_infinite_cap_switches_it_off():
    assert build_objective("ctc_dro", 3, cap=math.inf).cap == math.inf


@pytest.mark.parametrize("num_groups", [2.5, True, "3", None])
def test_the_number_of_groups_is_a_whole_number(num_groups):
    with pytest.raises(UserError, match="num_groups is"):
        build_objective("ctc", num_groups)


def test_no_group_is_no_objective():
    with pytest.raises(UserError, match="at least one group"):
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
