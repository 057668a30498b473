"""One character that the model has no token for refused the whole text, an hour of it too, with the
advice to give the option that had been given."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.bin.align import main
from asr_dro_plugin.decoding.segment import Lengths, cut_words
from asr_dro_plugin.decoding.units import TextAligner
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import lower_no_punct
from tests.espnet.conftest import dump, task, trained  # noqa: F401  the fixtures

CHARS = ["<blank>", "<unk>", "[eng]", "<space>", *"abcdehlotw", "<sos/eos>"]
WORDS = ["<blank>", "<unk>", "[eng]", "hello", "to", "all", "<sos/eos>"]


def sharp(tokens, symbols, shift=0.02):
    """Each symbol for two frames with three blanks after it."""
    path = [index for symbol in symbols for index in (*[tokens.index(symbol)] * 2, 0, 0, 0)]
    log_probs = np.full((1, len(path), len(tokens)), math.log(1e-4), np.float32)
    log_probs[0, np.arange(len(path)), path] = math.log(0.99)
    return Emission(log_probs, np.array([len(path)]), shift, 0, tokens)


def spelled(text):
    return ["<space>" if char == " " else char for char in text]


def times(words):
    return {word.text: (round(word.start, 4), round(word.end, 4)) for word in words}


def test_the_others_lie_where_they_are_said_and_the_word_between_them():
    said = sharp(CHARS, ["[eng]", "<space>", *spelled("hello tdwa all")])
    aligner = TextAligner(CHARS, "char", normalize=lower_no_punct)
    found = aligner(said, "[eng] Hello, naïve all!", duration=2.0)
    known = aligner(said, "[eng] Hello, tdwa all!", duration=2.0)
    assert list(times(found.words)) == ["Hello,", "naïve", "all!"]
    for word in ("Hello,", "all!"):
        assert times(found.words)[word] == times(known.words)[word]
    assert times(found.words)["naïve"] == (
        times(known.words)["Hello,"][1], times(known.words)["all!"][0],
    )  # fmt: skip
    assert found.unknown == {"naïve": "'n' 'v' 'ï'"} and known.unknown == {}
    assert found.score == pytest.approx(math.log(0.99), abs=1e-4)
    assert "".join(char.text for char in found.chars) == "helloall"


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("жж hello to", "жж", "to"),
        ("hello to жж", "hello", "жж"),
        ("hello жж яя to", "hello", "to"),
    ],
)
def test_at_the_ends_and_in_a_row_they_share_what_is_there(text, first, last):
    said = sharp(CHARS, spelled("abcd hello to dead"))
    words = TextAligner(CHARS, "char")(said, text, offset=1.0, duration=3.0).words
    edges = [edge for word in words for edge in (word.start, word.end)]
    assert edges == sorted(edges) and edges[0] >= 1.0 and edges[-1] <= 3.0
    assert (words[0].text, words[-1].text) == (first, last)
    assert all(word.end > word.start for word in words)
    assert words[0].start == 1.0 or first != "жж"


def test_words_as_tokens_too():
    said = sharp(WORDS, ["[eng]", "hello", "to", "all"])
    found = TextAligner(WORDS, "word")(said, "hello you all", "eng")
    assert times(found.words) == {"hello": (0.1, 0.14), "you": (0.14, 0.3), "all": (0.3, 0.34)}


@given(
    st.lists(st.sampled_from(["hello", "to", "all", "ж", "日本", "bed"]), min_size=1, max_size=7),
    st.sampled_from([0.0, 2.5]),
)
@settings(deadline=None)
def test_whichever_words_are_unknown_the_others_are_where_they_were(words, offset):
    spoken = [word if word.isascii() else "wow" for word in words]
    said = sharp(CHARS, spelled(" ".join(spoken)))
    aligner = TextAligner(CHARS, "char")
    if not any(map(str.isascii, words)):
        with pytest.raises(UserError, match="no word"):
            aligner(said, " ".join(words), offset=offset)
        return
    found = aligner(said, " ".join(words), offset=offset).words
    whole = aligner(said, " ".join(spoken), offset=offset).words
    assert [word.text for word in found] == words
    for one, other in zip(found, whole, strict=True):
        if one.text.isascii():
            assert (one.start, one.end) == (other.start, other.end)
    edges = [edge for word in found for edge in (word.start, word.end)]
    assert edges == sorted(edges)


def test_all_words_unknown_are_refused_with_a_remedy_that_was_not_given_yet():
    said = sharp(CHARS, spelled("hello"))
    with pytest.raises(UserError, match="no word .*'д' .*--text_norm lower_no_punct"):
        TextAligner(CHARS, "char")(said, "да нет")
    with pytest.raises(UserError) as caught:
        TextAligner(CHARS, "char", normalize=lower_no_punct)(said, "да нет")
    assert "--exp" in str(caught.value) and "lower_no_punct" not in str(caught.value)


def test_a_piece_with_an_unknown_word_fits_as_its_others_do():
    said = sharp(CHARS, spelled("hello tdwa all"))
    words = TextAligner(CHARS, "char")(said, "hello жж all").words
    (piece,) = cut_words(words, Lengths(0.1, 0.5, 5.0), 2.0)
    assert piece.text == "hello жж all" and piece.score > -0.1


def test_the_command_names_the_word_and_aligns_the_rest(trained, dump, tmp_path, capsys):  # noqa: F811
    data = tmp_path / "data"
    texts = read_table(dump / "test" / "text")
    first, second = sorted(texts)[:2]
    changed = texts[first].split()
    changed.insert(2, "жук")
    made = {first: " ".join(changed), second: "[eng] жук"}
    write_table(data / "text", made)
    write_table(data / "wav.scp", {u: read_table(dump / "test" / "wav.scp")[u] for u in made})
    with pytest.raises(UserError, match="1 of 2 utterances are not aligned"):
        main(["--data_dir", str(data), "--exp", str(trained), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().err
    assert f"{first}: 'жук' has 'ж' 'к' 'у', for which" in said and "between its neighbours" in said
    ctm = [line.split() for line in (tmp_path / "out/ctm").read_text().splitlines()]
    assert [line[4] for line in ctm if line[0] == first] == changed[1:]
