import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.data.utt_tables import UttTables
from asr_dro_plugin.errors import UserError
from tests.sounds import data_dir


@pytest.fixture
def directory(tmp_path):
    return data_dir(tmp_path / "data", {"eng_b": "b.wav", "eng_a": "a.wav", "deu_c": "c.wav"})


def test_ids_languages_and_totals_follow_the_tables(directory):
    data = UttTables.read(directory, optional=["utt2dur"])
    assert data.utt_ids == ["deu_c", "eng_a", "eng_b"]
    assert data.lang("deu_c") == "deu" and data.totals() == {"eng": 2, "deu": 1}


@pytest.mark.parametrize(("name", "line", "words"), [
    ("utt2lang", "eng_z eng\n", "text lacks 1 utterances of .*utt2lang .*eng_z"),
    ("text", "eng_z hello\n", "utt2spk lacks 1 utterances of .*text .*eng_z"),
    ("text", "eng_a hello\n", "a second time"),
])  # fmt: skip
def test_tables_over_other_ids_are_refused(directory, name, line, words):
    with open(directory / name, "a", encoding="utf-8") as stream:
        stream.write(line)
    with pytest.raises(UserError, match=words):
        UttTables.read(directory)


def test_a_missing_table_and_an_empty_set_are_refused(directory):
    (directory / "utt2lang").unlink()
    with pytest.raises(UserError, match="utt2lang does not exist"):
        UttTables.read(directory)
    (directory / "text").write_text("")
    with pytest.raises(UserError, match="text is empty"):
        UttTables.read(directory, required=["utt2spk"])


def test_writing_keeps_the_chosen_ids_in_every_table(directory, tmp_path):
    data = UttTables.read(directory)
    data.write(tmp_path / "out", {"eng_a"}, utt2num_samples={"eng_a": "5", "deu_c": "6"})
    for name in ("text", "utt2spk", "utt2lang", "utt2category", "utt2num_samples"):
        assert set(read_table(tmp_path / "out" / name)) == {"eng_a"}
    assert read_table(tmp_path / "out/spk2utt") == {"eng_spk": "eng_a"}
    with pytest.raises(UserError, match="would be empty"):
        data.write(tmp_path / "none", set())
