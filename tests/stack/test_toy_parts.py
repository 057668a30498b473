"""What an objective, a sampler, an optimizer or a schedule refuses is refused before training."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.toy_parts import check_parts

PLAIN = {"model": "dro", "optim": "adam", "iterator_type": "task"}


@pytest.mark.parametrize(
    "config",
    [
        {},
        PLAIN,
        {**PLAIN, "objective": "none", "sampler": "sorted", "optim": "novograd"},
        {**PLAIN, "objective_conf": {"signal": "excess", "reference": "group_losses.json"}},
        {**PLAIN, "objective_conf": {"experimental": {"size_adjustment": 2.0}}},
        {**PLAIN, "scheduler": "tri_stage", "scheduler_conf": {"max_steps": 100}},
        {"model": "espnet", "objective_conf": {"cap": -1.0}, "sampler_conf": {"duration": -1.0}},
    ],
)
def test_what_can_be_built_passes(config):
    check_parts(config)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objective_conf": {"experimental": {"floor": 0.5}}}, "floor must be at least 0"),
        ({"sampler": "temperature", "sampler_conf": {"tau": 0.5}}, "tau must be at least 1"),
        ({"optim_conf": {"lr": -1.0}}, "optim_conf of optim adam is refused: .*-1.0"),
        ({"scheduler": "tri_stage"}, "needs scheduler_conf.max_steps"),
        ({"scheduler": "warmup_cosine", "scheduler_conf": {"max_steps": 9}}, "less than max_steps"),
        ({"scheduler": "onecyclelr", "scheduler_conf": {"max_lr": 1.0, "total_steps": -1}},
         "scheduler_conf of scheduler onecyclelr is refused"),
    ],
)  # fmt: skip
def test_what_cannot_is_refused_in_one_line(changes, words):
    with pytest.raises(UserError, match=words) as error:
        check_parts({**PLAIN, **changes})
    assert "\n" not in str(error.value)
