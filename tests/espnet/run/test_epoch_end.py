"""epoch_end: ESPnet's files and links, the newest group weights, and nothing ever half there."""

import logging
import math
import os
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from espnet2.main_funcs.average_nbest_models import average_nbest_models
from espnet2.train.reporter import Reporter

from asr_dro_plugin.base.files import link
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.run import epoch_end
from asr_dro_plugin.espnet.run.epoch_end import (
    EpochEnd,
    average_nbest,
    average_states,
    prune_epochs,
    save_epoch,
    update_best_links,
)
from asr_dro_plugin.espnet.run.reporter import DROReporter

CER = ("valid", "cer", "min")
ACC = ("valid", "acc", "max")


def state_of(epoch: int) -> dict:
    generator = torch.Generator().manual_seed(epoch)
    return {
        "encoder.weight": torch.randn(3, 4, generator=generator),
        "norm.running_var": torch.rand(4, generator=generator),
        "norm.num_batches_tracked": torch.tensor(100 * epoch),
        "objective.group_ratios": torch.full((2,), float(epoch)),
        "objective.num_updates": torch.tensor(10 * epoch),
        "mask": torch.tensor([True, False]),
    }


def run(folder: Path, *values: dict[str, float], kind=DROReporter) -> Reporter:
    """An experiment with one epoch a set of figures."""
    reporter = kind()
    for epoch, figures in enumerate(values, 1):
        reporter.set_epoch(epoch)
        reporter.stats[epoch] = {"valid": {**figures, "total_count": epoch}}
        save_epoch(folder, state_of(epoch), epoch)
    return reporter


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_weights_are_averaged_and_the_rest_is_the_newest_epochs():
    result = average_states([state_of(5), state_of(7), state_of(2)], newest=1)
    for name in ("encoder.weight", "norm.running_var"):
        mean = torch.stack([state_of(e)[name].double() for e in (5, 7, 2)]).mean(0)
        torch.testing.assert_close(result[name], mean.float(), rtol=0, atol=1e-7)
    for name in (
        "norm.num_batches_tracked",
        "objective.group_ratios",
        "objective.num_updates",
        "mask",
    ):
        assert torch.equal(result[name], state_of(7)[name])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.complex64])
def test_what_did_not_change_is_the_same_to_the_last_bit(dtype):
    frozen = torch.randn(1000).to(dtype)
    result = average_states([{"w": frozen.clone()} for _ in range(3)], newest=0)["w"]
    assert result.dtype == dtype
    assert torch.equal(result, frozen)


def test_half_precision_does_not_overflow_in_the_sum():
    states = [{"w": torch.tensor([60000.0]).half()} for _ in range(10)]
    assert average_states(states, 0)["w"].item() == states[0]["w"].item()


def test_the_states_themselves_are_left_alone():
    states = [state_of(1), state_of(2)]
    average_states(states, newest=1)
    assert all(torch.equal(states[0][name], tensor) for name, tensor in state_of(1).items())
    assert all(torch.equal(states[1][name], tensor) for name, tensor in state_of(2).items())


def test_models_of_different_make_are_refused():
    with pytest.raises(UserError, match="different make: not all have extra"):
        average_states([{"w": torch.ones(1)}, {"w": torch.ones(1), "extra": torch.ones(1)}], 1)


FIGURES = [
    {"cer": 5.0, "acc": 0.1},
    {"cer": 2.0, "acc": 0.4},
    {"cer": 3.0, "acc": 0.9},
    {"cer": 9.0, "acc": 0.8},
]


@pytest.mark.parametrize("nbest", [1, 3, [1, 2, 4], [2, 9], 9, []])
@pytest.mark.parametrize("suffix", [None, "till4epoch"])
def test_files_links_and_means_are_espnets(tmp_path, nbest, suffix):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    run(theirs, *FIGURES)
    criteria = [CER, ACC, ("valid", "nothing", "min")]
    average_nbest(ours, run(ours, *FIGURES), criteria, nbest, suffix)
    reporter = Reporter()
    reporter.load_state_dict(run(theirs, *FIGURES).state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ESPnet's word on an empty nbest
        average_nbest_models(theirs, reporter, criteria, nbest, suffix)
    assert names(ours) == names(theirs)
    for name in names(ours):
        assert (ours / name).is_symlink() == (theirs / name).is_symlink()
        if (ours / name).is_symlink():
            assert os.readlink(ours / name) == os.readlink(theirs / name)
        for key in ("encoder.weight", "norm.running_var"):
            torch.testing.assert_close(load(ours / name)[key], load(theirs / name)[key])


def test_the_average_carries_the_group_weights_of_its_newest_epoch_not_its_best(tmp_path):
    average_nbest(tmp_path, run(tmp_path, *FIGURES), [CER], 2)  # epochs 2 and 3, best first
    average = load(tmp_path / "valid.cer.ave.pth")
    assert average["objective.group_ratios"].tolist() == [3.0, 3.0]
    assert average["objective.num_updates"].item() == 30
    assert average["norm.num_batches_tracked"].item() == 300


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_epoch_takes_no_part_while_there_is_another(tmp_path, bad):
    reporter = run(tmp_path, {"cer": bad}, {"cer": 2.0}, {"cer": bad}, {"cer": 4.0})
    average_nbest(tmp_path, reporter, [CER], [2, 3])
    assert os.readlink(tmp_path / "valid.cer.ave.pth") == "valid.cer.ave_2best.pth"
    mean = (state_of(2)["encoder.weight"] + state_of(4)["encoder.weight"]) / 2
    torch.testing.assert_close(load(tmp_path / "valid.cer.ave.pth")["encoder.weight"], mean)


def test_where_all_have_diverged_there_is_still_a_model_to_look_at(tmp_path):
    reporter = run(tmp_path, {"cer": math.nan}, {"cer": math.nan})
    average_nbest(tmp_path, reporter, [CER], 2)
    assert load(tmp_path / "valid.cer.ave.pth")["objective.num_updates"].item() == 10


def test_an_epoch_whose_file_is_gone_is_left_out_aloud(tmp_path, caplog):
    reporter = run(tmp_path, *FIGURES)
    (tmp_path / "3epoch.pth").unlink()
    average_nbest(tmp_path, reporter, [CER], 3)  # epochs 2, 3, 1
    assert "left out epoch 3" in caplog.text
    mean = (state_of(1)["encoder.weight"] + state_of(2)["encoder.weight"]) / 2
    torch.testing.assert_close(load(tmp_path / "valid.cer.ave_3best.pth")["encoder.weight"], mean)


def test_where_no_file_is_left_no_link_leads_nowhere(tmp_path, caplog):
    reporter = run(tmp_path, {"cer": 1.0})
    (tmp_path / "1epoch.pth").unlink()
    average_nbest(tmp_path, reporter, [CER], 1)
    assert names(tmp_path) == ["latest.pth"]


def test_a_link_is_replaced_in_one_move_whatever_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    path.write_text("a file")
    link(path, "1epoch.pth")
    link(path, "2epoch.pth")
    assert os.readlink(path) == "2epoch.pth"

    def fail(*paths):
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no"):
        link(path, "3epoch.pth")
    assert os.readlink(path) == "2epoch.pth"
    assert names(tmp_path) == ["a.pth"]


def best_links(folder: Path, values: list[float], mode: str = "min") -> list[tuple[str, bool]]:
    """After each epoch: where the best link points to, and whether that epoch has won."""
    reporter, found = DROReporter(), []
    for epoch, value in enumerate(values, 1):
        reporter.set_epoch(epoch)
        reporter.stats[epoch] = {"valid": {"cer": value}}
        save_epoch(folder, state_of(epoch), epoch)
        improved = update_best_links(folder, reporter, [("valid", "cer", mode)], epoch)
        path = folder / "valid.cer.best.pth"
        found.append((os.readlink(path) if path.is_symlink() else "", improved == ["valid.cer"]))
    return found


def test_the_best_link_moves_on_improvement_only(tmp_path):
    assert best_links(tmp_path, [3.0, 3.0, 2.0, 4.0]) == [
        ("1epoch.pth", True),
        ("1epoch.pth", False),
        ("3epoch.pth", True),
        ("3epoch.pth", False),
    ]
    assert os.readlink(tmp_path / "latest.pth") == "4epoch.pth"


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_epoch_is_never_the_best(tmp_path, mode, bad):
    bad = -bad if mode == "min" else bad  # the one that would win by its value
    found = best_links(tmp_path, [bad, 5.0, bad], mode)
    assert found == [("", False), ("2epoch.pth", True), ("2epoch.pth", False)]


def test_a_link_that_a_kill_has_kept_from_moving_moves_with_the_next_epoch(tmp_path):
    reporter = run(tmp_path, {"cer": 2.0}, {"cer": 1.0}, {"cer": 3.0})
    link(tmp_path / "valid.cer.best.pth", "1epoch.pth")
    assert update_best_links(tmp_path, reporter, [CER], 3) == []
    assert os.readlink(tmp_path / "valid.cer.best.pth") == "2epoch.pth"


def test_pruning_keeps_the_best_of_every_criterion_and_the_latest(tmp_path):
    reporter = run(tmp_path, *FIGURES, {"cer": 99.0, "acc": 0.0})
    removed = prune_epochs(tmp_path, reporter, [CER, ACC], [1, 2], 5)
    # best two by cer: 2 and 3; by acc: 3 and 4; the latest: 5
    assert [path.name for path in removed] == ["1epoch.pth"]
    assert names(tmp_path) == ["2epoch.pth", "3epoch.pth", "4epoch.pth", "5epoch.pth", "latest.pth"]
    assert prune_epochs(tmp_path, reporter, [CER, ACC], 2, 5) == []


def test_a_figure_that_one_epoch_lacks_does_not_cost_the_best_models(tmp_path):
    reporter = run(tmp_path, {"cer": 1.0}, {"cer": 2.0}, {})
    assert [path.name for path in prune_epochs(tmp_path, reporter, [CER], 1, 3)] == ["2epoch.pth"]


def test_what_is_averaged_is_said(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        average_nbest(tmp_path, run(tmp_path, *FIGURES), [CER], 2)
    assert "Averaging epochs [2, 3]" in caplog.text


class Drawing:
    """A run whose pictures take two seconds; its clock is the test's."""

    def __init__(self, monkeypatch, use_matplotlib: bool = True) -> None:
        self.now, self.drawn_at = 0.0, []
        monkeypatch.setattr(epoch_end.time, "monotonic", lambda: self.now)
        reporter = SimpleNamespace(log_message=lambda: "", matplotlib_plot=self.draw)
        options = SimpleNamespace(use_matplotlib=use_matplotlib)
        run = SimpleNamespace(options=options, reporter=reporter, output_dir=Path("exp"))
        self.end = EpochEnd(run, SimpleNamespace(epoch=lambda: None))

    def draw(self, folder: Path) -> None:
        assert folder == Path("exp/images")
        self.drawn_at.append(self.now)
        self.now += 2

    def epochs(self, number: int, seconds: float) -> None:
        for _ in range(number):
            self.now += seconds
            self.end.report()


def test_short_epochs_are_drawn_once_a_minute_and_at_the_end(monkeypatch):
    run = Drawing(monkeypatch)
    run.epochs(16, 10)
    run.end.draw()
    run.end.draw()
    assert run.drawn_at == [60, 122, 164]


def test_long_epochs_are_each_drawn_once(monkeypatch):
    run = Drawing(monkeypatch)
    run.epochs(3, 100)
    run.end.draw()
    assert run.drawn_at == [100, 202, 304]


def test_nothing_is_drawn_where_none_is_wanted_or_no_epoch_has_come(monkeypatch):
    run = Drawing(monkeypatch, use_matplotlib=False)
    run.epochs(9, 100)
    run.end.draw()
    Drawing(monkeypatch).end.draw()
    assert run.drawn_at == []
