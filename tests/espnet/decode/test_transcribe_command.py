"""``asr-dro transcribe``: any audio in, any format out, bad files named and the rest done."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from asr_dro_plugin.audio.files import resample
from asr_dro_plugin.audio.read_ahead import Location, load
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.bin import transcribe
from asr_dro_plugin.errors import SomeLeftOut, UserError
from asr_dro_plugin.transcripts.transcript import from_json


@pytest.fixture(scope="module")
def exp(task, trained, tmp_path_factory):
    """A model as it is given away: a config and one model file of any name; it says much."""
    folder = tmp_path_factory.mktemp("unpacked")
    shutil.copy(trained / "config.yaml", folder)
    state = torch.load(trained / "1epoch.pth", weights_only=True)
    state["ctc.ctc_lo.bias"][0] -= 2
    torch.save(state, folder / "model.pth")
    return folder


@pytest.fixture(scope="module")
def audio(dump, tmp_path_factory):
    """Two folders with a file of the same name, one at another rate; three seconds together."""
    folder = tmp_path_factory.mktemp("audio")
    paths = list(read_table(dump / "test" / "wav.scp").values())[:3]
    for name, path, rate in zip(("a/x.wav", "b/x.flac", "c.wav"), paths, (16000, 8000, 44100),
                                strict=True):  # fmt: skip
        (folder / name).parent.mkdir(exist_ok=True)
        samples = resample(load(Location("", path)).samples, 16000, rate)
        soundfile.write(folder / name, np.stack([samples, samples], 1), rate)
    return folder


@pytest.fixture
def run(exp, capsys):
    """Function that runs the command and gives what it printed."""

    def command(*words):
        assert transcribe.main(["--exp", str(exp), *map(str, words)]) == 0
        return capsys.readouterr()

    return command


def test_a_folder_of_any_rate_gives_a_line_each(run, audio):
    rows = [line.split("\t") for line in run(audio).out.splitlines()]
    assert [name for name, _ in rows] == [str(audio / n) for n in ("a/x.wav", "b/x.flac", "c.wav")]
    assert all(text for _, text in rows)


def test_what_it_says_of_many_files_is_what_it_says_of_each(run, audio):
    together = dict(line.split("\t") for line in run(audio).out.splitlines())
    for path, text in together.items():
        assert run(path).out == text + "\n"


def test_json_has_words_with_times(run, audio):
    printed = run("--format", "json", audio / "c.wav").out
    assert run("--format", "jsonl", audio / "c.wav").out == printed  # the name that decode gives it
    transcript = from_json(printed)
    assert transcript.utt_id == str(audio / "c.wav") and transcript.best.words
    assert transcript.duration == pytest.approx(soundfile.info(audio / "c.wav").duration, abs=0.001)


def test_nbest_needs_no_configuration(run, audio):
    transcript = from_json(run("--format", "json", "--nbest", 3, audio / "c.wav").out)
    assert len(transcript.hypotheses) == 3


def test_subtitles_of_one_file_are_printed_those_of_several_need_a_folder(run, audio, tmp_path):
    assert "-->" in run("--format", "srt", audio / "c.wav").out
    with pytest.raises(UserError, match="--format srt of 3 recordings needs --out"):
        run("--format", "srt", audio)
    assert run("--format", "srt vtt txt", "--out", tmp_path, audio).out == ""
    stems = ["a%2Fx", "b%2Fx", "c"]  # as much of each path as tells it from the others
    names = {f"{stem}.{ending}" for stem in stems for ending in ("srt", "vtt", "txt")}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_table_of_files_whose_names_differ_has_short_ids(run, audio, tmp_path):
    run("--format", "text ctm", "--out", tmp_path, audio / "c.wav", audio / "a/x.wav")
    assert list(read_table(tmp_path / "text")) == ["c", "x"]
    assert {line.split()[0] for line in (tmp_path / "ctm").read_text().splitlines()} == {"c", "x"}


def test_bad_files_are_named_and_the_rest_is_done(exp, audio, tmp_path, capsys, caplog):
    (tmp_path / "bad.wav").write_bytes(b"no sound at all" * 100)
    words = [str(tmp_path / "bad.wav"), str(audio / "c.wav"), str(tmp_path / "gone.wav")]
    with pytest.raises(SomeLeftOut, match="2 of 3 recordings have no text, named above"):
        transcribe.main(["--exp", str(exp), *words])
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [bool(text) for _, text in rows] == [False, True, False]
    said = [message.split(" ", 1) for message in caplog.messages if ".wav" in message]
    assert [name for name, _ in said] == [words[0], words[2]]
    assert "cannot be decoded" in said[0][1] and "does not exist" in said[1][1]
    with pytest.raises(UserError, match=r"bad.wav cannot be decoded") as error:
        transcribe.main(["--exp", str(exp), "--strict", "true", *words])
    assert error.value.exit_code == 1


def test_a_manifest_gives_stretches_and_languages(run, audio, tmp_path):
    manifest = tmp_path / "list.jsonl"
    entry = {"audio_filepath": str(audio / "c.wav"), "offset": 0.25, "duration": 0.4}
    manifest.write_text(
        json.dumps(entry | {"utt_id": "u1", "lang": "deu"}) + "\n"
        + json.dumps(entry | {"utt_id": "u2", "lang": "eng"}) + "\n"
    )  # fmt: skip
    found = [from_json(line) for line in
             run("--format", "json", "--lang", "forced", manifest).out.splitlines()]  # fmt: skip
    assert [(each.utt_id, each.lang) for each in found] == [("u1", "deu"), ("u2", "eng")]
    for transcript in found:
        assert transcript.duration == 0.4
        assert all(0.25 <= word.start <= word.end <= 0.65 for word in transcript.best.words)


def test_forced_without_a_language_is_one_line(exp, audio):
    with pytest.raises(UserError, match="lang is forced, but .*c.wav has no language"):
        transcribe.main(["--exp", str(exp), "--lang", "forced", str(audio / "c.wav")])


def test_long_audio_goes_in_chunks_by_itself_said_once(run, audio, tmp_path):
    samples, rate = soundfile.read(audio / "a/x.wav", dtype="float32")
    for name, seconds in (("one.wav", 40), ("two.wav", 35)):
        soundfile.write(tmp_path / name, np.resize(samples[:, 0], seconds * rate), rate)
    printed = run("--format", "json", tmp_path)
    assert printed.err == (
        f"NOTE: {tmp_path}/one.wav has 40 s: what is longer than 30 s is decoded in overlapping "
        "chunks (--chunk_length). Where it has long silences, --vad true is safer.\n"
    )
    for line, seconds in zip(printed.out.splitlines(), (40, 35), strict=True):
        words = from_json(line).best.words
        assert seconds - 2 < words[-1].end <= seconds
    assert run("--chunk_length", "50", tmp_path).err == ""


def test_a_packed_model_is_to_be_unpacked(audio):
    with pytest.raises(UserError, match=r"model.zip is packed. Unpack it first: asr-dro unpack"):
        transcribe.main(["--exp", "model.zip", str(audio)])


def test_voice_activity_leaves_times_of_the_file(exp, audio, monkeypatch, capsys):
    from asr_dro_plugin.audio import vad

    monkeypatch.setattr(vad, "speech_regions", lambda samples: [(0.0, 0.3), (0.5, 0.9)])
    words = ["--exp", str(exp), "--vad", "true", "--format", "json", str(audio / "a/x.wav")]
    assert transcribe.main(words) == 0
    transcript = from_json(capsys.readouterr().out)
    starts = [char.start for char in transcript.best.chars]
    assert starts == sorted(starts) and starts
    assert all(start <= 0.3 or 0.5 <= start <= 0.9 for start in starts)
    assert transcript.duration == pytest.approx(
        soundfile.info(audio / "a/x.wav").duration, abs=0.001
    )
