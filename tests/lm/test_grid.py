import json

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm import grid as lm_grid
from asr_dro_plugin.lm.grid_plot import draw
from tests.lm.test_by_language import counts

SOURCE = {"model": "1", "lm": "2"}


def valley(alpha, beta, penalty=0.0):
    """A trial whose error is least at alpha 0.6, beta 0.4, penalty 0.7."""
    rate = 0.1 + (alpha - 0.6) ** 2 + 0.1 * (beta - 0.4) ** 2 + 0.01 * (penalty - 0.7) ** 2
    return lm_grid.Trial(alpha, beta, penalty, rate, 2 * rate, 3 * rate, {"eng": rate}, 0.1)


def evaluate(point, own):
    """Of two languages: English as in ``valley``, German best without a language model."""
    utts = {lang: int(1e4 * valley(*own.get(lang, point)).macro_cer) for lang in ("eng", "deu")}
    utts["deu"] = int(1e3 * own.get("deu", point)[0])
    return valley(*point), {lang: counts([errors] * 20) for lang, errors in utts.items()}


def never(*_):
    pytest.fail("again")


def trials(path, **changes):
    return lm_grid.Trials(path, **{"source": SOURCE, **changes})


def test_the_grid_is_refined_around_its_best(tmp_path):
    found, grid = trials(tmp_path / "t.json"), lm_grid.Grid((0.0, 0.5, 1.0), (0.0, 1.0), (0.0,))
    lm_grid.run_joint(found, evaluate, grid)
    assert {(0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.75, 0.5, 0.0)} <= found.done.keys()
    assert found.best.point == (0.5, 0.5, 0.0) and found.at_edge() == []
    assert len(found.done) == 6 + 5  # half steps to the sides that exist
    again = trials(tmp_path / "t.json")
    lm_grid.run_joint(again, never, grid)
    assert again.counts.keys() == {"eng", "deu"}


def test_penalties_are_tried_in_the_best_place_and_then_the_pairs_around_it(tmp_path):
    found, grid = trials(tmp_path / "t.json"), lm_grid.Grid((0.0, 0.5, 1.0), (0.0, 1.0), (0.0, 1.0))
    lm_grid.run_joint(found, evaluate, grid)
    assert (0.5, 0.5, 1.0) in found.done and (0.0, 0.0, 1.0) not in found.done
    assert found.best.point == (0.625, 0.5, 0.5) or found.best.point == (0.5, 0.5, 0.5)
    assert len(found.done) <= grid.num_trials


def test_each_language_is_looked_for_around_its_own_best_in_common_trials(tmp_path):
    found, grid = trials(tmp_path / "t.json"), lm_grid.Grid((0.25, 0.5, 1.0), (0.0, 1.0), (0.0,))
    lm_grid.run_joint(found, evaluate, grid)
    joint, asked = set(found.done), []

    def spy(point, own):
        asked.append(own)
        return evaluate(point, own)

    lm_grid.run_by_language(found, spy, grid, ["deu", "eng"])
    assert found.best_for("deu", found.counts["deu"]) == (0.25, 0.0, 0.0)
    new = {lang: set(found.counts[lang]) - joint for lang in ("deu", "eng")}
    assert new == {"deu": {(0.25, 0.5, 0.0)}, "eng": set()}
    assert asked == [{"deu": (0.25, 0.5, 0.0)}] and found.done.keys() == joint
    lm_grid.run_by_language(trials(tmp_path / "t.json"), never, grid, ["deu", "eng"])


def test_points_are_spread_over_the_ranges_and_end_around_the_best(tmp_path):
    found = trials(tmp_path / "t.json")
    search = lm_grid.Spread(30, ((0.0, 2.0), (-1.0, 1.0), (0.0, 0.0)))
    lm_grid.run_joint(found, evaluate, search)
    assert len(found.done) == 30
    assert all(0 <= a <= 2 and -1 <= b <= 1 and p == 0 for a, b, p in found.done)
    assert found.best.macro_cer < 0.12
    lm_grid.run_joint(trials(tmp_path / "t.json"), never, search)
    room = lm_grid.Spread(64, ((0.0, 1.0), (0.0, 1.0), (0.0, 1.0))).first()
    assert all(len({(p[a] > 0.5, p[b] > 0.5) for p in room}) == 4 for a, b in ((0, 1), (1, 2)))


def test_a_finished_trial_is_not_done_again(tmp_path):
    path, asked = tmp_path / "t.json", []

    def stop_after_three(point, own):
        if len(asked) == 3:
            raise KeyboardInterrupt
        asked.append(point)
        return evaluate(point, own)

    grid = lm_grid.Grid((0.0, 0.5), (0.0, 1.0), (0.0,))
    with pytest.raises(KeyboardInterrupt):
        lm_grid.run_joint(trials(path), stop_after_three, grid)
    again, more = trials(path), []
    lm_grid.run_joint(again, lambda p, own: more.append(p) or evaluate(p, own), grid)
    assert not set(asked) & set(more) and set(asked) | set(more) == set(again.done)
    lm_grid.run_joint(trials(tmp_path / "whole.json"), evaluate, grid)
    assert (tmp_path / "whole.json").read_bytes() == path.read_bytes()


def test_trials_of_another_source_are_refused(tmp_path):
    path = tmp_path / "t.json"
    trials(path).add(*evaluate((0.0, 0.0, 0.0), {}))
    with pytest.raises(UserError, match="trials of another lm. Delete it"):
        trials(path, source={**SOURCE, "lm": "3"})
    path.write_text("{}")
    with pytest.raises(UserError, match="holds no trials"):
        trials(path)


def test_the_best_at_the_edge_is_told_but_not_a_weight_of_0(tmp_path):
    found = trials(tmp_path / "t.json")
    for alpha in (0.0, 0.2, 0.4):
        for beta in (0.0, 1.0, 2.0):
            found.done[alpha, beta, 0.0] = valley(alpha, beta)
    assert found.at_edge() == ["the highest alpha", "the lowest beta"]
    points = [(0.0, 1.0, 0.0), (1.0, 1.0, 0.0)]
    found.done = {p: lm_grid.Trial(*p, p[0], p[0], p[0], {}, 0.0) for p in points}
    assert found.best.point == points[0] and found.at_edge() == [] and not found.is_flat
    found.done = {p: lm_grid.Trial(*p, 0.5, 0.5, 0.5, {}, 0.0) for p in points}
    assert found.is_flat


def test_the_criterion_decides(tmp_path):
    found = trials(tmp_path / "t.json", criterion="worst_cer")
    found.add(lm_grid.Trial(0.1, 0.0, 0.0, 0.1, 0.1, 0.9, {}, 0.0), {})
    found.add(lm_grid.Trial(0.2, 0.0, 0.0, 0.2, 0.2, 0.3, {}, 0.0), {})
    assert found.best.lm_weight == 0.2
    kept = json.loads(found.path.read_text())
    assert kept["best"]["lm_weight"] == 0.2 and kept["criterion"] == "worst_cer"


def test_the_table_marks_the_best_and_the_picture_is_one(tmp_path):
    found = trials(tmp_path / "t.json")
    for point in ((0.0, 0.0, 0.0), (0.5, 0.0, 0.0)):
        found.add(*evaluate(point, {}))
    lines = list(lm_grid.table(found))
    assert [line.endswith("<- best") for line in lines] == [False, False, True]
    draw(found, tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
