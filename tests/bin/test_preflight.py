"""``asr-dro preflight`` as stage 10 calls it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.bin import info, make_tokens, preflight
from asr_dro_plugin.data.feature_store import PartWriter, merge
from asr_dro_plugin.errors import UserError
from tests.sounds import data_dir

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
frontend_conf: {hop_length: 160}
encoder: conv_ctc
encoder_conf: {strides: [2, 2]}
model: dro
model_conf: {ctc_weight: 1.0}
iterator_type: task
sampler: group_duration
sampler_conf: {duration: 10.0}
"""


def dump(path, texts, seconds=1.0):
    samples = {
        utt_id: str(round(16000 * (seconds + 0.1 * row))) for row, utt_id in enumerate(texts)
    }
    data_dir(path, texts, text=texts, utt2num_samples=samples)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe directory after stage 5: two languages, a dev set and a test set."""
    monkeypatch.chdir(tmp_path)
    train = {f"{lang}_{row:02d}": f"[{lang}] ab cd" for lang in ("eng", "deu") for row in range(12)}
    dump(tmp_path / "dump/raw/train", train)
    dump(tmp_path / "dump/raw/dev", {"eng_v": "[eng] ba", "deu_v": "[deu] dc"})
    dump(tmp_path / "dump/raw/test", {"eng_t": "[eng] bq", "deu_t": "[deu] a"})
    (tmp_path / "x.yaml").write_text(CONFIG)
    make_tokens.main(["--text", "dump/raw/train/text", "--out_dir", "tok"])
    return tmp_path


SHAPES = [
    "--train_dir", "dump/raw/train", "--valid_dir", "dump/raw/dev", "--tokens", "tok/tokens.txt",
    "--nlsyms", "tok/nlsyms.txt", "--config", "x.yaml", "--out_dir", "exp/stats",
]  # fmt: skip
TESTS = ["--test_dirs", "dump/raw/test", "dump/raw/none"]


def test_what_works_is_printed_and_written(recipe, capsys):
    assert preflight.main([*SHAPES, *TESTS]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    written = (recipe / "exp/stats/preflight.txt").read_text()
    assert written == told.out
    assert "WARNING: test: eng: the training text lacks 1 characters: 'q' U+0071" in told.out
    assert "WARNING: dump/raw/none is not made yet: not looked at. Run stages 3 and 4." in told.out
    assert "frame shift: 40 ms: encoder conv_ctc (stride 4 on 10 ms frames)" in told.out
    found = json.loads((recipe / "exp/stats/preflight.json").read_text())
    assert found["errors"] == [] and found["frame_shift"] == 0.04
    assert [(one["set"], one["role"]) for one in found["sets"]] == [
        ("train", "train"), ("dev", "valid"), ("test", "test"),
    ]  # fmt: skip
    assert found["sets"][2]["languages"]["eng"]["unseen"] == {"q": 1}
    assert found["sets"][0]["languages"]["deu"]["num_utts"] == 12


def test_the_longest_batch_is_that_of_info_after_stage_10(recipe, capsys):
    preflight.main(SHAPES)
    found = json.loads((recipe / "exp/stats/preflight.json").read_text())["longest_batch"]
    assert not (recipe / "exp/stats/train").exists()
    assert preflight.main([*SHAPES, "--write_shapes", "true"]) == 0
    capsys.readouterr()
    info.main(["x.yaml", "--stats_dir", "exp/stats", "--json"])
    assert json.loads(capsys.readouterr().out)["batches"] == found


def test_every_reason_why_it_cannot_work_is_a_line_and_the_exit_code_1(recipe):
    dump(recipe / "dump/raw/dev", {"eng_v": "[eng] ba", "fra_v": "[fra] dc"})
    words = ["--override", "encoder_conf.strides=[8,8]", "--write_shapes", "true"]
    done = subprocess.run(
        [sys.executable, "-m", "asr_dro_plugin.bin.preflight", *SHAPES, *words],
        capture_output=True, text=True, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.split(" ")[:3] for line in lines] == [
        ["ERROR:", "train:", "deu:"], ["ERROR:", "train:", "eng:"], ["ERROR:", "dev:", "eng:"],
        ["ERROR:", "dev:", "fra"], ["ERROR:", "dev:", "fra:"],
    ]  # fmt: skip
    assert "640 ms per frame (encoder conv_ctc (stride 64 on 10 ms frames))" in lines[0]
    assert done.stdout.startswith("Preflight of x.yaml\n\nset ")
    assert (recipe / "exp/stats/preflight.txt").read_text().endswith(lines[-1] + "\n")
    assert not (recipe / "exp/stats/train").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--override", "encoder=conv_ctx"], "Did you mean 'conv_ctc'"),
        (["--override", "frontend_conf.fs=8000"], "fs is 8000, but the recipe's audio is 16 kHz"),
        (["--tokens", "bad.txt"], "bad.txt must begin with <blank>"),
        (["--train_dir", "dump/raw/no"], "dump/raw/no/text does not exist"),
        (["--token_type", "bpe"], "bpe needs its sentencepiece model"),
    ],
)
def test_what_cannot_be_measured_is_one_line(recipe, change, words):
    (recipe / "bad.txt").write_text("<unk>\na\n<sos/eos>\n")
    with pytest.raises(UserError, match=words):
        preflight.main([*SHAPES, *change])
    assert not (recipe / "exp/stats").exists()


@pytest.mark.parametrize(
    ("old", "extend", "words"),
    [
        ("<blank>\n<unk>\n[eng]\na\nb\nz\n<sos/eos>\n", "true", "lacks 1 tokens of .* (first: z)"),
        ("<blank>\n<unk>\n[eng]\na\nb\n<sos/eos>\n", "false", "has 4 tokens that .* lacks"),
        ("<blank>\n<unk>\n[eng]\na\nb\n<sos/eos>\n", "true", None),
    ],
)
def test_a_list_that_does_not_fit_the_continued_model_is_refused(
    recipe, capsys, old, extend, words
):
    (recipe / "old").mkdir()
    (recipe / "old/tokens.txt").write_text(old)
    code = preflight.main([*SHAPES, "--init_exp", "old", "--extend_groups", extend])
    told = capsys.readouterr().err
    assert code == (words is not None)
    if words:
        import re

        assert re.search(words.replace("(", r"\(").replace(")", r"\)"), told)


def test_a_given_list_in_the_other_case_is_named_in_stage_4_too(recipe):
    from asr_dro_plugin.bin import filter_data

    write_table(
        recipe / "dump/raw/train/text",
        {f"{lang}_{row:02d}": f"[{lang}] ab" for lang in ("eng", "deu") for row in range(12)},
    )
    for name, value in (("feats_type", "raw"), ("audio_format", "flac.ark")):
        (recipe / "dump/raw/train" / name).write_text(f"{value}\n")
    (recipe / "upper.txt").write_text("<blank>\n<unk>\n[deu]\n[eng]\nA\nB\n<space>\n<sos/eos>\n")
    with pytest.raises(UserError, match="The list is in upper case .* --text_norm upper_no_punct"):
        filter_data.main(["--in_dir", "dump/raw/train", "--out_dir", "out", "--role", "train",
                          "--token_list", "upper.txt"])  # fmt: skip


def test_features_that_are_no_longer_the_audios_are_refused(recipe):
    """Half of them, or those of audio that was of another length."""

    def make(name, more=0):
        lengths = read_table(recipe / "dump/raw" / name / "utt2num_samples")
        with PartWriter(recipe / "feats" / name, 1, "it") as part:
            part.write((u, np.zeros((int(n) // 160 + 1 + more, 1), "f2"), 0)
                       for u, n in lengths.items())  # fmt: skip
        merge(recipe / "feats" / name, ["it"], list(lengths), {})

    words = [*SHAPES, "--features_dir", "feats"]
    make("train")
    with pytest.raises(UserError, match="feats/dev cannot be used: the folder does not exist"):
        preflight.main(words)
    make("dev", more=1)
    with pytest.raises(UserError, match="feats/dev has 112 frames of deu_v, .* makes 111"):
        preflight.main(words)
    make("dev")
    assert preflight.main(words) == 0


def test_neither_torch_nor_espnet_is_loaded(recipe):
    program = (
        "import sys\nfrom asr_dro_plugin.bin import preflight\n"
        f"preflight.main({[*SHAPES, *TESTS]!r})\n"
        "print({'torch', 'espnet2', 'transformers', 'soundfile'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.stdout.endswith("set()\n"), done.stdout + done.stderr
