"""What KenLM and other libraries refused was cut in mid-word after so many letters, or ended in a
bracket that nobody had opened."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError, in_one_line
from asr_dro_plugin.lm.build import LmSettings, build_lm
from asr_dro_plugin.lm.programs import load_kenlm

ARPA = (
    "\\data\\\nngram 1=3\nngram 2=1\n\n\\1-grams:\n-1\t<s>\t-0.3\n-1\t</s>\n-1\ta\t-0.2\n\n"
    "\\2-grams:\n-0.5\ta </s>\n\n\\end\\\n"
)


def test_lmplz_is_heard_to_the_end(tmp_path, monkeypatch):
    said = (
        "discount out of range for adjusted count 2: -5.33. " * 8 + "Rerun with --discount_fallback"
    )
    program = tmp_path / "bin" / "lmplz"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho reading >&2\necho '{said}' >&2\nexit 4\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    (tmp_path / "text").write_text("a b\nb a\n")
    with pytest.raises(UserError) as caught:
        build_lm(tmp_path / "text", tmp_path / "lm", "joint", LmSettings(order=2))
    assert str(caught.value) == f"lmplz failed with exit code 4: {said}"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "ngram 1=3",
            "ngram 1=5",
            'Could not parse "\\2-grams:" into a float in the 1-gram at byte',
        ),
        ("a </s>", "b </s>", "Word b was not seen in the unigrams (which are supposed to list"),
        ("-0.5", "0.5", "Positive log probability 0.5 in the model."),
        ("\\end\\", "", "End of file Byte:"),
    ],
)
def test_a_model_that_kenlm_refuses_is_told_in_its_words(tmp_path, old, new, words):
    (tmp_path / "x.arpa").write_text(ARPA.replace(old, new))
    with pytest.raises(UserError) as caught:
        load_kenlm(tmp_path / "x.arpa")
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'x.arpa'} is not read by KenLM: {words}")
    assert line.count("(") == line.count(")") and " threw " not in line and "because `" not in line


@given(st.text(), st.integers(20, 60))
def test_what_is_too_long_ends_at_a_word_with_dots(words, most):
    line = in_one_line(words, most)
    whole = " ".join(words.split())
    assert len(line) <= most and "\n" not in line
    if len(whole) <= most:
        assert line == whole
    else:
        kept = line.removesuffix(" ...")
        assert line != kept and whole.startswith(kept)
        assert whole[len(kept)] == " " or " " not in whole[: most - 3]
