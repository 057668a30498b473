"""base/recipe_files.py: the recipe's file of here before that of the package's checkout."""

from asr_dro_plugin.base.recipe_files import CHECKOUT, recipe_file

TABLE = "local/languages.tsv"


def test_a_file_of_here_goes_before_the_checkouts_and_what_is_nowhere_is_none(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert recipe_file(TABLE) == CHECKOUT / TABLE
    (tmp_path / "local").mkdir()
    (tmp_path / TABLE).write_text("")
    assert recipe_file(TABLE).resolve() == tmp_path / TABLE
    assert recipe_file("local/none.tsv") is None
