"""What the page makes of words with times, in a real Chromium: subtitles, passages, pieces."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.serving.page.build import HERE
from asr_dro_plugin.transcripts import subtitles
from asr_dro_plugin.transcripts.transcript import Hypothesis, Unit
from tests.browser import Browser, find_browser

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def parts():
    """A page with the functions that know nothing of the document."""
    with Browser() as browser:
        for name in ("dom", "words", "subtitles"):
            browser.value((HERE / "js" / f"{name}.js").read_text("utf-8"))
        yield browser


def called(parts, name, *values):
    """What a function of the page gives."""
    return parts.value(f"{name}({', '.join(json.dumps(value, default=vars) for value in values)})")


def spoken(texts, start=0.0, each=0.1, gap=0.1, confidence=0.9):
    """Words one after the other, ``each`` seconds a character, and their characters."""
    words, chars = [], []
    for text in texts:
        for n, char in enumerate(text):
            chars.append(Unit(char, start + n * each, start + (n + 1) * each, confidence))
        words.append(Unit(text, start, start + each * len(text), confidence))
        start += each * len(text) + gap
    return words, chars


word = st.text(st.sampled_from("abcdefgh<&é漢字ไทย𝒳"), min_size=1, max_size=12)
words = st.lists(word | word.map(lambda text: text * 9), max_size=30)
tempo = st.sampled_from([0.02, 0.06, 0.0125, 0.4])


@settings(max_examples=20, deadline=None)
@given(texts=words, each=tempo, gap=st.sampled_from([0.0, 0.1, 0.7, 3.0]), has_chars=st.booleans())
def test_subtitles_are_those_of_the_command_line(parts, texts, each, gap, has_chars):
    said, chars = spoken(texts, 0.3, each, gap)
    chars = chars if has_chars else []
    hypothesis = Hypothesis(" ".join(texts), 0.0, words=tuple(said), chars=tuple(chars))
    assert called(parts, "srt", said, chars) == subtitles.srt(hypothesis)
    assert called(parts, "vtt", said, chars) == subtitles.vtt(hypothesis)


@settings(max_examples=20, deadline=None)
@given(texts=words, gap=st.sampled_from([0.1, 0.4, 2.0]))
def test_pieces_and_passages_put_together_are_the_text_and_no_time_is_lost(parts, texts, gap):
    said, chars = spoken(texts, gap=gap)
    pieces = called(parts, "piecesOf", said, chars, "zho")
    assert called(parts, "textOf", pieces) == " ".join(texts)
    starts = [piece["start"] for piece in pieces]
    assert starts == sorted(starts)
    passages = called(parts, "passagesOf", pieces)
    assert [piece for passage in passages for piece in passage] == pieces
    assert not any(passage[0]["glued"] for passage in passages)
    if texts:
        assert starts[0] == said[0].start
        assert pieces[-1]["end"] == said[-1].end


def test_a_run_of_a_script_without_spaces_is_cut_into_its_words(parts):
    said, chars = spoken(["今天天气很好我们去公园散步", "ok"])
    pieces = called(parts, "piecesOf", said, chars, "zho")
    texts = [piece["text"] for piece in pieces]
    assert {"今天", "天气", "公园"} <= set(texts)
    assert texts[-1] == "ok"
    weather = pieces[texts.index("天气")]
    assert (weather["start"], weather["end"]) == (chars[2].start, chars[3].end)
    assert weather["confidence"] == pytest.approx(0.9)
    assert [piece["glued"] for piece in pieces if piece["text"] in ("今天", "天气", "ok")] == [
        False, True, False,
    ]  # fmt: skip


def test_a_pause_begins_a_passage_and_so_does_length(parts):
    apart, _ = spoken(["one", "two"], gap=1.6)
    assert [len(each) for each in called(parts, "passagesOf", apart)] == [1, 1]
    long, _ = spoken(["word"] * 300, gap=0.1)
    assert [len(each) for each in called(parts, "passagesOf", long)] == [120, 120, 60]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.99, "0:07"), (754, "12:34"), (3723, "1:02:03")]
)
def test_a_clock_is_read_as_one_knows_it(parts, seconds, text):
    assert called(parts, "clock", seconds) == text


def test_languages_have_names_and_html_its_own_codes(parts):
    assert [called(parts, "languageName", code) for code in ("eng", "swa", "qqq")] == [
        "English", "Swahili", "qqq",
    ]  # fmt: skip
    assert [called(parts, "htmlLanguage", code) for code in ("eng", "ara", "", "??")] == [
        "en",
        "ar",
        "",
        "",
    ]
