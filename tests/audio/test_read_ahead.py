"""Speech is read ahead in order, and what cannot be read goes along with its fault."""

import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.read_ahead import (
    Location,
    SpeechItem,
    batches_of,
    in_groups,
    load,
    read_ahead,
)


@pytest.fixture
def sound(tmp_path):
    """Function that writes samples and returns their path."""

    def write(name, samples, rate=SAMPLE_RATE, **kwargs):
        path = tmp_path / name
        soundfile.write(path, np.asarray(samples, dtype=np.float32), rate, **kwargs)
        return str(path)

    return write


def test_a_stretch_of_a_file_is_resampled_and_knows_its_place(sound):
    path = sound("a.wav", np.sin(np.arange(24000) / 40), rate=8000)
    utterance = load(Location("u", path, start=1.0, end=2.5, lang="deu"))
    assert (utterance.utt_id, utterance.lang, utterance.offset) == ("u", "deu", 1.0)
    assert len(utterance.samples) == 1.5 * SAMPLE_RATE and utterance.duration == 1.5


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda folder, sound: str(folder / "nowhere.wav"), "does not exist"),
        (lambda folder, sound: str(folder), "is a folder, not audio"),
        (lambda folder, sound: sound("none.wav", []), "holds no samples"),
        (lambda folder, sound: sound("nan.wav", [0, np.nan], subtype="FLOAT"), "are no numbers"),
        (lambda folder, sound: "touch x |", "may not run commands"),
    ],
)
def test_what_cannot_be_read_has_a_fault_on_one_line(tmp_path, sound, make, fault):
    utterance = load(Location("u", make(tmp_path, sound), lang="eng"))
    assert fault in utterance.fault and "\n" not in utterance.fault
    assert (utterance.utt_id, utterance.lang, len(utterance.samples)) == ("u", "eng", 0)


def test_a_damaged_file_has_a_fault(tmp_path):
    for name, content in (("empty.wav", b""), ("text.wav", b"no sound" * 99)):
        (tmp_path / name).write_bytes(content)
        assert load(Location("u", str(tmp_path / name))).fault


@given(st.lists(st.lists(st.integers(), max_size=3), max_size=8), st.integers(1, 4))
def test_batches_come_in_order_whatever_thread_is_first(batches, ahead):
    places = [[Location(str(number), "") for number in batch] for batch in batches]
    read = read_ahead(places, lambda each: SpeechItem(each.utt_id), num_threads=3, ahead=ahead)
    assert [[each.utt_id for each in batch] for batch in read] == [
        [each.utt_id for each in batch] for batch in places
    ]


def test_no_more_is_read_than_is_needed_soon():
    begun = []
    places = ([Location(str(number), "")] for number in range(100))
    read = read_ahead(places, lambda each: begun.append(each) or SpeechItem(each.utt_id), ahead=2)
    next(read)
    read.close()
    assert len(begun) <= 3


def test_batches_are_read_while_one_is_used():
    other = threading.Event()

    def read_one(location):
        if location.utt_id == "1":
            other.set()
        return SpeechItem(location.utt_id)

    for _batch in read_ahead([[Location("0", "")], [Location("1", "")]], read_one):
        assert other.wait(120)


@given(st.lists(st.integers(0, 40), max_size=40), st.integers(1, 60))
def test_no_batch_is_longer_than_asked_for_but_one_alone(lengths, seconds):
    durations = {str(n): float(x) for n, x in enumerate(sorted(lengths, reverse=True))}
    batches = batches_of(list(durations), durations, seconds)
    assert [utt_id for batch in batches for utt_id in batch] == list(durations)
    for batch in batches:
        assert len(batch) == 1 or durations[batch[0]] * len(batch) <= seconds


def test_groups_are_of_few_files_or_few_bytes(tmp_path):
    big = tmp_path / "big.wav"
    with big.open("wb") as stream:
        stream.truncate(20 << 20)
    places = [Location(str(n), "nowhere") for n in range(20)]
    places[2:2] = [Location("x", str(big)), Location("y", str(big))]
    groups = list(in_groups(places))
    assert [each for group in groups for each in group] == places
    assert [len(group) for group in groups] == [4, 16, 2]
