import json
import os
import signal
import subprocess
import sys
import time

import kaldiio
import numpy as np
import pytest
import soundfile

from asr_dro_plugin.audio import files as audio
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.data import dump
from asr_dro_plugin.data.dump import DumpSettings, dump_part, merge, to_pcm
from asr_dro_plugin.data.wav_scp import Item
from asr_dro_plugin.errors import UserError
from tests.sounds import data_dir, encode, noise, pitch_of, tone, write_flac


@pytest.fixture(autouse=True)
def _in_recipe_dir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run_all(settings: DumpSettings, max_drop: float = 0.0) -> dict[str, str]:
    """All parts and the merge; returns wav.scp of the dump."""
    for part in range(1, settings.num_parts + 1):
        dump_part(settings, part)
    merge(settings, max_drop)
    return read_table(f"{settings.out_dir}/wav.scp")


def many(tmp_path, num: int = 10) -> dict:
    return {f"eng_{i}": write_flac(tmp_path / f"{i}.flac", noise(0.2, seed=i)) for i in range(num)}


def test_any_rate_and_channel_count_becomes_16_khz_mono_of_the_same_duration(tmp_path):
    sounds = {
        "deu_a": write_flac(tmp_path / "a.flac", noise(1.2345, 44100, channels=2), 44100),
        "deu_b": write_flac(tmp_path / "b.flac", noise(0.777, 8000), 8000),
        "eng_c": encode(tmp_path / "c.g722", noise(0.5), 16000, "g722", "g722"),
        "eng_d": write_flac(tmp_path / "d.flac", noise(0.3, 48000, channels=4), 48000),
    }
    data_dir(tmp_path / "data", sounds)
    scp = run_all(DumpSettings("data", "dump/raw/org/set"))
    for utt_id, seconds in zip(sorted(sounds), (1.2345, 0.777, 0.5, 0.3), strict=True):
        rate, samples = kaldiio.load_mat(scp[utt_id])
        assert rate == 16000 and samples.ndim == 1
        assert abs(len(samples) / 16000 - seconds) < 0.001
        assert read_table("dump/raw/org/set/utt2num_samples")[utt_id] == str(len(samples))


def test_sixteen_bit_mono_audio_is_dumped_bit_for_bit(tmp_path):
    pcm = np.random.default_rng(0).integers(-32768, 32768, 4000, dtype=np.int16)
    data_dir(tmp_path / "data", {"eng_a": write_flac(tmp_path / "a.flac", pcm)})
    scp = run_all(DumpSettings("data", "dump/set"))
    np.testing.assert_array_equal(audio.read(scp["eng_a"])[0] * 32768, pcm)


def test_espnet_reads_the_dump_as_kaldi_ark(tmp_path):
    from omniio import kaldi  # what espnet2.train.dataset loads `kaldi_ark` with

    pcm = np.arange(-500, 500, dtype=np.int16)
    data_dir(tmp_path / "data", {"eng_a": write_flac(tmp_path / "a.flac", pcm)})
    scp = run_all(DumpSettings("data", "dump/set"))
    loaded = kaldi.load_mat(scp["eng_a"])
    samples = next(x for x in loaded if isinstance(x, np.ndarray))
    np.testing.assert_allclose(samples, pcm / 32768, atol=1e-9)


def test_a_dump_has_all_tables_and_relative_paths(tmp_path):
    data_dir(tmp_path / "data", many(tmp_path, 3), utt2dur={f"eng_{i}": "0.2" for i in range(3)})
    scp = run_all(DumpSettings("data", "dump/raw/org/set", num_parts=2))
    assert all(value.startswith("dump/raw/org/set/data/wav_ark.") for value in scp.values())
    names = {path.name for path in (tmp_path / "dump/raw/org/set").iterdir()}
    assert names == {
        "wav.scp", "text", "utt2spk", "spk2utt", "utt2lang", "utt2category", "utt2num_samples",
        "feats_type", "audio_format", "dropped.tsv", "data", "parts",
    }  # fmt: skip
    out = tmp_path / "dump/raw/org/set"
    assert (out / "feats_type").read_text() == "raw\n"
    assert (out / "audio_format").read_text() == "flac.ark\n"


@pytest.mark.parametrize("name", ["long.flac", "long.g722"])
@pytest.mark.parametrize("num_parts", [1, 3])
def test_segments_cut_the_recording(tmp_path, name, num_parts):
    x = noise(4.0)
    if name.endswith("flac"):
        path = write_flac(tmp_path / name, x)
    else:
        path = encode(tmp_path / name, x, 16000, "g722", "g722")
    spans = {"eng_a": (2.0, 3.0), "eng_b": (0.5, 1.25), "eng_c": (1.0, -1), "eng_d": (3.5, 4.2)}
    data_dir(tmp_path / "data", dict.fromkeys(spans, path))
    (tmp_path / "data/wav.scp").write_text(f"rec {path}\n")
    (tmp_path / "data/segments").write_text(
        "".join(f"{utt} rec {start} {end}\n" for utt, (start, end) in spans.items())
    )
    scp = run_all(DumpSettings("data", "dump/set", num_parts=num_parts))
    whole = audio.read(path)[0]
    for utt_id, (start, end) in spans.items():
        last = None if end == -1 else round(end * 16000)
        np.testing.assert_allclose(
            audio.read(scp[utt_id])[0], whole[round(start * 16000) : last], atol=4e-5
        )


def test_a_segment_far_beyond_its_recording_is_dropped(tmp_path):
    path = write_flac(tmp_path / "a.flac", noise(1.0))
    data_dir(tmp_path / "data", dict.fromkeys(["eng_a", "eng_b", "eng_c"], path))
    (tmp_path / "data/wav.scp").write_text(f"rec {path}\n")
    (tmp_path / "data/segments").write_text("eng_a rec 0 1\neng_b rec 0.5 1.6\neng_c rec 1.5 1.6\n")
    assert set(run_all(DumpSettings("data", "dump/set"), max_drop=0.7)) == {"eng_a"}
    listed = (tmp_path / "dump/set/dropped.tsv").read_text()
    assert "eng_b\teng\tsegment ends after its recording" in listed
    assert "eng_c\teng\tzero-length audio" in listed


@pytest.mark.parametrize("factor", ["0.9", "1.1"])
def test_speed_changes_duration_and_pitch(tmp_path, factor):
    path = write_flac(tmp_path / "a.flac", tone(1.0, 22050), 22050)
    data_dir(tmp_path / "data", {"eng_a": path}, utt2speed={"eng_a": factor})
    samples, _ = audio.read(run_all(DumpSettings("data", "dump/set"))["eng_a"])
    assert abs(len(samples) / 16000 - 1 / float(factor)) < 0.001
    assert pitch_of(samples, 16000) == pytest.approx(440 * float(factor), abs=1)


def test_bad_audio_is_listed_by_reason_and_language_within_the_cap(tmp_path):
    broken = write_flac(tmp_path / "broken.flac", noise(1.0))
    broken.write_bytes(broken.read_bytes()[:9000])
    soundfile.write(tmp_path / "nan.wav", np.full(900, np.nan, np.float32), 16000, "FLOAT")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), 16000)
    soundfile.write(tmp_path / "loud.wav", 3000 * noise(1.0), 16000, "FLOAT")
    (tmp_path / "text.wav").write_text("no sound")
    bad = {
        "deu_broken": broken, "deu_nan": tmp_path / "nan.wav", "deu_empty": tmp_path / "empty.wav",
        "deu_loud": tmp_path / "loud.wav", "deu_text": tmp_path / "text.wav",
        "deu_gone": tmp_path / "gone.wav",
    }  # fmt: skip
    data_dir(tmp_path / "data", {**many(tmp_path), **bad})
    settings = DumpSettings("data", "dump/set", num_parts=2)
    with pytest.raises(UserError, match=r"would lose 6 of 6 deu .*All are listed in dump/set"):
        run_all(settings, max_drop=0.5)
    assert not (tmp_path / "dump/set/wav.scp").exists()
    merge(settings, max_drop=1.0)  # the parts need not be done again
    lines = (tmp_path / "dump/set/dropped.tsv").read_text().splitlines()[1:]
    reasons = {line.split("\t")[0]: line.split("\t")[2] for line in lines}
    assert reasons == {
        "deu_broken": "unreadable audio", "deu_nan": "samples that are not numbers",
        "deu_empty": "zero-length audio", "deu_loud": "samples far beyond full scale",
        "deu_text": "unreadable audio", "deu_gone": "missing audio",
    }  # fmt: skip
    assert set(read_table("dump/set/text")) == {f"eng_{i}" for i in range(10)}
    assert set(read_table("dump/set/spk2utt")) == {"eng_spk"}


def test_overshoot_is_clipped_and_counted(caplog):
    x = np.linspace(-0.9, 0.9, 1000, dtype=np.float32)
    x[:20] = 1.5
    x[20:23] = -1.5
    pcm, num_clipped = to_pcm(Item("a", "a.wav"), x, 16000, 16000)
    assert num_clipped == 23 and pcm[0] == 32767 and pcm[20] == -32768
    dump._report_clipping("dump/set", {"a": ["p", 1000, num_clipped]})
    assert "most: a, 23 samples" in caplog.text


def test_pipes_are_refused_with_the_line_before_anything_is_dumped(tmp_path):
    sounds = many(tmp_path, 2)
    data_dir(tmp_path / "data", {**sounds, "eng_z": f"cat {sounds['eng_0']} |"})
    with pytest.raises(UserError, match=r"wav.scp:3 runs a command .*--allow_pipes true"):
        dump_part(DumpSettings("data", "dump/set"), 1)
    scp = run_all(DumpSettings("data", "dump/set", allow_pipes=True))
    np.testing.assert_array_equal(audio.read(scp["eng_z"])[0], audio.read(scp["eng_0"])[0])


def test_an_id_without_text_or_without_sound_is_an_error(tmp_path):
    data_dir(tmp_path / "data", many(tmp_path, 2))
    with open("data/wav.scp", "a", encoding="utf-8") as stream:
        stream.write("eng_x x.flac\n")
    with pytest.raises(UserError, match=r"text lacks 1 utterances of data/wav.scp .*eng_x"):
        dump_part(DumpSettings("data", "dump/set"), 1)


@pytest.mark.parametrize(("name", "line", "words"), [
    ("segments", "eng_0 rec 0.5\n", "segments:1 is not"),
    ("segments", "eng_0 rec zero 1\n", "segments:1 is not"),
    ("segments", "eng_0 other 0 1\n", "segments:1 names recording 'other'"),
    ("segments", "eng_0 rec 2 1\n", "segments:1 runs from 2 s to 1 s"),
    ("segments", "eng_0 rec nan 1\n", "segments:1 runs from"),
    ("utt2speed", "eng_0 fast\n", "speed 'fast'"),
    ("utt2speed", "eng_0 0\n", "speed '0'"),
])  # fmt: skip
def test_damaged_tables_are_named(tmp_path, name, line, words):
    data_dir(tmp_path / "data", many(tmp_path, 1))
    if name == "segments":
        (tmp_path / "data/wav.scp").write_text(f"rec {tmp_path}/0.flac\n")
    (tmp_path / "data" / name).write_text(line)
    with pytest.raises(UserError, match=words):
        dump_part(DumpSettings("data", "dump/set"), 1)


def test_merge_refuses_missing_parts_and_parts_of_other_data(tmp_path):
    data_dir(tmp_path / "data", many(tmp_path, 4))
    settings = DumpSettings("data", "dump/set", num_parts=2)
    dump_part(settings, 1)
    with pytest.raises(UserError, match="part 2 did not finish. Run part 2 of 2 again"):
        merge(settings, 0.0)
    dump_part(settings, 2)
    with pytest.raises(UserError, match="other data or other options"):
        merge(DumpSettings("data", "dump/set", fs=8000, num_parts=2), 0.0)
    merge(settings, 0.0)
    with open("dump/set/data/wav_ark.2.ark", "ab") as stream:
        stream.write(b"x")
    with pytest.raises(UserError, match="is not what part 2 wrote"):
        merge(settings, 0.0)


def test_a_second_run_of_a_part_redoes_only_that_part(tmp_path):
    data_dir(tmp_path / "data", many(tmp_path, 4))
    settings = DumpSettings("data", "dump/set", num_parts=2)
    before = run_all(settings)
    kept = os.stat("dump/set/data/wav_ark.1.ark")
    dump_part(settings, 2)
    assert not (tmp_path / "dump/set/wav.scp").exists()  # a dump in the making looks unfinished
    merge(settings, 0.0)
    assert read_table("dump/set/wav.scp") == before
    assert os.stat("dump/set/data/wav_ark.1.ark").st_mtime_ns == kept.st_mtime_ns


def test_archives_of_a_run_with_more_parts_are_removed(tmp_path):
    data_dir(tmp_path / "data", many(tmp_path, 4))
    run_all(DumpSettings("data", "dump/set", num_parts=4))
    run_all(DumpSettings("data", "dump/set", num_parts=2))
    assert sorted(os.listdir("dump/set/data")) == ["wav_ark.1.ark", "wav_ark.2.ark"]


def test_more_parts_than_utterances_is_legal(tmp_path):
    data_dir(tmp_path / "data", many(tmp_path, 2))
    assert len(run_all(DumpSettings("data", "dump/set", num_parts=5))) == 2


def test_a_killed_part_leaves_nothing_that_looks_finished(tmp_path):
    sounds = many(tmp_path, 3)
    wait = tmp_path / "wait"
    data_dir(tmp_path / "data", {**sounds, "eng_z": f"touch {wait}; sleep 60 |"})
    code = (
        "from asr_dro_plugin.data.dump import *\n"
        "dump_part(DumpSettings('data', 'dump/set', allow_pipes=True), 1)"
    )
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as child:
        while not wait.exists() and child.poll() is None:
            time.sleep(0.02)
        os.killpg(child.pid, signal.SIGKILL)
    assert not list((tmp_path / "dump/set/data").glob("wav_ark*"))
    assert not (tmp_path / "dump/set/parts").exists()
    data_dir(tmp_path / "data", sounds)
    run_all(DumpSettings("data", "dump/set"))
    assert os.listdir("dump/set/data") == ["wav_ark.1.ark"]  # what the killed one left is gone


def test_raw_copy_leaves_files_in_place(tmp_path):
    sounds = many(tmp_path, 3)
    data_dir(tmp_path / "data", sounds)
    scp = run_all(DumpSettings("data", "dump/set", feats_type="raw_copy", num_parts=2))
    assert scp == {utt_id: str(path) for utt_id, path in sounds.items()}
    assert set(read_table("dump/set/utt2num_samples").values()) == {"3200"}
    assert (tmp_path / "dump/set/audio_format").read_text() == "sound\n"
    assert not (tmp_path / "dump/set/data").exists()


def test_raw_copy_finds_damage_behind_a_sound_header(tmp_path):
    sounds = many(tmp_path, 3)
    content = sounds["eng_1"].read_bytes()
    sounds["eng_1"].write_bytes(content[: len(content) // 2])
    data_dir(tmp_path / "data", sounds)
    scp = run_all(DumpSettings("data", "dump/set", feats_type="raw_copy"), max_drop=0.5)
    assert set(scp) == {"eng_0", "eng_2"}


@pytest.mark.parametrize(("change", "words"), [
    ("rate", "8000 Hz, not 16000"), ("channels", "has 2 channels"), ("segments", "cut by segments"),
    ("speed", "speed factor of 0.9"), ("pipe", "not a plain file"), ("ark", "not a plain file"),
    ("codec", "decoded by FFmpeg"),
])  # fmt: skip
def test_raw_copy_refuses_what_espnet_could_not_read_in_place(tmp_path, change, words):
    path, more = write_flac(tmp_path / "a.flac", noise(1.0)), {}
    if change == "rate":
        path = write_flac(tmp_path / "b.flac", noise(1.0, 8000), 8000)
    elif change == "channels":
        path = write_flac(tmp_path / "b.flac", noise(1.0, channels=2))
    elif change == "speed":
        more["utt2speed"] = {"eng_a": "0.9"}
    elif change == "pipe":
        path = f"cat {path} |"
    elif change == "ark":
        kaldiio.save_ark("a.ark", {"a": (16000, np.zeros(9, np.int16))})
        path = "a.ark:2"
    elif change == "codec":
        path = encode(tmp_path / "b.g722", noise(0.5), 16000, "g722", "g722")
    data_dir(tmp_path / "data", {"eng_a": path}, **more)
    if change == "segments":
        (tmp_path / "data/segments").write_text("eng_a eng_a 0 0.5\n")
    with pytest.raises(UserError, match=f"{words}.*Use --feats_type raw"):
        dump_part(DumpSettings("data", "dump/set", "raw_copy", allow_pipes=True), 1)


def test_progress_reaches_the_runner(tmp_path, monkeypatch):
    monkeypatch.setenv("ASR_DRO_PROGRESS_FILE", str(tmp_path / "progress"))
    data_dir(tmp_path / "data", many(tmp_path, 3))
    dump_part(DumpSettings("data", "dump/set"), 1)
    assert (tmp_path / "progress").read_text().split()[:2] == ["3", "3"]


def test_the_record_of_a_part_is_plain_json(tmp_path):
    data_dir(tmp_path / "data", many(tmp_path, 1))
    run_all(DumpSettings("data", "dump/set"))
    record = json.loads((tmp_path / "dump/set/parts/part.1.json").read_text())
    assert record["rows"][0][0] == "eng_0" and record["rows"][0][2] == 3200
