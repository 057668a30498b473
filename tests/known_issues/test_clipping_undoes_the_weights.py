"""CTC-DRO gave plain CTC's model to the digit: each update was one group's, clipped to one length.

A real Whisper with LoRA, ``accum_grad: 1``, ``grad_clip: 1`` and gradients a hundred times as long:
the weights moved (.08 to .41) and did nothing, without a word.
"""

import logging

import pytest

from tests.espnet.conftest import arguments, write_config

PLAN = {"model": "dro", "iterator_type": "task", "sampler_conf": {"duration": 4.0}}


@pytest.fixture
def train(task, dump, tmp_path, caplog):
    """Function of a configuration's changes: the warnings of a training with them."""

    def run(**changes) -> str:
        config = write_config(tmp_path / "train.yaml", **PLAN, **changes)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            task.main(cmd=arguments(dump, tmp_path / "exp", config))
        return "\n".join(record.getMessage() for record in caplog.records)

    return run


@pytest.mark.parametrize(
    ("changes", "is_said"),
    [
        ({"grad_clip": 1e-3}, True),
        ({"grad_clip": 1e-3, "accum_grad": 2}, False),  # weights differ within an update
        ({"grad_clip": 1e-3, "objective": "ctc"}, False),  # no weights
    ],
)
def test_where_clipping_undoes_the_weights_of_groups_it_is_said(train, changes, is_said):
    said = train(**changes)
    assert ("The groups' weights do little" in said) == is_said, said
