"""``asr-dro vocab``: one list whatever the order of the texts, strays told, ids that are HF's."""

import gzip
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.bin import make_tokens, vocab
from asr_dro_plugin.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
TEXT = {
    "deu_a": "[deu] über allen gipfeln", "eng_b": "[eng] don't go now", "eng_a": "[eng] what?",
    "eng_c": "[eng] a а b",  # one Cyrillic а
}  # fmt: skip


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "train" / "text"
    path.parent.mkdir()
    path.write_text("".join(f"{utt_id} {words}\n" for utt_id, words in TEXT.items()))
    return path


def run(*words):
    assert vocab.main([str(word) for word in words]) == 0


def test_the_list_is_the_same_in_any_order_and_has_every_symbol_once(text, tmp_path, capsys):
    run(text, "--out", tmp_path / "one/tokens.txt")
    lines = text.read_text().splitlines()
    random.Random(1).shuffle(lines)
    text.write_text("\n".join(lines) + "\n")
    run(text, "--out", tmp_path / "two/tokens.txt")
    for name in ("tokens.txt", "characters.tsv", "nlsyms.txt"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    tokens = (tmp_path / "one/tokens.txt").read_text().splitlines()
    assert tokens[:4] == ["<blank>", "<unk>", "[deu]", "[eng]"] and tokens[-1] == "<sos/eos>"
    assert len(set(tokens)) == len(tokens) and tokens.count("<space>") == 1 and " " not in tokens
    told = capsys.readouterr().out
    assert "'?' U+003F QUESTION MARK, 1 times, first in eng_a" in told
    assert "'а' U+0430 CYRILLIC SMALL LETTER A, 1 times, first in eng_c" in told


def test_it_is_the_list_of_stage_5(text, tmp_path):
    run(text, "--out", tmp_path / "ours/tokens.txt")
    make_tokens.main(["--text", str(text), "--out_dir", str(tmp_path / "stage5")])
    for name in ("tokens.txt", "nlsyms.txt", "characters.tsv"):
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "stage5" / name).read_bytes()


def test_stage_5_tells_stray_characters(text, tmp_path, caplog):
    make_tokens.main(["--text", str(text), "--out_dir", str(tmp_path / "stage5")])
    assert "1 characters that are no letters: '?' U+003F" in caplog.text


@pytest.mark.parametrize("as_file", [False, True])
def test_nothing_outside_the_allow_list_gets_a_token(text, tmp_path, capsys, as_file):
    allow = "a-zü'"
    if as_file:
        (tmp_path / "allow.txt").write_text("<blank>\nabcdefghij\nklmnopqrstuvwxyz\nü\n'\n")
        allow = str(tmp_path / "allow.txt")
    run(text, "--out", tmp_path / "tokens.txt", "--allow", allow)
    tokens = (tmp_path / "tokens.txt").read_text().splitlines()
    assert "?" not in tokens and "а" not in tokens and "ü" in tokens
    told = capsys.readouterr().out
    assert "2 characters outside --allow were left out: '?' U+003F" in told
    assert "(2 of them unknown)" in told


def test_hugging_faces_tokenizer_gives_every_token_the_same_id(text, tmp_path):
    transformers = pytest.importorskip("transformers")
    out = tmp_path / "hf"
    run(text, "--out", out, "--format", "hf", "--allow", "a-zü'")
    run(text, "--out", tmp_path / "tokens.txt", "--allow", "a-zü'")
    ours = (tmp_path / "tokens.txt").read_text().splitlines()
    ids = json.loads((out / "vocab.json").read_text())
    tokenizer = transformers.Wav2Vec2CTCTokenizer.from_pretrained(str(out))
    assert {token: tokenizer.convert_tokens_to_ids(token) for token in ids} == ids
    assert sorted(ids.values()) == list(range(len(ours)))
    assert tokenizer.pad_token_id == ours.index("<blank>")
    assert tokenizer.unk_token_id == ours.index("<unk>")
    assert ids["|"] == ours.index("<space>") and " " not in ids
    for words in ("don't go now", "über"):
        expected = [ours.index("<space>" if char == " " else char) for char in words]
        assert tokenizer(words).input_ids == expected
        spread = [row for row in expected for _ in (0, 1)]  # each label for two frames
        assert tokenizer.decode([ours.index("<blank>"), *spread]) == words


def test_plain_and_packed_lines_are_texts_too_and_the_rule_says_what_it_changes(tmp_path, capsys):
    path = tmp_path / "corpus.txt.gz"
    path.write_bytes(gzip.compress("Ёлка, да!\nдва\n".encode()))
    run(path, "--out", tmp_path / "tokens.txt", "--text_norm", ROOT / "conf/text_norm_rus.yaml")
    tokens = (tmp_path / "tokens.txt").read_text().splitlines()
    assert set(tokens[2:-1]) == set("елкадв") | {"<space>"}
    told = capsys.readouterr().out
    assert "changes 1 of 2 lines" in told and "WARNING" not in told


def test_languages_are_told_by_utt2lang_beside_the_text(tmp_path):
    (tmp_path / "text").write_text("u1 abc\nu2 где\n")
    (tmp_path / "utt2lang").write_text("u1 eng\nu2 rus\n")
    run(tmp_path / "text", "--out", tmp_path / "tokens.txt")
    rows = (tmp_path / "characters.tsv").read_text().splitlines()
    assert "г\tU+0433\tCYRILLIC SMALL LETTER GHE\t1\trus\tu2\tkept" in rows


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--min_count", "0"], "--min_count is 0"),
        (["--allow", "x/allow.txt"], "--allow x/allow.txt does not exist"),
        (["--allow", "z-a"], "runs backwards"),
        (["--text_norm", "lower_no_punkt"], "Did you mean 'lower_no_punct'"),
    ],
)
def test_bad_input_is_one_line_and_no_list(text, tmp_path, words, told):
    with pytest.raises(UserError, match=told):
        vocab.main([str(text), "--out", str(tmp_path / "tokens.txt"), *words])
    assert not (tmp_path / "tokens.txt").exists()


def test_an_empty_or_missing_text_is_one_line(tmp_path):
    (tmp_path / "text").write_text("")
    for name, told in (("text", "holds no text"), ("none", "does not exist")):
        with pytest.raises(UserError, match=told):
            vocab.main([str(tmp_path / name), "--out", str(tmp_path / "tokens.txt")])


def test_large_texts_take_no_memory(tmp_path):
    """Lines are read one by one: ten times the text is no more memory."""
    program = (
        "import re, sys\nfrom asr_dro_plugin.bin import vocab\n"
        "vocab.main([sys.argv[1], '--out', sys.argv[2]])\n"
        "status = open('/proc/self/status').read()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024)"
    )
    peaks = []
    for name, num in (("small", 2_000), ("large", 100_000)):
        path = tmp_path / f"{name}.txt"
        path.write_text("the quick brown fox jumps over the lazy dog again and again\n" * num)
        done = subprocess.run(
            [sys.executable, "-c", program, path, tmp_path / name / "tokens.txt"],
            capture_output=True, text=True, check=True, cwd=ROOT,
        )  # fmt: skip
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 5  # MiB; the text itself has 6


def test_a_rule_that_leaves_nothing_is_refused_and_lines_that_it_empties_are_told(tmp_path, capsys):
    plain, out = tmp_path / "corpus.txt", tmp_path / "tokens.txt"
    plain.write_text("guten tag\nhallo\n")
    with pytest.raises(UserError, match="--text_norm rus leaves nothing of 2 lines"):
        run(plain, "--text_norm", "rus", "--out", out)
    assert not out.exists()
    plain.write_text("guten tag\nпривет\n")
    run(plain, "--text_norm", "rus", "--out", out)
    assert "rus: changes 1 of 2 lines and leaves nothing of 1\n" in capsys.readouterr().out
