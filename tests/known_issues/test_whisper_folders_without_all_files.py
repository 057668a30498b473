"""A Whisper's folder that lacks a file of its tokenizer, or has half of one: told without its name,
or with a traceback in stage 5."""

import shutil

import pytest

from asr_dro_plugin.bin import import_model, make_tokens
from asr_dro_plugin.errors import UserError

pytest_plugins = ["tests.fixtures_whisper"]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 2203239\n"


@pytest.fixture
def folder(tiny_whisper, tmp_path):
    return shutil.copytree(tiny_whisper, tmp_path / "whisper")


def refused(folder, words):
    """By import and by stage 5, in one line that names the folder, with nothing left behind."""
    out, text = folder.parent / "out", folder.parent / "text"
    text.write_text("utt0 [deu] tag\n")
    stage_5 = ["--text", str(text), "--out_dir", str(out), "--token_type", "hugging_face"]
    for run in (
        lambda: import_model.main(["--from", "hf", str(folder), "--out", str(out)]),
        lambda: make_tokens.main([*stage_5, "--ssl_checkpoint", str(folder)]),
    ):
        with pytest.raises(UserError, match=words) as error:
            run()
        assert len(str(error.value).splitlines()) == 1 and str(folder) in str(error.value)
        assert not (out / "tokens.txt").exists() and not (out / "config.yaml").exists()
        shutil.rmtree(out, ignore_errors=True)


@pytest.mark.parametrize("gone, words", [
    (["tokenizer.json", "merges.txt"], "neither tokenizer.json nor vocab.json and merges.txt"),
    (["tokenizer.json", "vocab.json"], "neither tokenizer.json nor vocab.json and merges.txt"),
    (["tokenizer.json", "added_tokens.json"], "lacks tokenizer.json or added_tokens.json"),
])  # fmt: skip
def test_what_is_missing_is_named(folder, gone, words):
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    refused(folder, words)


@pytest.mark.parametrize("content", [POINTER, "", '{"version": "1.0", "model": {"vocab": '])
def test_half_a_tokenizer_is_none(folder, content):
    (folder / "tokenizer.json").write_text(content)
    refused(folder, "holds no tokenizer .*Fetch it again")


@pytest.mark.parametrize("content", ["{", "[]", '{"vocab_size": "many"}'])
def test_half_a_configuration_is_refused_in_stage_5_too(folder, content):
    (folder / "config.json").write_text(content)
    refused(folder, "config.json")
