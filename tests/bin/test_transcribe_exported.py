"""``asr-dro transcribe`` and ``info`` with an exported model: the same options, and no torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.bin import info, segment, transcribe
from asr_dro_plugin.errors import UserError
from tests.export.onnx.exps import speech
from tests.runtime.conftest import experiment, exported, zipped  # noqa: F401  the fixtures

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_TORCH = """
import sys

class Forbidden:
    names = {"torch", "torchaudio", "transformers", "espnet", "espnet2", "s3prl", "onnx"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise AssertionError(f"something imports {name}")

sys.meta_path.insert(0, Forbidden())
from asr_dro_plugin.bin.main import main
main()
"""


RECORDINGS = (  # row B12: five of several containers, rates and channels
    ("a.wav", 3, 16000), ("b.wav", 40, 16000), ("c.flac", 2, 8000), ("d.ogg", 3, 44100),
    ("e.aiff", 2, 48000),
)  # fmt: skip


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    for name, seconds, rate in RECORDINGS:
        samples = speech(seconds * rate, seed=rate)
        soundfile.write(folder / name, np.stack([samples] * (1 + (rate > 16000)), 1), rate)
    return folder


def said(capsys, *words):
    assert transcribe.main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_it_says_what_the_experiment_says(exported, experiment, audio, capsys):  # noqa: F811
    words = [audio, "--format", "json", "--lang", "deu"]
    one = said(capsys, *words, "--exp", exported)
    two = said(capsys, *words, "--exp", experiment, "--model_file", "model.pth")
    ours, theirs = ([json.loads(line) for line in each.splitlines()] for each in (one, two))
    assert len(ours) == 5 and all(each["hypotheses"][0]["words"] for each in ours)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["hypotheses"][0]["text"] == other["hypotheses"][0]["text"]
        assert (mine["lang"], mine["duration"]) == (other["lang"], other["duration"])


def test_no_torch_is_imported_by_anything_on_the_way(zipped, audio, tmp_path):  # noqa: F811
    """Row A23; with everything that transcribes: VAD, a search, a zip, several formats."""
    words = ["transcribe", audio, "--exp", zipped, "--vad", "true", "--nbest", "2",
             "--format", "srt json", "--out", tmp_path / "out"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, words)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").rglob("*.srt"))) == 5


@pytest.mark.parametrize(
    "words, fact",
    [
        (["--ngpu", "1"], "--ngpu is about an experiment"),
        (["--model_file", "x.pth"], "--model_file is about an experiment"),
        (["--threads", "0"], "threads is 0. Give 1 or more"),
        (["--precision", "int4"], "no precision 'int4'. Legal: fp32"),
        (["--lang", "fra"], "knows no language 'fra'"),
        (["--lm_dir", "nowhere"], "nowhere"),
    ],
)
def test_what_an_export_does_not_have_is_refused_in_one_line(exported, audio, words, fact):  # noqa: F811
    with pytest.raises(UserError, match=fact) as error:
        transcribe.main([str(audio), "--exp", str(exported), *words])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("words", [["--threads", "2"], ["--precision", "int8"]])
def test_what_only_an_export_has_is_refused_of_an_experiment(experiment, audio, words):  # noqa: F811
    with pytest.raises(UserError, match=f"{words[0]} is about an exported model"):
        transcribe.main([str(audio), "--exp", str(experiment), *words])


def test_info_tells_what_an_export_is_and_whether_it_is_whole(exported, zipped, capsys):  # noqa: F811
    for path in (exported, zipped):
        assert info.main([str(path)]) == 0
        told = capsys.readouterr().out
        assert "encoder conv_ctc" in told and "deu eng" in told and "model.onnx" in told
    assert info.main([str(exported), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"][0] == "<blank>"
    for words in (["--layers"], ["--vocab", "3"]):
        with pytest.raises(UserError, match=words[0]):
            info.main([str(exported), *words])


def test_what_needs_the_experiment_says_so_of_an_export(exported, audio, tmp_path):  # noqa: F811
    words = [audio / "a.wav", "--exp", exported, "--out", tmp_path / "out"]
    with pytest.raises(UserError, match="is an exported model, which asr-dro transcribe"):
        segment.main([str(word) for word in words])
