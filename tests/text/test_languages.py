"""asr_dro_plugin/text/languages.py and the table local/languages.tsv."""

from pathlib import Path

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.languages import choose, language_set, read_languages

TABLE = Path(__file__).parents[2] / "local" / "languages.tsv"


def test_the_table_has_ml_superbs_143_languages_and_20_reserved_ones():
    table = read_languages(TABLE)
    assert len(table) == 143
    assert sum(language.few_shot for language in table.values()) == 20
    assert list(table) == sorted(table)
    for iso, language in table.items():
        assert len(iso) == 3 and iso.isascii() and iso.islower()
        assert len(language.script) == 4 and language.script.istitle()
        assert language.name


def test_reserved_languages_have_five_utterances_each():
    lines = (TABLE.parent / "few_shot.tsv").read_text().splitlines()[1:]
    listed = {line.split("\t")[0]: line.split("\t")[1].split() for line in lines}
    reserved = {iso for iso, language in read_languages(TABLE).items() if language.few_shot}
    assert listed.keys() == reserved
    for iso, utt_ids in listed.items():
        assert len(set(utt_ids)) == 5
        assert all(f"_{iso}_" in utt_id for utt_id in utt_ids)


def test_set_1_of_the_paper_is_named_with_its_corpora():
    assert language_set("set1", read_languages(TABLE)) == {
        "pol": "M-AILABS",
        "spa": "voxforge",
        "ces": "commonvoice",
        "ron": "fleurs",
        "nan": "commonvoice",
        "cmn": "fleurs",
    }


def test_an_unknown_set_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"Did you mean 'set1'\? Known: set1"):
        language_set("set_1", read_languages(TABLE))


def test_a_language_is_added_by_a_row_alone(tmp_path):
    table = tmp_path / "languages.tsv"
    table.write_text(TABLE.read_text() + "qaa\tNew\tLatn\t0\t0\tmine:fleurs other\n")
    language = read_languages(table)["qaa"]
    assert language.sets == {"mine": "fleurs", "other": ""}
    assert language_set("mine", read_languages(table)) == {"qaa": "fleurs"}


@pytest.mark.parametrize(
    "row", ["qaa\tNew\tLatn\t0\t0", "qaa\tNew\tLatn\tno\t0\t", "eng\tE\tL\t0\t0\t"]
)
def test_a_malformed_row_is_an_error_with_its_line(tmp_path, row):
    table = tmp_path / "languages.tsv"
    table.write_text(TABLE.read_text() + row + "\n")
    line = len(TABLE.read_text().splitlines()) + 1
    with pytest.raises(UserError, match=rf"languages\.tsv:{line} "):
        read_languages(table)


def test_languages_are_chosen_sorted_and_none_means_all():
    assert choose("fra, eng", ["eng", "spa", "fra"], "x") == ["eng", "fra"]
    assert choose("", ["spa", "eng"], "x") == ["eng", "spa"]
    with pytest.raises(UserError, match=r"engg is not .*Did you mean 'eng'\? Known: eng fra"):
        choose("engg", ["eng", "fra"], "x")
