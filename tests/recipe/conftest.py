"""A recipe directory of the test's own, linked to the real one: nothing is written there."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests import toy

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "egs2" / "asr_dro" / "asr1"

TINY = {
    "frontend": "default",
    "frontend_conf": {"fs": "16k", "n_fft": 512, "hop_length": 160, "n_mels": 40},
    "normalize": "utterance_mvn",
    "model": "dro",
    "model_conf": {"ctc_weight": 1.0},
    "encoder": "conv_ctc",
    "encoder_conf": {"hidden_size": 48, "num_blocks": 2, "kernel_size": 5, "dropout": 0.0},
    "decoder": "none",
    "batch_type": "sorted",
    "batch_size": 8,
    "num_workers": 0,
    "seed": 0,
    "max_epoch": 3,
    "num_iters_per_epoch": 48,
    "optim": "adam",
    "optim_conf": {"lr": 0.004},
    "num_att_plot": 0,
    "best_model_criterion": [["valid", "cer_ctc", "min"]],
    "keep_nbest_models": 1,
}


class Recipe:
    """A recipe directory and a way to run its ``run.sh``."""

    def __init__(self, root: Path) -> None:
        self.path = root / "egs2" / "toy" / "asr1"
        self.path.mkdir(parents=True)
        for name in ("conf", "local", "tools", "asr_dro_plugin"):
            (root / name).symlink_to(ROOT / name)
        for name in ("run.sh", "asr.sh", "path.sh", "cmd.sh", "db.sh"):
            (self.path / name).symlink_to(RECIPE / name)
        for name, target in (("conf", "conf"), ("local", "local"), ("utils", "tools/utils")):
            (self.path / name).symlink_to(Path("../../..") / target)
        self.table = toy.write_table(root / "corpus", num=24)
        self.config = self.write_config("train_asr_tiny.yaml")

    def write_config(self, name: str, **changes) -> Path:
        """``TINY`` with changes beside the recipe."""
        path = self.path / name
        path.write_text(yaml.safe_dump({**TINY, **changes}), encoding="utf-8")
        return path

    def run(self, *words: str, check: bool = True, **environment) -> subprocess.CompletedProcess:
        """``./run.sh`` on the toy corpus with the tiny configuration."""
        command = ["./run.sh", "--corpus", "tsv", "--data_source", str(self.table)]
        command += ["--asr_config", str(self.config), "--inference_nj", "1", *words]
        done = subprocess.run(
            command, cwd=self.path, env={**os.environ, **environment}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout[-6000:]
        return done

    def files(self) -> dict[str, int]:
        """Every file below the recipe with its time of change."""
        return {
            str(path.relative_to(self.path)): path.lstat().st_mtime_ns
            for path in sorted(self.path.rglob("*"))
            if path.is_file() and not path.is_symlink() and "__pycache__" not in path.parts
        }


@pytest.fixture(scope="session")
def recipe(tmp_path_factory) -> Recipe:
    """A recipe that has been run to the table once; tests/conftest.py keeps its users together."""
    made = Recipe(tmp_path_factory.mktemp("recipe"))
    made.output = made.run("--stop_stage", "14").stdout
    return made


@pytest.fixture
def fresh_recipe(tmp_path) -> Recipe:
    """A recipe nothing has been run in."""
    return Recipe(tmp_path)
