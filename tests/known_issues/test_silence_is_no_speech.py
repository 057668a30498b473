"""Opposite channels mixed to nothing; clips of zeros taught a language of zeros.

Both were read, dumped, trained on and decoded without a word.
"""

import numpy as np
import pytest
import soundfile

from asr_dro_plugin.audio import files
from asr_dro_plugin.audio.silence import has_sound
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.bin import align, transcribe
from asr_dro_plugin.data.dump import DumpSettings, dump_part, merge
from asr_dro_plugin.errors import SomeLeftOut, UserError
from tests.sounds import data_dir, noise, tone, write_flac

RATE = 16000
SYLLABLES = np.hanning(4000)[np.arange(40000) % 4000] + 0.02  # ten of a quarter of a second
SPEECH = sum(tone(2.5, RATE, pitch) for pitch in (210, 390, 1130)) / 4 * SYLLABLES.astype("f4")


def opposite(one=SPEECH):
    return np.stack([one, -one], 1)


STEREO = {
    "opposite": opposite(),
    "opposite and not as loud": np.stack([SPEECH, -0.8 * SPEECH], 1),
    "opposite with noise of their own": opposite() + noise(2.5, channels=2, seed=3) / 100,
    "opposite from the second second on": np.stack(
        [SPEECH, np.where(np.arange(len(SPEECH)) < RATE, SPEECH, -SPEECH)], 1
    ),
}


@pytest.mark.parametrize("kind", STEREO)
@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
def test_channels_that_cancel_out_give_the_louder_one(tmp_path, kind, ending, caplog):
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, STEREO[kind], RATE)
    samples, _ = files.read(path)
    loud = slice(RATE, len(SPEECH))
    apart = samples[loud] - SPEECH[loud]
    assert np.square(apart).sum() < 0.1 * np.square(SPEECH[loud]).sum()
    assert "channels that cancel each other out" in caplog.text
    caplog.clear()
    piece, _ = files.read(path, 0.3, 2.2)  # the same samples, however a recording is read
    np.testing.assert_allclose(piece, samples[round(0.3 * RATE) : round(2.2 * RATE)], atol=1e-5)


@pytest.mark.parametrize("kind", ["same", "unrelated", "one alone", "one of six", "half opposite"])
def test_channels_that_do_not_cancel_out_are_their_mean(tmp_path, kind, caplog):
    other = noise(2.5, seed=4)
    stereo = {
        "same": [SPEECH, SPEECH],
        "unrelated": [SPEECH, other],
        "one alone": [SPEECH, 0 * SPEECH],
        "one of six": [0 * SPEECH] * 5 + [SPEECH],
        "half opposite": [SPEECH, other - SPEECH / 2],
    }[kind]
    soundfile.write(tmp_path / "a.wav", np.stack(stereo, 1), RATE, "FLOAT")
    samples, _ = files.read(tmp_path / "a.wav")
    np.testing.assert_allclose(samples, np.mean(stereo, 0), atol=1e-6)
    assert not caplog.text


CLIPS = {
    "zeros": np.zeros(RATE, np.float32),
    "a constant": np.full(RATE, 0.1, np.float32),
    "dither": np.random.default_rng(0).integers(-1, 2, RATE).astype("float32") / 32768,
}


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("feats_type", ["raw", "raw_copy"])
def test_a_clip_without_sound_is_dropped_and_counts(tmp_path, clip, feats_type, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sounds = {f"eng_{n}": write_flac(tmp_path / f"{n}.flac", noise(0.2, seed=n)) for n in range(3)}
    sounds["deu_x"] = write_flac(tmp_path / "x.flac", CLIPS[clip])
    data_dir(tmp_path / "data", sounds)
    settings = DumpSettings("data", "dump/set", feats_type=feats_type)
    dump_part(settings, 1)
    with pytest.raises(UserError, match=r"would lose 1 of 1 deu .*deu_x: no sound"):
        merge(settings, 0.5)
    merge(settings, 1.0)
    assert set(read_table("dump/set/wav.scp")) == {"eng_0", "eng_1", "eng_2"}


def test_faint_speech_is_sound():
    assert has_sound(SPEECH / 300) and not has_sound(SPEECH[:0]) and has_sound(np.full(3, np.nan))


@pytest.mark.parametrize("clip", CLIPS)
def test_transcribe_says_that_there_is_no_sound(trained, tmp_path, clip, capsys, caplog):
    soundfile.write(tmp_path / "a.wav", CLIPS[clip], RATE)
    assert transcribe.main(["--exp", str(trained), str(tmp_path / "a.wav")]) == 0
    assert capsys.readouterr().out == "\n"
    assert f"{tmp_path}/a.wav has no sound: its text is empty." in caplog.text


def test_align_says_that_there_is_no_sound(trained, tmp_path, caplog):
    soundfile.write(tmp_path / "a.wav", CLIPS["zeros"], RATE)
    (tmp_path / "a.txt").write_text("abba")
    command = [str(tmp_path / "a.wav"), str(tmp_path / "a.txt"), "--exp", str(trained)]
    align.main([*command, "--lang", "eng"])
    assert f"{tmp_path}/a.wav has no sound" in caplog.text


def test_segment_says_that_there_is_no_sound(tmp_path, capsys):
    pytest.importorskip("silero_vad")
    from asr_dro_plugin.bin import segment

    soundfile.write(tmp_path / "a.wav", CLIPS["dither"], RATE)
    with pytest.raises(SomeLeftOut):
        segment.main([str(tmp_path / "a.wav"), "--out", str(tmp_path / "out")])
    assert "no speech was found: it has no sound" in capsys.readouterr().err
