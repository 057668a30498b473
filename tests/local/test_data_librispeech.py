"""local/data_librispeech.py on a small tree in LibriSpeech's layout."""

import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from tests.local.conftest import refusal
from tests.sounds import noise, write_flac


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "LibriSpeech"
    for part, speaker in (("train-clean-100", 19), ("dev-clean", 84), ("test-other", 367)):
        chapter = root / part / str(speaker) / "198"
        chapter.mkdir(parents=True)
        lines = []
        for number in range(2):
            utt_id = f"{speaker}-198-{number:04d}"
            write_flac(chapter / f"{utt_id}.flac", noise(0.3))
            lines.append(f"{utt_id} NORTHANGER ABBEY'S HERO {number}\n")
        (chapter / f"{speaker}-198.trans.txt").write_text("".join(lines))
    return root


def table(prepare, name, file):
    return read_table(prepare.folder / "data" / f"{name}_librispeech" / file)


@pytest.mark.parametrize("below", [False, True])
def test_parts_become_sets_and_speakers_come_from_the_folders(prepare, tree, below):
    done = prepare("--corpus", "librispeech", "--source", tree.parent if below else tree)
    assert done.returncode == 0, done.stderr
    assert table(prepare, "train", "text") == {
        f"eng_19-198-000{n}": f"[eng] northanger abbey's hero {n}" for n in range(2)
    }
    assert set(table(prepare, "dev", "utt2spk").values()) == {"eng_84"}
    assert set(table(prepare, "test", "utt2lang").values()) == {"eng"}
    assert set(table(prepare, "train", "utt2corpus").values()) == {"librispeech"}


def test_a_recording_without_text_is_told(prepare, tree):
    write_flac(tree / "dev-clean/84/198/84-198-0099.flac", noise(0.3))
    done = prepare("--corpus", "librispeech", "--source", tree)
    assert done.returncode == 0
    assert "1 recordings have no text" in done.stderr and "84-198-0099" in done.stderr


def test_texts_without_recordings_above_the_cap_are_refused_and_named(prepare, tree):
    (tree / "train-clean-100/19/198/19-198-0001.flac").unlink()
    message = refusal(prepare("--corpus", "librispeech", "--source", tree))
    assert "eng_19-198-0001: missing audio" in message


def test_another_folder_is_refused_in_one_line(prepare, tmp_path):
    assert "trans.txt" in refusal(prepare("--corpus", "librispeech", "--source", tmp_path))


def test_another_language_is_refused(prepare, tree):
    message = refusal(prepare("--corpus", "librispeech", "--source", tree, "--langs", "fra"))
    assert "eng" in message
