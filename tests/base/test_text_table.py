"""Tables for the terminal: names to the left, figures to the right, rules where wanted."""

from asr_dro_plugin.base.text_table import aligned

ROWS = [("lang", "model", "ppl"), ("eng", "joint", "64.8"), ("total", "x", "7")]


def test_names_go_to_the_left_and_figures_to_the_right():
    assert aligned(ROWS, num_left=2) == [
        "lang   model   ppl",
        "eng    joint  64.8",
        "total  x         7",
    ]
    assert aligned(ROWS)[2] == "total      x     7"


def test_a_rule_is_as_wide_as_the_table():
    lines = aligned(ROWS, rules=(1,))
    assert lines[1] == "-" * len(lines[2]) and len(lines) == 4
