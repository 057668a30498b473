"""A table with its own splits could have the same recordings in training and in test, by path or as
copies under other names; the scores were of what had been trained on, and nobody was told."""

import json
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.data.corpus import Utterance
from asr_dro_plugin.data.overlaps import notes, overlaps, refuse_same_sound
from asr_dro_plugin.errors import UserError
from tests.local.conftest import refusal
from tests.sounds import noise, write_flac


def utt(name, audio, speaker=None, text="a", start=None, duration=1.0):
    return Utterance(name, str(audio), text, "eng", speaker or name, duration, start=start,
                     source=f"t.tsv:{name}")  # fmt: skip


@pytest.fixture
def sounds(tmp_path):
    return [write_flac(tmp_path / f"{n}.flac", noise(0.2, seed=n)) for n in range(4)]


def of(**sets):
    return list(overlaps(sets))


def test_one_path_in_two_sets_is_named_counted_and_refused(sounds):
    found = of(train=[utt("1", sounds[0]), utt("2", sounds[1])], test=[utt("3", sounds[0])])
    with pytest.raises(UserError) as caught:
        refuse_same_sound(found, "corpus tsv", "--allow_shared_recordings")
    line = str(caught.value)
    assert "1 recording of test is in train too" in line
    assert "0.flac, t.tsv:1 and t.tsv:3" in line and "\n" not in line
    assert "--allow_shared_recordings true" in line


@pytest.mark.parametrize("make", [shutil.copy, os.symlink, os.link])
def test_a_copy_under_another_name_is_the_same_recording(sounds, tmp_path, make):
    make(sounds[0], tmp_path / "other.flac")
    (found,) = of(train=[utt("1", sounds[0])], dev=[utt("2", tmp_path / "other.flac")])
    assert len(found.same) == 1


def test_files_of_one_size_are_not_the_same(tmp_path):
    for n in range(3):
        body = bytes(20000) + bytes([n]) + bytes(20000)  # beyond what is sampled
        (tmp_path / f"{n}.wav").write_bytes(body)
    assert not of(
        train=[utt("1", tmp_path / "0.wav")], test=[utt("2", tmp_path / "1.wav", text="b")]
    )


def test_other_pieces_of_one_recording_are_a_note(sounds):
    train = [utt("1", sounds[0], start=0.0, duration=1.0)]
    found = of(train=train, test=[utt("2", sounds[0], text="b", start=1.0, duration=1.0)])
    refuse_same_sound(found, "c", "--o")
    assert list(notes(found)) == ["train and test share 1 recordings"]
    found = of(train=train, test=[utt("2", sounds[0], start=0.5, duration=1.0)])
    with pytest.raises(UserError):
        refuse_same_sound(found, "c", "--o")


def test_speakers_and_sentences_are_notes(sounds):
    found = of(
        train=[utt("1", sounds[0], "ana"), utt("2", sounds[1], "ivo", "b")],
        dev=[utt("3", sounds[2], "ivo", "c")],
        test=[utt("4", sounds[3], "eva", "b")],
    )
    refuse_same_sound(found, "c", "--o")
    assert list(notes(found)) == [
        "train and dev share 1 speakers",
        "train and test share 1 sentences",
    ]


def test_within_one_set_nobody_asks(sounds):
    assert not of(
        train=[utt("1", sounds[0]), utt("2", sounds[0])], test=[utt("3", sounds[1], text="b")]
    )


@given(
    st.lists(st.tuples(st.sampled_from(["train", "dev", "test"]), st.integers(0, 3)), max_size=9)
)
def test_every_recording_in_two_sets_is_found_and_no_other(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp() / "shared"
    folder.mkdir(exist_ok=True)
    sets = {"train": [], "dev": [], "test": []}
    for n, (name, content) in enumerate(rows):
        path = folder / f"{content}-{n % 2}.wav"  # each content under two names
        path.write_bytes(b"RIFF" * 100 + bytes([content]))
        sets[name].append(utt(str(n), path, text=str(n)))
    found = {(each.names, b.utt_id) for each in overlaps(sets) for _, b in each.same}
    expected = {
        ((one, two), str(n))
        for one, two in (("train", "dev"), ("train", "test"), ("dev", "test"))
        for n, (name, content) in enumerate(rows)
        if name == two and (one, content) in rows
    }
    assert found == expected


def test_stage_1_refuses_it_and_the_option_allows_it(prepare, tmp_path):
    rows = []
    for n, name in enumerate(("train", "train", "dev", "test")):
        write_flac(tmp_path / f"{n}.flac", noise(0.3, seed=n))
        rows.append({"path": f"{n}.flac", "text": f"w{n}", "lang": "eng", "split": name})
    shutil.copy(tmp_path / "0.flac", tmp_path / "copy.flac")
    rows.append({"path": "copy.flac", "text": "w9", "lang": "eng", "split": "test"})
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options = ["--corpus", "tsv", "--source", tmp_path / "m.jsonl"]
    line = refusal(prepare(*options))
    assert "1 recording of test is in train too" in line and "copy.flac" in line
    assert "m.jsonl:1 and " in line and "m.jsonl:5" in line
    assert not (prepare.folder / "data" / "train_tsv").exists()
    done = prepare(*options, "--allow_shared_recordings", "true")
    assert done.returncode == 0, done.stderr
    assert "1 recording of test is in train too" in done.stderr
