"""One tiny exported model for the whole folder, and what torch says beside it."""

import zipfile
from pathlib import Path

import pytest

from tests.export.onnx.exps import write_exp

KEYS = {
    "frontend": "default", "frontend_conf": {"n_mels": 20, "hop_length": 160},
    "encoder": "conv_ctc", "token_type": "char",
    "encoder_conf": {"hidden_size": 16, "num_blocks": 2, "kernel_size": 5, "strides": [2, 2]},
}  # fmt: skip


@pytest.fixture(scope="session")
def experiment(tmp_path_factory) -> Path:
    """An untrained experiment that says much."""
    return write_exp(tmp_path_factory.mktemp("runtime") / "exp", KEYS)


@pytest.fixture(scope="session")
def exported(experiment) -> Path:
    """Its exported folder."""
    from asr_dro_plugin.export.onnx.folder import export_onnx

    out = experiment.with_name("exported")
    export_onnx(experiment, out)
    return out


@pytest.fixture(scope="session")
def zipped(exported) -> Path:
    """The same as a zip of the folder, as ``zip -r`` makes it."""
    out = exported.with_suffix(".zip")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(exported.rglob("*")):
            archive.write(path, Path(exported.name) / path.relative_to(exported))
    return out
