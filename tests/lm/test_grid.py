import json

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm import grid as lm_grid

SOURCE = {"model": "1", "lm": "2"}


def valley(alpha, beta):
    """A trial whose error is least at alpha 0.6, beta 0.4."""
    rate = 0.1 + (alpha - 0.6) ** 2 + 0.1 * (beta - 0.4) ** 2
    return lm_grid.Trial(alpha, beta, rate, 2 * rate, 3 * rate, 0.1)


def trials(path, **changes):
    return lm_grid.Trials(path, **{"source": SOURCE, **changes})


def test_the_grid_is_refined_around_its_best(tmp_path):
    found = trials(tmp_path / "t.json")
    lm_grid.run_grid(found, lambda point: valley(*point), (0.0, 0.5, 1.0), (0.0, 1.0))
    assert {(0.0, 0.0), (1.0, 1.0), (0.75, 0.5)} <= found.done.keys()
    assert found.best.point == (0.5, 0.5) and found.at_edge() == []
    assert len(found.done) == 6 + 5  # half steps to the sides that exist
    again = trials(tmp_path / "t.json")
    lm_grid.run_grid(again, lambda _: pytest.fail("again"), (0.0, 0.5, 1.0), (0.0, 1.0))


def test_points_are_spread_over_the_ranges_and_end_around_the_best(tmp_path):
    found = trials(tmp_path / "t.json")
    lm_grid.run_points(found, lambda point: valley(*point), 30, (0.0, 2.0), (-1.0, 1.0))
    assert len(found.done) == 30
    assert all(0 <= a <= 2 and -1 <= b <= 1 for a, b in found.done)
    assert found.best.macro_cer < 0.12
    again = trials(tmp_path / "t.json")
    lm_grid.run_points(again, lambda _: pytest.fail("again"), 30, (0.0, 2.0), (-1.0, 1.0))


def test_a_finished_trial_is_not_done_again(tmp_path):
    path, asked = tmp_path / "t.json", []

    def stop_after_three(point):
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(point)
        return valley(*point)

    with pytest.raises(KeyboardInterrupt):
        lm_grid.run_grid(trials(path), stop_after_three, (0.0, 0.5), (0.0, 1.0))
    again, more = trials(path), []
    lm_grid.run_grid(again, lambda p: more.append(p) or valley(*p), (0.0, 0.5), (0.0, 1.0))
    assert not set(asked) & set(more) and set(asked) | set(more) == set(again.done)
    whole = trials(tmp_path / "whole.json")
    lm_grid.run_grid(whole, lambda p: valley(*p), (0.0, 0.5), (0.0, 1.0))
    assert (tmp_path / "whole.json").read_bytes() == path.read_bytes()


def test_trials_of_another_source_are_refused(tmp_path):
    path = tmp_path / "t.json"
    trials(path).add(valley(0.0, 0.0))
    with pytest.raises(UserError, match="trials of another lm. Delete it"):
        trials(path, source={**SOURCE, "lm": "3"})
    path.write_text("{}")
    with pytest.raises(UserError, match="holds no trials"):
        trials(path)


def test_the_best_at_the_edge_is_told_but_not_a_weight_of_0(tmp_path):
    found = trials(tmp_path / "t.json")
    for alpha in (0.0, 0.2, 0.4):
        for beta in (0.0, 1.0, 2.0):
            found.done[alpha, beta] = valley(alpha, beta)
    assert found.at_edge() == ["the highest alpha", "the lowest beta"]
    found.done = {p: lm_grid.Trial(*p, p[0], p[0], p[0], 0.0) for p in [(0.0, 1.0), (1.0, 1.0)]}
    assert found.best.point == (0.0, 1.0) and found.at_edge() == []


def test_the_criterion_decides(tmp_path):
    found = trials(tmp_path / "t.json", criterion="worst_cer")
    found.add(lm_grid.Trial(0.1, 0.0, 0.1, 0.1, 0.9, 0.0))
    found.add(lm_grid.Trial(0.2, 0.0, 0.2, 0.2, 0.3, 0.0))
    assert found.best.lm_weight == 0.2
    kept = json.loads(found.path.read_text())
    assert kept["best"]["lm_weight"] == 0.2 and kept["criterion"] == "worst_cer"


def test_the_table_marks_the_best_and_the_picture_is_one(tmp_path):
    found = trials(tmp_path / "t.json")
    for point in ((0.0, 0.0), (0.5, 0.0)):
        found.add(valley(*point))
    lines = list(lm_grid.table(found))
    assert [line.endswith("<- best") for line in lines] == [False, False, True]
    lm_grid.draw(found, tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
