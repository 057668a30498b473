"""local/espeak_voices.tsv and its reader."""

from pathlib import Path

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.auxiliary.voices import TABLE, read_voices
from asr_dro_plugin.text.languages import read_languages

ROOT = Path(__file__).resolve().parents[3]
VOICES = read_voices(ROOT / TABLE)


def test_every_voice_of_the_table_is_there_with_its_words(espeak):
    assert [iso for iso, v in VOICES.items() if not espeak.use(v.name, v.dictionary)] == []


def test_a_voice_knows_the_usual_script_of_its_language():
    languages = read_languages(ROOT / "local/languages.tsv")
    known = {iso: languages[iso].script for iso in VOICES.keys() & languages.keys()}
    assert len(known) > 80
    assert [iso for iso, script in known.items() if script not in VOICES[iso].scripts] == []


def test_letters_of_any_script_do_not_count_against_a_word():
    assert VOICES["eng"].knows("don't") and VOICES["eng"].knows("42ʼ")
    assert not VOICES["eng"].knows("dоn't")  # a Cyrillic o


@pytest.mark.parametrize(
    "rows, said",
    [
        ("eng\ten\ten", ":1 is not a row of iso voice dictionary scripts"),
        ("eng\ten\ten\tLatin", "scripts among Arab Armn"),
        ("eng\ten\ten\t", "is not a row"),
        ("eng\ten\ten\tLatn\neng\ten\ten\tLatn", ":2 gives 'eng' a second time"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, rows, said):
    (tmp_path / "voices.tsv").write_text(rows + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=said):
        read_voices(tmp_path / "voices.tsv")
