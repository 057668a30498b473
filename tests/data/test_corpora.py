"""asr_dro_plugin/data/corpora.py and the table of licences."""

import pytest

from asr_dro_plugin.data.corpora import UNKNOWN, find, read_corpora
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.languages import read_languages


@pytest.mark.parametrize(("corpus", "lang", "licence"), [
    ("prompts", "eng", "CC BY-SA 3.0"),
    ("prompts", "rus", "CC BY 3.0"),
    ("librispeech", "eng", "CC BY 4.0"),
    ("LibriSpeech", "eng", "CC BY 4.0"),
    ("m_ailabs", "pol", "BSD-3-Clause"),
    ("googlei18n-asr", "sun", "CC BY-SA 4.0"),
    ("prompts", "deu", UNKNOWN),
    ("mine", "eng", UNKNOWN),
    ("-", "eng", UNKNOWN),
])  # fmt: skip
def test_the_recipes_table_knows_the_licence_of_a_corpus_in_a_language(corpus, lang, licence):
    assert find(corpus, lang, read_corpora()).licence == licence


def test_every_corpus_of_a_language_set_has_a_licence():
    sets = [set_ for language in read_languages().values() for set_ in language.sets.values()]
    assert sets and all(find(name, "", read_corpora()).licence != UNKNOWN for name in sets)


def test_the_row_of_the_language_wins_over_the_row_of_the_corpus(tmp_path):
    table = tmp_path / "corpora.tsv"
    table.write_text("corpus\tlang\tlicence\tsource\nx\t\tA\thttp\nx\tfra\tB\thttp\n")
    rows = read_corpora(table)
    assert [find("X", lang, rows).licence for lang in ("fra", "deu")] == ["B", "A"]


@pytest.mark.parametrize(
    "line", ["x eng A b", "x\teng\t\thttp", "\t\tA\thttp", "p\t\tA\tb\nP\t\tA\tb"]
)
def test_a_malformed_row_is_named(tmp_path, line):
    (tmp_path / "corpora.tsv").write_text(f"# comment\n{line}\n")
    with pytest.raises(UserError, match="corpora.tsv:[23]"):
        read_corpora(tmp_path / "corpora.tsv")
