"""local/data.sh: options and dispatch."""

from pathlib import Path

import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from tests import toy
from tests.local.conftest import ROOT, refusal


def test_an_unknown_corpus_is_refused_with_the_known_ones(prepare):
    line = refusal(prepare("--corpus", "prompt"))
    assert "Did you mean 'prompts'?" in line
    assert line.endswith("Known: librispeech ml_superb prompts tsv.")


def test_an_unknown_option_is_refused_with_a_suggestion(prepare):
    assert "Did you mean --corpus?" in refusal(prepare("--corpsu", "tsv"))


def test_an_option_of_another_corpus_is_refused(prepare):
    line = refusal(prepare("--corpus", "tsv", "--duration", "1h"))
    assert "--duration does not apply to corpus tsv" in line


def test_an_option_that_is_not_given_leaves_the_default(prepare, tmp_path):
    table = toy.write_table(tmp_path)
    done = prepare("--corpus", "tsv", "--source", table, "--lid", "false", "--group_by", "lang")
    assert done.returncode == 0, done.stderr
    texts = read_table(prepare.folder / "data" / "train_tsv" / "text")
    assert not any(text.startswith("[") for text in texts.values())


def test_the_root_of_a_corpus_comes_from_db_sh(prepare, tmp_path):
    table = toy.write_table(tmp_path)
    done = prepare("--corpus", "tsv", TSV=str(table))
    assert done.returncode == 0, done.stderr


def test_a_new_corpus_is_a_new_file(prepare):
    local = prepare.folder / "local"
    local.unlink()
    local.mkdir()
    for path in (ROOT / "local").iterdir():
        (local / path.name).symlink_to(path)
    (local / "data_mine.py").write_text("import sys\nprint(*sys.argv[1:])\n")
    done = prepare("--corpus", "mine", "--corpus_opts", "--colour blue", MINE="/roots/mine")
    assert done.returncode == 0, done.stderr
    assert "--source /roots/mine" in done.stdout
    assert done.stdout.endswith("--colour blue\n")


def test_help_names_every_option(prepare):
    done = prepare("--help")
    assert done.returncode == 0
    for name in ("corpus", "langs", "lid", "text_norm", "source", "language_set", "columns"):
        assert f"--{name} " in done.stdout


@pytest.mark.parametrize("script", sorted(Path(ROOT / "local").glob("data_*.py")))
def test_every_option_that_a_script_takes_can_be_given_to_data_sh(script, prepare):
    words = (
        script.read_text() + (ROOT / "asr_dro_plugin" / "data" / "corpus_options.py").read_text()
    )
    taken = {word.split('"')[1] for word in words.split("add_argument(")[1:] if '"--' in word[:12]}
    offered = prepare("--help").stdout
    assert all(f"{option} " in offered for option in taken)
