"""asr-dro pack wanted a training's average of an imported experiment, which has one model file."""

import torch

from asr_dro_plugin.export.pack import PackOptions, pack
from asr_dro_plugin.packing.unpack import unpack
from tests import hf_models
from tests.importing.reading import imported


def test_an_imported_experiment_is_packed_without_naming_its_file(tmp_path):
    hf_models.write_folder(tmp_path / "hf")
    exp = imported("hf", tmp_path / "hf", tmp_path / "exp")
    pack(exp, tmp_path / "model.zip", PackOptions())
    made = unpack(tmp_path / "model.zip", tmp_path / "unpacked")
    states = [torch.load(f, weights_only=True) for f in (exp / "model.pth", made.exp / "model.pth")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
