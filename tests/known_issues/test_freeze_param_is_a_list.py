"""``freeze_param: 1`` ended in a traceback: options that are lists take a bare number elsewhere."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.check import check_config


def test_a_bare_number_is_refused_in_one_line():
    config = {"encoder": "conv_ctc", "decoder": "none", "model_conf": {"ctc_weight": 1.0}}
    check_config({**config, "freeze_param": ["frontend"]}, "x.yaml")
    with pytest.raises(UserError, match=r"^x\.yaml: freeze_param is 1, which is no list\."):
        check_config({**config, "freeze_param": 1}, "x.yaml")
