"""Reading text: plain and Kaldi's, with and without languages, damaged."""

import gzip
import json

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm.text import Sentences, collect, collected, read_text

KALDI = "eng_1 [eng] Hello, <unk> World!\neng_2\npol_1 [pol]  Żółw\u2028a\npol_2 [pol] \n"
LANGUAGES = {"eng_1": "eng", "eng_2": "eng", "pol_1": "pol", "pol_2": "pol"}


@pytest.fixture
def text(tmp_path):
    (tmp_path / "text").write_text(KALDI, "utf-8", newline="\n")
    return tmp_path / "text"


def test_tags_go_symbols_of_kenlm_go_and_words_are_parted_by_one_space(text):
    read = Sentences([text], kaldi=True, languages=LANGUAGES)
    assert list(read) == [("eng", "Hello, World!"), ("pol", "Żółw a")]
    assert (read.num_sentences, read.num_empty, read.num_symbols) == (2, 2, 1)


def test_the_normaliser_is_told_the_language(tmp_path):
    (tmp_path / "text").write_text("tur_1 ISI\neng_1 ISI\n", "utf-8")
    languages = {"tur_1": "tur", "eng_1": "eng"}
    read = Sentences([tmp_path / "text"], "lower_no_punct", kaldi=True, languages=languages)
    assert list(read) == [("tur", "ısı"), ("eng", "isi")]


def test_without_languages_the_tag_tells_it(tmp_path):
    (tmp_path / "text").write_text("[eng] one\ntwo\n", "utf-8")
    assert list(Sentences([tmp_path / "text"])) == [("eng", "one"), ("", "two")]
    strict = Sentences([tmp_path / "text"], need_language=True)
    assert list(strict) == [("eng", "one")]
    assert strict.unknown == [f"{tmp_path}/text:2"]


def test_an_id_without_language_is_left_out_and_named(text):
    read = Sentences([text], kaldi=True, languages={"eng_1": "eng"})
    assert list(read) == [("eng", "Hello, World!")]
    assert read.unknown == ["eng_2", "pol_1", "pol_2"]
    assert len(list(read)) == 1  # read again, counted anew
    assert read.unknown == ["eng_2", "pol_1", "pol_2"]


def test_gzip_is_known_by_its_first_bytes_and_a_byte_order_mark_is_dropped(tmp_path):
    (tmp_path / "text").write_bytes(gzip.compress("\ufeffa b\r\n\nć".encode()))
    assert list(read_text(tmp_path / "text")) == ["a b", "", "ć"]
    assert list(Sentences([tmp_path / "text"])) == [("", "a b"), ("", "ć")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"good\nbad \xe9\n", r"text:2 is not UTF-8 \(byte 0xe9\).*iconv"),
        (gzip.compress(b"a b\n" * 100, mtime=0)[:-9], "text cannot be read after line"),
        (gzip.compress(b"a b\n" * 9, mtime=0)[:12] + b"x" * 13, "text cannot be read after line 0"),
    ],
)
def test_damaged_text_is_one_line_with_its_place(tmp_path, content, said):
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(UserError, match=said):
        list(read_text(tmp_path / "text"))


def test_a_text_that_is_no_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        list(Sentences([tmp_path / "nothing"]))
    with pytest.raises(UserError, match="cannot be read"):
        list(Sentences([tmp_path]))


@pytest.mark.parametrize(
    ("per", "names"),
    [("joint", ["joint"]), ("language", ["eng", "pol"]), ("both", ["eng", "joint", "pol"])],
)
def test_texts_are_collected_for_each_model(text, tmp_path, per, names):
    read = Sentences([text], "lower_no_punct", kaldi=True, languages=LANGUAGES)
    counts = collect(read, tmp_path / "out", per)
    assert list(counts) == names
    norm, texts = collected(tmp_path / "out")
    assert (norm, sorted(texts)) == ("lower_no_punct", names)
    if per == "both":
        assert texts["joint"].read_text("utf-8") == "hello world\nżółw a\n"
        assert texts["pol"].read_text("utf-8") == "żółw a\n"


def test_collecting_again_leaves_no_text_of_the_first_time(text, tmp_path):
    read = Sentences([text], kaldi=True, languages=LANGUAGES)
    collect(read, tmp_path / "out", "both")
    collect(read, tmp_path / "out", "joint")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "collect.json",
        "joint.txt",
    ]


def test_texts_that_were_not_finished_are_not_used(text, tmp_path):
    collect(Sentences([text], kaldi=True), tmp_path / "out")
    (tmp_path / "out" / "joint.txt").unlink()
    with pytest.raises(UserError, match="holds no finished texts. Run stage 6"):
        collected(tmp_path / "out")
    (tmp_path / "out" / "collect.json").write_text(json.dumps([]))
    with pytest.raises(UserError, match="holds no finished texts"):
        collected(tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "languages", "per", "said"),
    [
        ("", None, "joint", r"holds no sentence \(0 empty\)"),
        ("a\nb\n", {}, "joint", r"holds no sentence \(2 empty\)"),  # ids alone
        (
            "word one\n",
            {"eng_1": "eng"},
            "joint",
            "none of its ids is in .*first: word.*--kaldi false",
        ),
        ("eng_1 a\n", {"eng_1": "../x"}, "language", "cannot name a file"),
    ],
)
def test_what_gives_no_text_says_why_and_leaves_none(tmp_path, content, languages, per, said):
    (tmp_path / "text").write_text(content)
    read = Sentences([tmp_path / "text"], kaldi=True, languages=languages or None)
    with pytest.raises(UserError, match=said):
        collect(read, tmp_path / "out", per)
    assert list((tmp_path / "out").iterdir()) == []


def test_models_by_language_of_a_text_without_languages_are_refused(tmp_path):
    (tmp_path / "text").write_text("a\nb\n")
    with pytest.raises(UserError, match="no line has a language tag. Give --groups"):
        collect(Sentences([tmp_path / "text"], need_language=True), tmp_path / "out", "language")
