"""A dropout or a label that is no number or text ended an import with a traceback, or was taken."""

from pathlib import Path

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.importing.nemo import _tokens, network
from tests.importing.nemo_files import block

PATH = Path("x.nemo")


@pytest.mark.parametrize("share", ["x", [1], float("nan"), 1.0, -0.1])
def test_a_dropout_that_is_no_share_is_named(share):
    with pytest.raises(UserError, match=r"jasper\[0\].dropout is .*not in \[0, 1\)"):
        network({"jasper": [block(8, 5, dropout=share)]}, PATH)


@pytest.mark.parametrize("label", [{}, ["a"], None, 1.5])
def test_a_label_that_is_no_text_is_refused(label):
    with pytest.raises(UserError, match="its vocabulary holds"):
        _tokens({}, {"vocabulary": ["a", label]}, PATH)
