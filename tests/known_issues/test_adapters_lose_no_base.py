"""Adapters of ``init_exp`` went on in a random network where no ``ssl_checkpoint`` stood beside
them, and files of adapters alone left out what a pretrained model had learned before."""

import pytest
import torch

from asr_dro_plugin.errors import UserError
from tests.espnet.start.test_adapter_files import (  # noqa: F401  the fixtures
    base,
    config_of,
    emission,
    packed,
    train,
    trained,
)

pytest_plugins = ["tests.fixtures_ssl"]
STILL = {"max_epoch": 1, "optim_conf": {"lr": 0.0}}


@pytest.mark.parametrize("strategy", ["all", "adapter_only"])
def test_adapters_alone_go_on_in_the_base_that_they_name(trained, train, strategy):  # noqa: F811
    own = {"encoder_conf": config_of(trained)["encoder_conf"], "ssl_checkpoint": None}
    words = ["--init_exp", str(trained)]
    exp = train(f"on_{strategy}", *words, **own, save_strategy=strategy, **STILL)
    assert torch.equal(emission(exp, "1epoch.pth"), emission(trained))


def test_an_unpacked_model_brings_its_base_along(trained, train, tmp_path):  # noqa: F811
    own = {"encoder_conf": config_of(trained)["encoder_conf"], "ssl_checkpoint": None}
    exp_inside = next(packed(trained, tmp_path).rglob("config.yaml")).parent
    exp = train("of_pack", "--init_exp", str(exp_inside), **own, save_strategy="all", **STILL)
    assert torch.equal(emission(exp, "1epoch.pth"), emission(trained))


def test_a_base_that_learned_is_not_left_out_of_later_files(train):  # noqa: F811
    free = {"rank": 4, "target_modules": ["q_proj", "v_proj"], "freeze": False}
    first = train("free", adapter_conf=free, save_strategy="all", max_epoch=1)
    words = ["--init_exp", str(first)]
    with pytest.raises(UserError, match="has learned .* Set save_strategy: all"):
        train("lost", *words, **STILL)
    exp = train("kept", *words, save_strategy="all", **STILL)
    assert torch.equal(emission(exp, "1epoch.pth"), emission(first, "1epoch.pth"))
