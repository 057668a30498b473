"""Stage 5 with --aux_text as the recipe calls it: both kinds, the log, one line of refusal."""

import logging

import pytest

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.bin.stages.aux_text import main
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.auxiliary import KINDS
from asr_dro_plugin.text.tokens import read_tokens
from tests.text.auxiliary.conftest import recipe, there  # noqa: F401  the fixture

TRAIN = {"deu-1": "[deu] Ja, da!", "rus-1": "[rus] дом"}
DEV = {"rus-2": "[rus] дом"}
EXPECTED = {
    "phonemes": {"train": {"deu-1": "j ɑː d ɑː", "rus-1": "d o m"}, "dev": {"rus-2": "d o m"}},
    "romanised": {
        "train": {"deu-1": "j a <space> d a", "rus-1": "d o m"}, "dev": {"rus-2": "d o m"},
    },
}  # fmt: skip


@pytest.fixture
def words(recipe, tmp_path):  # noqa: F811
    """``words(kind)``: the command's words, of two sets in two scripts."""
    for name, texts in (("train", TRAIN), ("dev", DEV)):
        write_table(tmp_path / name / "text", texts)
        langs = {utt_id: utt_id[:3] for utt_id in texts}
        write_table(tmp_path / name / "utt2lang", langs)
    folders = [("train_dir", "train"), ("valid_dir", "dev"), ("out_dir", "out")]
    named = [word for option, name in folders for word in (f"--{option}", str(tmp_path / name))]
    return lambda kind: ["--aux_text", kind, *named]


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("kind", KINDS)
def test_both_sets_are_converted_and_the_log_names_the_tool(kind, words, tmp_path, caplog):
    tool, out = there(kind), tmp_path / "out"
    caplog.set_level(logging.INFO)
    main(words(kind))
    assert sorted(contents(out)) == ["dev/text_aux", "tokens_aux.txt", "train/text_aux"]
    assert {name: read_table(out / name / "text_aux") for name in EXPECTED[kind]} == EXPECTED[kind]
    tokens = read_tokens(out / "tokens_aux.txt")
    units = {unit for text in EXPECTED[kind]["train"].values() for unit in text.split()}
    assert set(tokens) >= units
    assert f"{out}/tokens_aux.txt: {len(tokens)} units ({kind} by {tool})" in caplog.messages


def test_a_second_run_writes_the_same(words, tmp_path):
    there("phonemes")
    main(words("phonemes"))
    first = contents(tmp_path / "out")
    main(words("phonemes"))
    assert contents(tmp_path / "out") == first


def test_a_kind_that_is_none_is_wrong_usage(words, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words("ipa"))
    assert ended.value.code == 2 and "'ipa'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_set_that_is_not_there_is_one_line_and_nothing_is_written(words, tmp_path):
    there("phonemes")
    (tmp_path / "dev/text").unlink()
    with pytest.raises(UserError) as refused:
        main(words("phonemes"))
    assert "dev/text" in str(refused.value) and "\n" not in str(refused.value)
    assert not list(tmp_path.glob("out/*"))
