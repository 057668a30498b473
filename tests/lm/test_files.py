"""Finding a language model, and reading what it knows: a folder of ours, an ARPA from elsewhere."""

import gzip
import json

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm.files import (
    all_lms,
    arpa_words,
    find_lm,
    lm_names,
    read_arpa_header,
    read_unigrams,
)

ARPA = """\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-1\t<unk>\t0
0\t<s>\t-0.3
-0.7\t</s>\t0
-0.5\tab\t-0.2
-0.6\tć\u3000d

\\2-grams:
-0.2\t<s> ab
-0.3\tab ć\u3000d

\\end\\
"""


@pytest.fixture
def lm_dir(tmp_path):
    """A folder with a model of ours (eng) and one from elsewhere (pol)."""
    (tmp_path / "eng").mkdir()
    (tmp_path / "pol").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "eng" / "lm.arpa.gz").write_bytes(gzip.compress(ARPA.encode()))
    (tmp_path / "eng" / "unigrams.txt").write_text("ab\nć\n", "utf-8")
    about = {"order": 2, "unit": "word", "characters": ["a", "b", "ć"], "text_norm": "nfc"}
    (tmp_path / "eng" / "lm.json").write_text(json.dumps(about), "utf-8")
    (tmp_path / "pol" / "lm.arpa").write_text(ARPA, "utf-8")
    return tmp_path


def test_a_folder_of_models_names_those_that_hold_a_model(lm_dir):
    assert lm_names(lm_dir) == ["eng", "pol"]
    assert lm_names(lm_dir / "nothing") == []


def test_a_model_of_ours_is_described_by_its_json(lm_dir):
    lm = find_lm(lm_dir, "eng")
    assert (lm.model.name, lm.words()) == ("lm.arpa.gz", ["ab", "ć"])
    assert lm.description["text_norm"] == "nfc"
    assert lm.description["name"] == "eng"


def test_the_binary_is_preferred_and_the_arpa_is_still_found(lm_dir):
    (lm_dir / "eng" / "lm.bin").write_bytes(b"mmap")
    lm = find_lm(lm_dir, "eng")
    assert lm.model.name == "lm.bin"
    assert lm.arpa() == lm_dir / "eng" / "lm.arpa.gz"


def test_a_model_from_elsewhere_is_described_by_its_1_grams(lm_dir):
    lm = find_lm(lm_dir, "pol")
    assert lm.words() == ["ab", "ć\u3000d"]  # only KenLM's own white space parts words
    assert lm.description["order"] == 2
    assert lm.description["unit"] == "word"
    assert lm.description["characters"] == ["a", "b", "d", "ć", "\u3000"]


def test_one_characters_words_make_a_model_of_characters(tmp_path):
    text = ARPA.replace("ć\u3000d", "<space>").replace("ab", "ż")
    (tmp_path / "x.arpa").write_text(text, "utf-8")
    lm = find_lm(tmp_path / "x.arpa", "eng")
    assert (lm.description["unit"], lm.description["characters"]) == ("char", ["ż"])


def test_one_file_serves_every_name(lm_dir):
    lm = find_lm(lm_dir / "eng" / "lm.arpa.gz", "whatever")
    assert lm.model == lm_dir / "eng" / "lm.arpa.gz"
    assert lm.description["name"] == "eng"
    assert lm.words() == ["ab", "ć"]


def test_one_models_folder_serves_every_name_too(lm_dir):
    assert find_lm(lm_dir / "eng", "pol").model == lm_dir / "eng" / "lm.arpa.gz"
    assert [lm.model for lm in all_lms(lm_dir / "eng").values()] == [lm_dir / "eng" / "lm.arpa.gz"]


def test_all_models_of_a_folder_have_their_names(lm_dir):
    assert {name: lm.folder for name, lm in all_lms(lm_dir).items()} == {
        "eng": lm_dir / "eng",
        "pol": lm_dir / "pol",
    }
    with pytest.raises(UserError, match="'joint' was asked for and is not in"):
        all_lms(lm_dir / "nothing")


@pytest.mark.parametrize("name", ["joint", "egn"])
def test_a_model_that_is_absent_is_an_error_with_its_remedy(lm_dir, name):
    with pytest.raises(UserError, match=r"asked for .* eng pol.* stages 6-9, or: asr-dro lm build"):
        find_lm(lm_dir, name)
    with pytest.raises(UserError, match="asked for and is not in"):
        find_lm(lm_dir / "nothing", name)


def test_a_binary_model_alone_has_no_words_to_read(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"mmap lm http://kheafield.com")
    with pytest.raises(UserError, match="no unigrams.txt lies beside it"):
        find_lm(tmp_path / "x.bin").words()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hello\n", "x.arpa:1 is not of an ARPA file"),
        ("", "no 1-grams"),
        ("\\data\\\nngram 2=3\n\n\\1-grams:\n", "x.arpa:2 is not of"),
        (ARPA[:84], "ends amid its 1-grams, of which it declares 5"),
        (ARPA.replace("-0.5\tab\t-0.2", "-0.5 ab -0.2 9"), "x.arpa:9 is not a 1-gram"),
    ],
)
def test_a_damaged_arpa_is_one_line_that_names_the_place(tmp_path, text, said):
    (tmp_path / "x.arpa").write_text(text, "utf-8")
    with pytest.raises(UserError, match=said):
        arpa_words(tmp_path / "x.arpa")


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("asr_dro_plugin.lm.files.LONGEST_LINE", 2**16)
    bomb = tmp_path / "lm.arpa.gz"
    bomb.write_bytes(gzip.compress(b"\\data\\\nngram 1=" + bytes(2**20)))
    with pytest.raises(UserError, match="lm.arpa.gz:2 is over 65536 bytes"):
        arpa_words(bomb)


def test_a_gzip_that_was_cut_and_bytes_that_are_no_text_are_one_line(tmp_path):
    (tmp_path / "x.arpa.gz").write_bytes(gzip.compress(ARPA.encode())[:60])
    (tmp_path / "y.arpa").write_bytes(ARPA.encode("utf-16"))
    with pytest.raises(UserError, match="x.arpa.gz cannot be read after line"):
        arpa_words(tmp_path / "x.arpa.gz")
    with pytest.raises(UserError, match="y.arpa is UTF-16 text, not UTF-8"):
        read_arpa_header(tmp_path / "y.arpa")


@pytest.mark.parametrize("content", ["", "[]", '{"order": 3}', "{"])
def test_a_damaged_description_is_one_line(lm_dir, content):
    (lm_dir / "eng" / "lm.json").write_text(content)
    with pytest.raises(UserError, match="lm.json is damaged"):
        find_lm(lm_dir, "eng")


def test_a_list_of_words_that_is_empty_is_refused(tmp_path):
    (tmp_path / "unigrams.txt").write_text("\n")
    with pytest.raises(UserError, match="names no word"):
        read_unigrams(tmp_path / "unigrams.txt")
