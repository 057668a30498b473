"""A pretrained checkpoint whose layout is not known goes into the package as it is."""

import pytest
import torch

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.packing.hollow import checkpoint_members


def test_an_unknown_layout_goes_in_whole(tmp_path):
    file = tmp_path / "other.pt"
    torch.save({"a": torch.ones(2)}, file)
    assert checkpoint_members(file, 2) == {"other.pt": file.resolve()}
    (tmp_path / "vocab.json").write_text("{}")
    (tmp_path / "below").mkdir()
    whole = checkpoint_members(tmp_path, 2)
    assert whole == {name: (tmp_path / name).resolve() for name in ("other.pt", "vocab.json")}


def test_a_checkpoint_that_is_gone_is_asked_for(tmp_path):
    with pytest.raises(UserError, match="gone.pt is not there, .* Put it back"):
        checkpoint_members(tmp_path / "gone.pt", 2)


class Tool:
    """An object of code, which no loader of plain data makes."""


def test_pickled_objects_never_go_into_a_package(tmp_path):
    torch.save({"a": Tool()}, tmp_path / "other.bin")
    with pytest.raises(UserError, match="other.bin pickles objects"):
        checkpoint_members(tmp_path, 2)
