"""What docs/method.md says of the method is so: its example runs, its defaults are the code's."""

import re
from pathlib import Path

import pytest

from asr_dro_plugin.objectives import OBJECTIVES, build_objective
from asr_dro_plugin.objectives.keys import EXPERIMENTAL
from asr_dro_plugin.samplers import SAMPLERS
from asr_dro_plugin.stack.signatures import signature_of

ROOT = Path(__file__).resolve().parents[1]
METHOD = (ROOT / "docs/method.md").read_text(encoding="utf-8")


def rows(title: str) -> dict[str, str]:
    """First and second column of the table under a header that begins so."""
    body = METHOD.split(f"| {title} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in body]
    return {cell[0]: cell[1] for cell in cells}


def test_the_example_without_espnet_runs_and_moves_the_weights():
    (block,) = re.findall(r"^```python\n(.*?)^```", METHOD, re.MULTILINE | re.DOTALL)
    scope: dict = {}
    exec(compile(block, "docs/method.md", "exec"), scope)
    assert scope["objective"].group_weights.sum() == pytest.approx(1)
    assert scope["objective"].group_weights.std() > 0


def test_every_switch_of_research_has_its_row_with_the_default_of_the_code():
    table, objective = rows("key of `experimental`"), build_objective("ctc_dro", 10)
    named = {name for cell in table for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(EXPERIMENTAL)
    for name in ("agg", "signal", "acts_on", "update", "reduction", "length_norm", "cap"):
        assert table[f"`{name}`"] == str(getattr(objective, name))
    assert (objective.round_limit, objective.floor) == (20 * 10, pytest.approx(0.01 / 10))
    assert (table["`round_limit`"], table["`floor`"]) == ("20 x G", "0.01 / G")
    assert (objective.size_adjustment, table["`size_adjustment`"]) == (0, "0")


def test_the_two_numbers_have_the_defaults_that_the_table_says():
    table, objective = rows("key"), build_objective("ctc_dro", 10)
    relative = [table[f"`{name}_rel` or `{name}`"] for name in ("smoothing", "step_size")]
    assert relative == [f"{objective.smoothing * 10:g}", f"{objective.step_size_rel:g}"]


def test_samplers_signals_and_their_keys_are_all_there():
    table = rows("`sampler`")
    assert [name.strip("`") for name in table] == list(SAMPLERS)
    keys = {key for path in SAMPLERS.values() for key in signature_of(path).parameters}
    assert all(f"`{key}`" in METHOD for key in keys - {"duration"})
    for signal in rows("`signal` | a group's loss is"):
        conf = {"signal": signal.strip("`")}
        if conf["signal"] == "excess":
            conf["reference"] = {"steps": [1], "loss": [[1.0]], "batch_loss": [[1.0]]}
        assert build_objective("ctc_dro", 1, experimental=conf).signal == conf["signal"]
    assert all(f"`{name}" in METHOD or f"objective: {name}" in METHOD for name in OBJECTIVES)
