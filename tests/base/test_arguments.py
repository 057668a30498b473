import argparse

import pytest

from asr_dro_plugin.base.arguments import Parser, boolean, fraction


def test_booleans_are_the_words_true_and_false():
    assert boolean("true") is True and boolean("false") is False
    for word in ("True", "1", "yes", ""):
        with pytest.raises(argparse.ArgumentTypeError):
            boolean(word)


def test_fractions_lie_from_zero_to_one():
    assert [fraction(word) for word in ("0", "0.05", "1")] == [0, 0.05, 1]
    for word in ("-0.1", "1.1", "5%", "nan"):
        with pytest.raises(argparse.ArgumentTypeError):
            fraction(word)


def test_a_parser_tells_each_default_once_and_abbreviates_nothing(capsys):
    parser = Parser(prog="x", description="One.\n  laid out")
    parser.add_switch("--strict", "stop")
    parser.add_argument("--rate", type=float, default=0.5, help="share")
    parser.add_argument("--name", default="a", help="who (default: the first)")
    parser.add_argument("--out", required=True, help="where")
    text = parser.format_help()
    assert "One.\n  laid out" in text and text.count("default") == 3
    for told in ("stop (default: false)", "share (default: 0.5)", "who (default: the first)"):
        assert told in text
    assert parser.parse_args(["--out", "o", "--strict", "true"]).strict is True
    with pytest.raises(SystemExit):
        parser.parse_args(["--out", "o", "--stri", "true"])
    assert "--stri" in capsys.readouterr().err
