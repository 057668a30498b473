"""ESPnet's trainer resumes from our checkpoints, and ours reads those of ESPnet's."""

import numpy as np
import pytest
import torch
from espnet2.train.trainer import Trainer

from asr_dro_plugin.checkpoints.store import CheckpointStore
from asr_dro_plugin.espnet.run.reporter import DROReporter


class Run:
    """What ``Trainer.resume`` restores, after ``num_steps`` steps."""

    def __init__(self, num_steps: int = 0) -> None:
        torch.manual_seed(num_steps)
        self.model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.1)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, 0.5)
        self.reporter = DROReporter()
        for step in range(num_steps):
            self.model(torch.randn(4, 3)).sum().backward()
            self.optimizer.step()
            self.scheduler.step()
            self.reporter.set_epoch(step + 1)
            with self.reporter.observe("valid") as sub:
                sub.register({"cer": np.float64(1 / (step + 1))})
                sub.next()

    def state(self) -> dict:
        return {
            "model": self.model.state_dict(),
            "reporter": self.reporter.state_dict(),
            "optimizers": [self.optimizer.state_dict()],
            "schedulers": [self.scheduler.state_dict()],
            "scaler": None,
        }

    def resume(self, checkpoint) -> None:
        Trainer.resume(
            checkpoint, self.model, self.reporter, [self.optimizer], [self.scheduler], None
        )


def assert_same(one: Run, other: Run) -> None:
    torch.testing.assert_close(one.state(), other.state(), rtol=0, atol=0)


def test_espnet_resumes_from_ours_with_what_it_does_not_know_beside_it(tmp_path, monkeypatch):
    monkeypatch.delenv("ESPNET_ALLOW_UNSAFE_TORCH_LOAD", raising=False)
    run, again = Run(3), Run()
    extras = {"numpy": np.random.get_state(), "cursor": {"epoch": 2}}  # noqa: NPY002
    store = CheckpointStore(tmp_path)
    store.save({**run.state(), "asr_dro": extras}, 3, sync=True)
    again.resume(tmp_path / "checkpoint.pth")
    assert_same(run, again)


@pytest.mark.parametrize("named", ["checkpoint.pth", "checkpoint.00000003.pth"])
def test_ours_reads_espnets(tmp_path, named):
    run, again = Run(3), Run()
    torch.save(run.state(), tmp_path / named)
    state, path = CheckpointStore(tmp_path).load()
    assert path.name == named
    again.resume(path)
    torch.testing.assert_close(state, again.state(), rtol=0, atol=0)
