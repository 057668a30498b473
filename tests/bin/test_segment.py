"""``asr-dro segment``: a data directory of pieces, without a copy of the audio."""

import importlib.util
import json
import re

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.audio.vad import find_speech, load_model
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.bin.segment import main
from asr_dro_plugin.data.validate import Checks, validate
from asr_dro_plugin.errors import SomeLeftOut, UserError, how_to_install
from tests import toy
from tests.decoding.voice import RATE, voice

has_vad = pytest.mark.skipif(
    not importlib.util.find_spec("silero_vad"), reason="silero-vad is not installed"
)


def spoken(seconds, pause=1.0):
    """Voices of the given lengths, with silence before, between and after them."""
    silence = np.zeros(round(pause * RATE), np.float32)
    return np.concatenate([silence, *(x for s in seconds for x in (voice(s), silence))])


@pytest.fixture
def talk(tmp_path):
    path = tmp_path / "my talk.flac"
    soundfile.write(path, spoken([3, 3, 3, 3, 3, 3]), RATE)
    return path


def spans(folder):
    rows = [value.split() for value in read_table(folder / "segments").values()]
    return [(float(start), float(end)) for _, start, end in rows]


@has_vad
def test_pieces_lie_in_the_range_and_the_directory_is_valid(talk, tmp_path, capsys):
    out = tmp_path / "data"
    options = ["--min", "2", "--max", "9", "--lang", "eng"]
    assert main([str(talk), "--out", str(out), *options]) == 0
    assert validate(out, Checks(allow_empty_text=True)).problems == []
    assert all(2 <= end - start <= 9 for start, end in spans(out))
    assert read_table(out / "wav.scp") == {"my_talk": str(talk)}
    assert set(read_table(out / "utt2lang").values()) == {"eng"}
    assert "pieces" in capsys.readouterr().out
    speech = find_speech(soundfile.read(talk, dtype="float32")[0], pad=0)
    for edge in (edge for span in spans(out) for edge in span):
        assert not any(start < edge < end for start, end in speech)


@has_vad
def test_what_is_not_as_wanted_is_named_and_the_rest_is_done(talk, tmp_path, capsys):
    broken, silent = tmp_path / "broken.wav", tmp_path / "silent.wav"
    broken.write_bytes(b"RIFF no audio")
    soundfile.write(silent, np.zeros(3 * RATE), RATE)
    out = tmp_path / "data"
    command = [str(talk), str(broken), str(silent), "--out", str(out)]
    with pytest.raises(SomeLeftOut, match="^2 of 3 recordings have none;"):
        main([*command, "--min", "2", "--max", "9"])
    errors = capsys.readouterr().err
    assert f"{silent}: no speech was found" in errors and str(broken) in errors
    summary = json.loads((out / "summary.json").read_text())
    assert summary["without_pieces"] == 2 and summary["by_recording"]["silent"]["segments"] == []
    with pytest.raises(SomeLeftOut, match=r"(\d) of \1 pieces are not as wanted"):
        main([str(talk), "--out", str(out), "--min", "25", "--max", "30", "--keep", "false",
              "--overwrite", "true"])  # fmt: skip
    assert spans(out) == []
    with pytest.raises(UserError, match="broken.wav") as stopped:
        main([*command, "--strict", "true", "--overwrite", "true"])
    assert stopped.value.exit_code == 1


def test_a_text_is_cut_along_word_by_word(trained, tmp_path):
    words = ["abba", "cab", "dad", "baba", "cab", "abba", "dad", "dad"]
    sounds = [np.concatenate([toy.tone(c, "eng") for c in word]) for word in words]
    silence = np.zeros(RATE // 2)
    audio, text = tmp_path / "long.wav", tmp_path / "long.txt"
    soundfile.write(audio, np.concatenate([x for s in sounds for x in (s, silence)]), RATE)
    text.write_text("Abba cab, dad baba.\nCab abba\tdad dad\n")
    options = ["--exp", str(trained), "--text", str(text), "--text_norm", "lower_no_punct"]
    out = tmp_path / "data"
    lengths = ["--min", "0.1", "--max", "2.5", "--pause", "0.05", "--cut_speech", "true"]
    try:
        main([str(audio), "--out", str(out), *options, *lengths, "--lang", "eng"])
    except SomeLeftOut:
        pass  # an untrained model may find no pause
    assert validate(out).problems == []
    assert " ".join(read_table(out / "text").values()).split() == text.read_text().split()
    assert len(read_table(out / "text")) > 1


def test_a_text_that_is_not_said_is_named_and_can_be_left_out(trained, talk, tmp_path, capsys):
    text, out = tmp_path / "other.txt", tmp_path / "data"
    text.write_text("abba cab dad")
    options = ["--exp", str(trained), "--text", str(text), "--out", str(out), "--low_score", "-0.1"]
    with pytest.raises(SomeLeftOut, match="pieces are not as wanted"):
        main([str(talk), *options, "--min", "0", "--max", "99"])
    assert "text fits badly (-" in capsys.readouterr().err
    assert " ".join(read_table(out / "text").values()) == "abba cab dad"
    listed = json.loads((out / "summary.json").read_text())["by_recording"]["my_talk"]["segments"]
    assert all(each["score"] < -0.1 for each in listed)
    with pytest.raises(SomeLeftOut):
        main([str(talk), *options, "--min", "0", "--max", "99", "--keep", "false",
              "--overwrite", "true"])  # fmt: skip
    assert read_table(out / "text") == {}


def test_a_model_finds_pauses_too(trained, talk, tmp_path):
    out = tmp_path / "data"
    try:
        main([str(talk), "--out", str(out), "--exp", str(trained)])
    except SomeLeftOut as left_out:
        assert "summary.json lists them" in str(left_out)
    assert json.loads((out / "summary.json").read_text())["seconds"] == 25


def test_what_cannot_be_is_said_before_a_model_is_loaded(tmp_path):
    (tmp_path / "text").write_text("a one\n")
    command = ["a.wav", "--out", str(tmp_path / "out")]
    with pytest.raises(UserError, match="20 to 5 s cannot be made"):
        main([*command, "--min", "20", "--max", "5"])
    with pytest.raises(UserError, match="--text needs a model"):
        main([*command, "--text", str(tmp_path / "text")])
    with pytest.raises(UserError, match=r"no text for 1 of 2 recordings \(first: b\)"):
        main(["b.wav", *command, "--text", str(tmp_path / "text"), "--exp", "nowhere"])
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_one_error_and_not_one_a_recording(talk, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    load_model.cache_clear()
    with pytest.raises(UserError, match=re.escape(how_to_install("vad"))) as stopped:
        main([str(talk), "--out", str(tmp_path / "out")])
    assert stopped.value.exit_code == 1 and not (tmp_path / "out").exists()
