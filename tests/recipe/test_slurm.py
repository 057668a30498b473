"""The recipe through a real Slurm that the test starts."""

import pytest

from tests.shell.conftest import slurm  # noqa: F401  the fixture

pytestmark = pytest.mark.slurm


def test_every_stage_that_computes_goes_through_slurm(fresh_recipe, slurm):  # noqa: F811
    config = fresh_recipe.write_config("short.yaml", max_epoch=1, num_iters_per_epoch=2)
    output = fresh_recipe.run(
        "--asr_config", str(config), CMD_BACKEND="slurm",
        PATH=slurm.env["PATH"], SLURM_CONF=slurm.env["SLURM_CONF"],
    ).stdout  # fmt: skip
    assert "macro" in output
    for log in (
        "dump/raw/org/logs/train_tsv/dump.1.log",
        "exp/asr_short_raw_tsv_char/train.log",
        "exp/asr_short_raw_tsv_char/decode_asr_greedy_valid.cer_ctc.ave/test_tsv/logs/decode.1.log",
    ):
        text = (fresh_recipe.path / log).read_text()
        assert "Ended (code 0)" in text
    assert not slurm.call("squeue", "-h").strip()
