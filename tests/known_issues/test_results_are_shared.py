"""What is given away can be read by others: the umask decides, not a library's temporary file.

safetensors writes through a temporary file and leaves its mode, 0600, on the weights.
"""

import os
import stat

import pytest

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.new_folder import new_folder
from asr_dro_plugin.checkpoints.file import save_model
from asr_dro_plugin.export.hf import export_hf
from asr_dro_plugin.packing.archive import write_zip
from tests import hf_models
from tests.importing.reading import imported


@pytest.fixture(params=[0o022, 0o002, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink()}  # fmt: skip


def test_exported_weights_have_the_mode_of_any_new_file(umask, tmp_path):
    hf_models.write_folder(tmp_path / "hf", "wav2vec2")
    exp = imported("hf", tmp_path / "hf", tmp_path / "exp")
    export_hf(exp, tmp_path / "out")
    found = modes(tmp_path / "out")
    assert found["model.safetensors"] == 0o666 & ~umask
    assert set(found.values()) == set(modes(exp).values()) == {0o666 & ~umask}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o777 & ~umask


def test_averages_packs_and_texts_have_it_too(umask, tmp_path):
    import torch

    save_model(tmp_path / "ave.pth", {"a": torch.ones(2)})
    write_zip(tmp_path / "model.zip", {"a.txt": b"a"}, {})
    with atomic_write(tmp_path / "text") as stream:
        stream.write("a")
    with new_folder(tmp_path / "folder") as folder:
        (folder / "b").write_text("b")
    assert set(modes(tmp_path).values()) == {0o666 & ~umask}
