"""Many texts are normalised as each of them alone, whatever they hold."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.scoring import compared_text
from asr_dro_plugin.scoring.compared_text import (
    mark_unknown,
    normalize_all,
    normalized,
    part_tag,
    part_tags,
)
from asr_dro_plugin.text.normalizers import NORMALIZERS, get_normalizer

ODD = (
    "ab AİıI'’-.,;\u200c\u200d\u0301é\u0645\u06cc\u0915\u093c\u0921ςΣσ中"
    "\u1100\u1161\u11a8 \t\n\u3000⁇\ud800[]"
)
EDGY = "ab '-\u200c\u200d\u0301é\u0915\u093cσ"
LANGS = ["eng", "tur", "eng", "aze", "fra", "eng"]
TEXTS = st.lists(st.text(st.sampled_from(ODD) | st.characters(), max_size=12), max_size=8)


RULES = (
    "{unicode: nfkc, case: upper, map: {X: KS, Σ: S, A: Ä}}",
    '{punctuation: all, keep: "а-яa\'", others: drop}',
    "{case: lower, keep: a-z, others: space, languages: {tur: {keep: a-zı}, eng: {case: keep}}}",
    '{unicode: none, punctuation: {marks: all, keep: "\',"}, strip_marks: all}',
    '{map: {"中": "", a: bb}}',
)
NAMES = [*NORMALIZERS, *RULES]


@pytest.mark.parametrize("name", NAMES)
@given(texts=TEXTS, lang=st.sampled_from(["eng", "tur"]))
@settings(max_examples=150, deadline=None)
def test_all_at_once_equals_one_by_one(name, texts, lang):
    normalize = get_normalizer(name)
    expected = [normalized(text, lang, normalize) for text in texts]
    if not any("[" in text for text in texts):  # tags are taken off before
        assert normalize_all(texts, [lang] * len(texts), normalize) == expected


@pytest.mark.parametrize("name", NAMES)
def test_pairs_of_characters_are_no_surprise(name):
    normalize = get_normalizer(name)
    texts = [one + two for one in ODD for two in ODD]
    texts += [one + two + three for one in EDGY for two in EDGY for three in EDGY]
    texts = [text for text in texts if "[" not in text]
    langs = [("eng", "tur", "rus")[number % 3] for number in range(len(texts))]
    assert normalize_all(texts, langs, normalize) == [
        normalized(text, lang, normalize) for text, lang in zip(texts, langs, strict=True)
    ]


def test_texts_that_are_normalised_are_not_normalised_again(monkeypatch):
    texts = ["plain text", "ünï côdé", "где ты", "中文", "l'eau d'or", "نمی\u200cشود"]
    assert len(texts) == len(LANGS)
    asked = []
    monkeypatch.setattr(compared_text, "normalized", lambda *text: asked.append(text))
    assert normalize_all(texts, LANGS, NORMALIZERS["lower_no_punct"]) == texts
    assert not asked


def test_plain_capitals_and_marks_need_no_normaliser(monkeypatch):
    raw = ["Plain text.", "I I", "«Ünï»  côdé—x!", "I", "Où, l’eau ?", "[eng] it's 'so"]
    expected = ["plain text", "ı ı", "ünï côdé x", "ı", "où l'eau", "it's so"]
    asked = []

    def watched(*arguments):
        asked.append(arguments[0])
        return normalized(*arguments)

    monkeypatch.setattr(compared_text, "normalized", watched)
    assert normalize_all(raw, LANGS, NORMALIZERS["lower_no_punct"]) == expected
    assert asked == raw[-1:]  # a tag, and an apostrophe that is none


@given(texts=st.lists(st.text("[]ae g ", max_size=9) | st.sampled_from(["[eng] a ", "[eng]  b"])))
def test_tags_of_many_texts_are_those_of_each(texts):
    expected = [part_tag(text) for text in texts]
    assert list(zip(*part_tags(texts), strict=True)) == expected


def test_blocks_change_nothing(monkeypatch):
    texts = [f"Text {number}," for number in range(len(LANGS))]
    whole = normalize_all(texts, LANGS, NORMALIZERS["lower_no_punct"])
    monkeypatch.setattr(compared_text, "BLOCK", 3)
    assert normalize_all(texts, LANGS, NORMALIZERS["lower_no_punct"]) == whole


@pytest.mark.parametrize(
    ("text", "tag", "words"),
    [
        ("[eng] ab", "eng", "ab"),
        ("[eng]ab", "eng", "ab"),
        ("ab [eng]", None, "ab"),
        ("[eng][deu] ab", "eng", "ab"),
        ("[engl] ab", None, "[engl] ab"),
        ("ab", None, "ab"),
        ("", None, ""),
    ],
)
def test_tags_are_parted_from_the_text(text, tag, words):
    assert part_tag(text) == (tag, words)


def test_an_unknown_symbol_becomes_one_character():
    assert len(mark_unknown("a<unk>b⁇")) == 4
    assert mark_unknown("a < b") == "a < b"
