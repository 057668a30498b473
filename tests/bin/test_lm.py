"""``asr-dro lm``: what a user types, and what comes of bad input."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.bin.lm import main
from asr_dro_plugin.errors import SomeLeftOut, UserError, how_to_install
from asr_dro_plugin.lm.files import find_lm, lm_names

ROOT = Path(__file__).resolve().parents[2]
TEXT = "e1 [eng] the cat sat\ne2 [eng] the dog\np1 [pol] kot spał\np2 [pol] kot spał tu\n"
GROUPS = "e1 eng\ne2 eng\np1 pol\np2 pol\n"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A Kaldi text with its languages; the current folder; no KenLM programs."""
    (tmp_path / "text").write_text(TEXT, "utf-8")
    (tmp_path / "utt2lang").write_text(GROUPS)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    return tmp_path


def test_one_command_builds_a_model_without_kenlms_programs(tmp_path):
    """Row A8 of the predecessors, in a process of its own."""
    (tmp_path / "corpus.txt").write_text("the cat sat\nthe cat ran\n")
    (tmp_path / "empty").mkdir()
    env = {**os.environ, "PATH": str(tmp_path / "empty"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "asr_dro_plugin.bin.main", "lm", "build", "--order", "3"]
    done = subprocess.run(
        [*command, "corpus.txt"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "lm/joint/unigrams.txt").read_text().split() == ["cat", "ran", "sat", "the"]
    (tmp_path / "corpus.txt").write_bytes(b"caf\xe9\n")
    done = subprocess.run(
        [*command, "corpus.txt"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: corpus.txt:1 is not UTF-8")
    assert done.stderr.count("\n") == 1


def test_build_makes_what_the_three_stages_make(data, capsys):
    options = ["--groups", "utt2lang", "--per", "both"]
    main(["build", *options, "--order", "2", "--out", "one", "text"])
    main(["collect", *options, "--out", "texts", "text"])
    main(["estimate", "--order", "2", "--out", "three", "texts"])
    main(["binary", "three"])
    assert lm_names("one") == lm_names("three") == ["eng", "joint", "pol"]
    for name in lm_names("one"):
        for file in ("lm.arpa.gz", "unigrams.txt", "lm.json"):
            assert Path("one", name, file).read_bytes() == Path("three", name, file).read_bytes()
    assert sorted(path.name for path in Path("one").iterdir()) == ["eng", "joint", "pol"]
    said = capsys.readouterr().out
    assert "sentences: eng 2, joint 4, pol 2" in said
    assert "peak memory" in said
    assert "three: no build_binary on PATH" in said


def test_the_tag_is_in_no_model(data):
    main(["build", "--groups", "utt2lang", "text"])
    assert find_lm("lm").words() == ["cat", "dog", "kot", "sat", "spał", "the", "tu"]


def test_an_id_without_language_is_left_out_with_exit_code_3_or_1(data, capsys):
    Path("utt2lang").write_text("e1 eng\np1 pol\np2 pol\n")
    with pytest.raises(SomeLeftOut, match="1 lines have no language and were left out: e2"):
        main(["build", "--groups", "utt2lang", "text"])
    assert find_lm("lm").description["sentences"] == 3
    with pytest.raises(UserError, match="left out: e2") as caught:
        main(["build", "--groups", "utt2lang", "--strict", "true", "--out", "strict", "text"])
    assert caught.value.exit_code == 1
    assert lm_names("strict") == []


def test_a_language_with_too_little_text_is_left_out_with_exit_code_3(data, capsys):
    options = ["--groups", "utt2lang", "--per", "language", "--order", "5"]
    Path("text").write_text("e1 a b c d\np1 x\n")
    with pytest.raises(SomeLeftOut, match="1 of 2 left out: The text of 'pol' has no 4-grams|5"):
        main(["build", *options, "text"])
    assert lm_names("lm") == ["eng"]


def test_several_texts_plain_and_packed_make_one_model(data):
    Path("a.txt").write_text("one two\n")
    Path("b.gz").write_bytes(gzip.compress(b"three <s> four\n"))
    main(["build", "--order", "2", "a.txt", "b.gz"])
    assert find_lm("lm").words() == ["four", "one", "three", "two"]
    main(["build", "--order", "2", "--kaldi", "true", "--overwrite", "true", "a.txt"])
    assert find_lm("lm").words() == ["two"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["build", "--order", "0", "text"], "--order 0 is less than 1"),
        (["build", "--prune", "0 x", "text"], "not a list of numbers"),
        (["build", "nothing"], "nothing does not exist"),
        (["build", "--out", "text", "text"], "--out text is a file"),
        (["build", "--text_norm", "lower", "text"], "--text_norm lower is not known"),
        (["build", "--kaldi", "false", "--groups", "utt2lang", "text"], "needs utterance ids"),
        (["build", "--estimator", "lmplz", "text"], "lmplz is not on PATH"),
        (["estimate", "nothing"], "holds no finished texts"),
        (["binary", "nothing"], "asked for and is not in nothing"),
        (["binary", "text"], "text is a file. Name its folder"),
        (["perplexity", "nothing", "text"], "asked for and is not in nothing"),
    ],
)
def test_bad_input_is_one_line_and_no_model(data, argv, said):
    with pytest.raises(UserError, match=said) as caught:
        main(argv)
    assert "\n" not in str(caught.value)
    assert not Path("lm").exists()


@pytest.mark.parametrize("argv", [[], ["fetch"], ["build"], ["build", "--ordre", "3", "text"]])
def test_wrong_usage_is_exit_code_2(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2


def test_perplexity_prints_a_table_and_writes_every_figure(data, capsys):
    pytest.importorskip("kenlm", reason="needs the extra lm")
    main(["build", "--groups", "utt2lang", "--per", "both", "--order", "2", "text"])
    capsys.readouterr()
    code = main(["perplexity", "lm", "text", "--groups", "utt2lang", "--json", "out/ppl.json"])
    table = capsys.readouterr().out
    assert code == 0
    assert "pol    pol" in table
    found = json.loads(Path("out/ppl.json").read_text("utf-8"))
    assert found["total"]["joint"]["oov"] == 0
    assert found["groups"]["eng"]["language"]["tokens"] == 5
    assert found["text_norm"] == "none"


def test_perplexity_of_an_id_without_language_is_exit_code_3_or_1(data, capsys):
    pytest.importorskip("kenlm", reason="needs the extra lm")
    main(["build", "--groups", "utt2lang", "--order", "2", "text"])
    Path("utt2lang").write_text("e1 eng\np1 pol\np2 pol\n")
    argv = ["perplexity", "lm", "text", "--groups", "utt2lang"]
    with pytest.raises(SomeLeftOut, match="1 utterances without a language, not scored: e2"):
        main(argv)
    assert "total" in capsys.readouterr().out
    with pytest.raises(UserError, match="not scored: e2") as caught:
        main([*argv, "--strict", "true"])
    assert caught.value.exit_code == 1


def test_perplexity_without_kenlm_names_the_extra(data, monkeypatch):
    main(["build", "--groups", "utt2lang", "--order", "2", "text"])
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(UserError, match=re.escape(how_to_install("lm"))):
        main(["perplexity", "lm", "text", "--groups", "utt2lang"])
