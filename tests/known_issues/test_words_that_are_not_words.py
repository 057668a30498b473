"""``<COMMA>``, ``<unk>``, ``[laughter]``, ``{noise}``, ``&amp;`` and ``<i>`` lost their brackets
and became the words comma, unk, laughter, noise, amp and iyes, in silence."""

import logging

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from asr_dro_plugin.data.corpus import Utterance, clean
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import get_normalizer, lower_no_punct
from asr_dro_plugin.text.rules import TextRules
from tests.sounds import noise, write_flac

DROP = {"case": "lower", "punctuation": "all", "markup": "drop"}
MARKUP = st.sampled_from(
    ["<COMMA>", "<unk>", "[laughter]", "{noise}", "<i>", "</i>", "<br/>", "[background noise]",
     "&nbsp;", "&#160;", "&lt;b&gt;", "<|nospeech|>", "[[hmm]]", "{{x}}", "<a href='x y'>",
     "&quot;", "&#x201C;"]
)  # fmt: skip
WORDS = st.text(st.sampled_from("abcдé日"), min_size=1, max_size=4)


@pytest.fixture
def sound(tmp_path):
    return str(write_flac(tmp_path / "a.flac", noise(0.2)))


def warnings_of(texts, normalize, sound, caplog):
    utts = [Utterance(f"u{n}", sound, text, "eng", "s", source=f"t.tsv:{n + 2}")
            for n, text in enumerate(texts)]  # fmt: skip
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        clean(utts, normalize, DropLedger())
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("hello <COMMA> world [laughter] {noise} &amp; so", "hello world so"),
        ("<i>yes</i> un<b>believ</b>able<br>no", "yes unbelievable no"),
        ("caf&eacute; &#233;t&#xE9; &lt;unk&gt; R&amp;D", "café été rd"),
        ("[[hmm]] well{noise}well <unk", "well well unk"),
        ("3 < 5 and 6 > 4, AT&T; f&unknown; x", "3 5 and 6 4 att funknown x"),
    ],
)
def test_a_step_of_the_rules_takes_them_off(raw, expected):
    assert TextRules(DROP, "x.yaml")(raw) == expected


def test_a_step_maps_them_and_leaves_or_drops_the_others():
    mapping = {"<COMMA>": ",", "[UH]": "uh", "&amp;": " and "}
    keep = TextRules({"markup": mapping}, "x.yaml")
    assert keep("a <comma> b [uh] R&amp;D [x]") == "a , b uh R and D [x]"
    drop = TextRules({"markup": {**mapping, "others": "drop"}, "languages": {
        "fra": {"markup": {"&amp;": " et "}}}}, "x.yaml")  # fmt: skip
    assert drop("a <COMMA> R&amp;D [x]") == "a , R and D"
    assert drop("a <COMMA> R&amp;D [x]", "fra") == "a , R et D"
    assert get_normalizer(drop.inline)("R&amp;D [x]", "fra") == "R et D"


@given(st.lists(st.tuples(WORDS, MARKUP), max_size=8))
def test_with_the_step_a_text_is_as_if_they_were_never_there(parts):
    raw = " ".join(f"{word} {markup}" for word, markup in parts)
    plain = " ".join(word for word, _ in parts)
    assert TextRules(DROP, "x.yaml")(raw) == lower_no_punct(plain)


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.sampled_from("<>[]{}&;amplt#38 b"), max_size=24),
    st.fixed_dictionaries(
        {"markup": st.sampled_from(["drop", {"[a]": "b"}, {"<a>": "amp;", "others": "drop"}])},
        optional={
            "punctuation": st.sampled_from(["all", "ascii", {"drop": " "}]),
            "map": st.sampled_from([{"b": "<"}, {"p": "[", "l": "]"}, {"t": "<a>"}]),
        },
    ),
)
@example("&amp;amp;lt;a&gt;", {"markup": "drop"})
@example("<a>", {"markup": {"<a>": "t"}, "map": {"t": "<a>"}})
def test_a_second_pass_changes_nothing_or_the_rule_is_refused(text, content):
    try:
        normalize = TextRules(content, "x.yaml")
    except UserError as error:
        assert "\n" not in str(error)
        assume(False)
    assert normalize(normalize(text)) == normalize(text)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("dorp", "markup is 'dorp'. Did you mean 'drop'"),
        ({"COMMA": ","}, "markup has 'COMMA', which is no bracketed word and no entity"),
        ({"<a>": 5}, "markup has '<a>': 5"),
        ({"<a>": "<b>"}, "markup gives '<b>' for '<a>'"),
        ({"others": "dorp"}, "Did you mean 'drop'"),
    ],
)
def test_what_is_no_such_step_is_one_line(value, words):
    with pytest.raises(UserError, match=words) as caught:
        TextRules({"markup": value}, "x.yaml")
    assert "\n" not in str(caught.value)


def test_stage_1_counts_them_and_names_the_most_frequent(sound, caplog):
    texts = ["a <COMMA> b <COMMA> c", "[laughter] d", "plain 3 < 4", "R&amp;D <COMMA>"]
    (line,) = warnings_of(texts, lower_no_punct, sound, caplog)
    assert "3 of 4 texts hold 5 bracketed words or entities" in line
    assert "<COMMA> 3 times, as 'comma', first at t.tsv:2" in line
    assert "[laughter] 1 time, as 'laughter', first at t.tsv:3" in line
    remedy = "{case: lower, punctuation: all, markup: drop}"
    assert f'--text_norm "{remedy}"' in line
    assert warnings_of(texts, get_normalizer(remedy), sound, caplog) == []


def test_a_rule_that_maps_some_is_told_of_the_others(sound, caplog):
    texts = ["a <COMMA> [laughter]"]
    rule = TextRules({"markup": {"<COMMA>": ","}, "punctuation": "all"}, "x.yaml")
    (line,) = warnings_of(texts, rule, sound, caplog)
    assert "<COMMA>" not in line and "[laughter]" in line and "Add markup: drop to x.yaml" in line
    assert warnings_of(["plain, text (so)"], lower_no_punct, sound, caplog) == []


@given(st.text(max_size=60))
def test_the_built_in_normalisers_are_as_they_were(text):
    """A default text does not change: the step is there for those who ask."""
    plain = TextRules({"case": "lower", "punctuation": "all"}, "x.yaml")
    assert lower_no_punct(f"<i> {text} [x]") == plain(f"<i> {text} [x]")
    assert "markup" not in plain.content
