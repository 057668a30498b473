"""Stages 2, 3, 4, 5 and 10 as the recipe calls them, one after the other, on real files."""

import subprocess
import sys

import numpy as np
import pytest

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.bin import dump_audio, filter_data, make_tokens, perturb_speed, preflight
from asr_dro_plugin.errors import UserError
from tests.sounds import data_dir, noise, write_flac

BINS = ["perturb_speed", "dump_audio", "filter_data", "make_tokens", "preflight"]
TRAIN = {"eng_a": "[eng] ab", "eng_b": "[eng] ba", "deu_c": "[deu] cc", "deu_d": "[deu] ää"}
DEV = {"eng_e": "[eng] bab", "deu_f": "[deu] zcäcäcäcäcä"}


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe directory with data/train and data/dev at 44.1 kHz stereo."""
    monkeypatch.chdir(tmp_path)
    for name, texts in (("train", TRAIN), ("dev", DEV)):
        sounds = {
            utt_id: write_flac(tmp_path / f"{utt_id}.flac", noise(0.6, 44100, channels=2), 44100)
            for utt_id in texts
        }
        data_dir(tmp_path / "data" / name, sounds, text=texts)
    (tmp_path / "x.yaml").write_text(
        "encoder: conv_ctc\nencoder_conf: {strides: [2, 2]}\nmodel_conf: {ctc_weight: 1.0}\n"
    )
    return tmp_path


def dump_and_filter(name: str, role: str, *more: str) -> None:
    dump = ["--data_dir", f"data/{name}", "--out_dir", f"dump/raw/org/{name}", "--num_parts", "2"]
    for part in ("1", "2"):
        dump_audio.main([*dump, "--part", part])
    dump_audio.main([*dump, "--merge", "true", "--max_drop", "0.05"])
    filter_data.main(
        ["--in_dir", f"dump/raw/org/{name}", "--out_dir", f"dump/raw/{name}", "--role", role, *more]
    )


SHAPES = [
    "--train_dir", "dump/raw/train", "--valid_dir", "dump/raw/dev", "--tokens", "tok/tokens.txt",
    "--nlsyms", "tok/nlsyms.txt", "--config", "x.yaml", "--out_dir", "exp/stats",
    "--write_shapes", "true",
]  # fmt: skip


def test_from_data_to_shapes(recipe):
    dump_and_filter("train", "train")
    dump_and_filter("dev", "valid", "--train_dir", "dump/raw/train")
    make_tokens.main(["--text", "dump/raw/train/text", "--out_dir", "tok"])
    assert preflight.main(SHAPES) == 0
    assert (recipe / "exp/stats/groups.txt").read_text() == "deu\neng\n"
    for part, texts in (("train", TRAIN), ("valid", DEV)):
        shapes = read_table(recipe / "exp/stats" / part / "speech_shape")
        assert set(shapes) == set(texts)
        assert all(abs(int(n) - 0.6 * 16000) <= 16 for n in shapes.values())  # 1 ms
    assert "\tz\t" in (recipe / "dump/raw/dev/unseen_characters.tsv").read_text()


def test_the_corpus_of_each_utterance_reaches_training(recipe):
    corpora = dict(zip(TRAIN, ("mls", "mls", "fleurs", "cv"), strict=True))
    write_table(recipe / "data/train/utt2corpus", corpora)
    perturb_speed.main(["--data_dir", "data/train", "--out_dir", "data/sp", "--factors", "0.9 1.0"])
    dump_and_filter("sp", "train")
    slow = {f"sp0.9-{utt_id}": corpus for utt_id, corpus in corpora.items()}
    assert read_table("dump/raw/sp/utt2corpus") == corpora | slow
    (recipe / "data/sp/utt2corpus").unlink()  # data made anew by a script that names none
    dump_and_filter("sp", "train")
    assert not (recipe / "dump/raw/sp/utt2corpus").exists()


def test_without_nlsyms_the_tags_of_the_list_are_whole(recipe):
    dump_and_filter("train", "train")
    dump_and_filter("dev", "valid")
    make_tokens.main(["--text", "dump/raw/train/text", "--out_dir", "tok"])
    assert preflight.main(SHAPES) == 0
    shape = recipe / "exp/stats/train/text_shape.char"
    with_file = shape.read_text()
    at = SHAPES.index("--nlsyms")
    preflight.main(SHAPES[:at] + SHAPES[at + 2 :])
    assert shape.read_text() == with_file


def test_a_stack_with_too_few_frames_is_named_before_training(recipe, capsys):
    dump_and_filter("train", "train")
    dump_and_filter("dev", "valid")
    make_tokens.main(["--text", "dump/raw/train/text", "--out_dir", "tok"])
    wide = ["--override", "encoder_conf.strides=[4,4,4]"]
    assert preflight.main([*SHAPES, *wide]) == 1
    assert "at 512 ms per frame (encoder conv_ctc" in capsys.readouterr().err
    assert not (recipe / "exp/stats/groups.txt").exists()


def test_espnet_loads_speech_and_groups_together(recipe):
    dump_and_filter("train", "train")
    dump_and_filter("dev", "valid")
    make_tokens.main(["--text", "dump/raw/train/text", "--out_dir", "tok"])
    assert preflight.main(SHAPES) == 0
    from espnet2.train.dataset import ESPnetDataset

    files = [
        ("dump/raw/train/wav.scp", "speech", "kaldi_ark"),
        ("exp/stats/train/utt2group", "group_ids", "text_int"),
    ]
    dataset = ESPnetDataset(files)
    _, item = dataset["deu_d"]
    assert item["group_ids"].tolist() == [0]
    assert len(item["speech"]) == int(read_table("exp/stats/train/speech_shape")["deu_d"])
    assert 0.01 < np.std(item["speech"]) < 0.1


def test_speed_copies_go_through_the_dump(recipe):
    perturb_speed.main(["--data_dir", "data/train", "--out_dir", "data/train_sp"])
    dump_and_filter("train_sp", "train")
    samples = {u: int(n) for u, n in read_table("dump/raw/train_sp/utt2num_samples").items()}
    assert samples["eng_a"] == 9600
    assert samples["sp0.9-eng_a"] == round(9600 / 0.9)
    assert samples["sp1.1-eng_a"] == round(9600 / 1.1)


@pytest.mark.parametrize("name", BINS)
def test_help_imports_nothing_heavy(name):
    code = (
        "import sys, runpy; sys.argv = ['x', '--help']\n"
        f"try: runpy.run_module('asr_dro_plugin.bin.{name}', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'espnet2', 'numpy', 'soundfile', 'av'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--" in done.stdout


def test_a_user_error_is_one_line_and_exit_code_1(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "asr_dro_plugin.bin.dump_audio", "--data_dir", "none",
         "--out_dir", "dump"], capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: none/wav.scp does not exist")
    assert done.stderr.count("\n") == 1 and not (tmp_path / "dump").exists()


@pytest.mark.parametrize("argv", [["--part", "3"], ["--part", "-1"]])
def test_a_part_outside_the_range_is_refused(argv):
    with pytest.raises(UserError, match=r"is not one of 1\.\.2"):
        dump_audio.main(["--data_dir", "d", "--out_dir", "o", "--num_parts", "2", *argv])
