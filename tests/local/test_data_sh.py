"""local/data.sh: options and dispatch."""

import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from tests import toy
from tests.local.conftest import ROOT, refusal


def test_an_unknown_corpus_is_refused_with_the_known_ones(prepare):
    line = refusal(prepare("--corpus", "prompt"))
    assert line.endswith("Known: debian kaldi librispeech ml_superb prompts tsv.")


def test_an_unknown_option_is_refused_with_a_suggestion(prepare):
    assert "Did you mean 'langs'?" in refusal(prepare("--corpus", "tsv", "--lang", "eng"))


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
    done = prepare("--corpus", "mine", "--colour", "blue", MINE="/roots/mine")
    assert done.returncode == 0, done.stderr
    assert "--source /roots/mine" in done.stdout
    assert done.stdout.endswith("--colour blue\n")
    listed = prepare("--corpus", "mine", "--list_inputs").stdout.split()
    assert {"local/data_mine.py", "local/languages.tsv"} <= set(listed)
    assert "local/espeak_voices.tsv" not in listed  # a new voice would begin every corpus anew


@pytest.mark.parametrize(
    "corpus", ["debian", "kaldi", "librispeech", "ml_superb", "prompts", "tsv"]
)
def test_help_of_a_corpus_names_its_options(prepare, corpus):
    done = prepare("--corpus", corpus, "--help")
    assert done.returncode == 0
    words = (ROOT / "local" / f"data_{corpus}.py").read_text()
    own = {word.split('"')[1] for word in words.split("add_argument(")[1:] if '"--' in word[:12]}
    for option in own | {"--langs", "--lid", "--text_norm", "--data_source", "--max_drop"}:
        assert f"{option} " in done.stdout


def test_the_texts_of_a_corpus_are_its_inputs_and_its_audio_is_not(prepare, tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    for name in ("a.txt", "b.tsv", "c.wav"):
        (root / name).touch()
    listed = prepare("--corpus", "ml_superb", "--list_inputs", str(root)).stdout.split()
    assert [path for path in listed if "corpus/" in path] == [f"{root}/a.txt", f"{root}/b.tsv"]
    one = prepare("--corpus", "tsv", "--list_inputs", TSV=f"{root}/b.tsv").stdout.split()
    assert f"{root}/b.tsv" in one and f"{root}/a.txt" not in one
