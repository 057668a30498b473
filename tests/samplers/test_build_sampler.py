"""A sampler refuses settings that it does not have, and values of another kind, in one line."""

import numpy as np
import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.samplers import build_sampler, plan_batches


@pytest.mark.parametrize(
    ("method", "conf", "words"),
    [
        (
            "group_duration",
            {"durations": 4},
            ".*'durations' is no argument. Did you mean 'duration'",
        ),
        (
            "balanced",
            {"max_repeats": 2},
            ".*max_repeats.*Legal: duration, num_b",
        ),
        ("group_duration", {"duration": "4"}, "duration must be a number, not '4'"),
        ("group_duration", {"duration": True}, "duration must be a number, not True"),
        ("group_duration", {"duration": None}, "duration must be a number, not None"),
        ("temperature", {"tau": "x"}, "tau must be a number, not 'x'"),
        ("temperature", {"max_repeats": 2.5}, "max_repeats must be a whole number, not 2.5"),
        ("balanced", {"num_batches": "9"}, "num_batches must be a whole number or none, not '9'"),
        ("sorted", {"shuffle": 1}, "shuffle must be true or false, not 1"),
    ],
)
def test_what_a_sampler_cannot_take_is_refused(method, conf, words):
    with pytest.raises(UserError, match=f"^sampler_conf of sampler {method}: {words}"):
        build_sampler(method, **conf)


def test_without_espnet_too_a_misspelt_setting_is_answered_with_the_right_one():
    with pytest.raises(UserError, match="Did you mean 'tau'"):
        plan_batches([1.0], [0], method="temperature", taus=2.0)


def test_numbers_may_be_numpys_and_whole_ones_stand_for_others():
    sampler = build_sampler(
        "temperature", duration=np.float32(8), tau=2, max_repeats=np.int64(3), num_batches=None
    )
    assert (sampler.duration, sampler.tau, sampler.max_repeats) == (8.0, 2.0, 3)
