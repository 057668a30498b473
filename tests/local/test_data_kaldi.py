"""local/data_kaldi.py: Kaldi directories of another recipe become ours."""

import re
import subprocess

import pytest

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from tests.local.conftest import refusal
from tests.sounds import noise, write_flac

SETS = {"train": "train_nodev", "dev": "train_dev", "test": "test"}
NAMED = ["--sets", "train=train_nodev dev=train_dev"]


@pytest.fixture
def recipe(tmp_path):
    """Another recipe, whose data/ has two utterances a set and neither language nor group."""
    for number, folder in enumerate(SETS.values()):
        data = tmp_path / "other" / "data" / folder
        utts = [f"s{number}-{letter}" for letter in "ab"]
        for seed, utt in enumerate(utts):
            audio = tmp_path / "other" / "downloads" / f"{utt}.flac"
            write_flac(audio, noise(0.3, seed=10 * number + seed))
        write_table(data / "wav.scp", {utt: f"downloads/{utt}.flac" for utt in utts})
        write_table(data / "text", dict.fromkeys(utts, "Hello, you"))
        write_table(data / "utt2spk", dict.fromkeys(utts, f"s{number}"))
    return tmp_path / "other"


def with_table(recipe, name, word):
    for folder in SETS.values():
        data = recipe / "data" / folder
        write_table(data / name, {utt: word(utt) for utt in read_table(data / "text")})


def test_one_language_is_named_and_is_the_group(prepare, recipe):
    done = prepare("--corpus", "kaldi", "--source", recipe / "data", *NAMED, "--langs", "eng")
    assert done.returncode == 0, done.stderr
    train = prepare.folder / "data" / "train_kaldi"
    assert read_table(train / "text") == dict.fromkeys(["eng_s0-a", "eng_s0-b"], "[eng] hello you")
    assert read_table(train / "utt2spk")["eng_s0-a"] == "eng_s0"
    assert set(read_table(train / "utt2category").values()) == {"eng"}
    assert read_table(train / "wav.scp")["eng_s0-a"] == str(recipe / "downloads" / "s0-a.flac")
    assert set(read_table(prepare.folder / "data" / "test_kaldi" / "utt2dur").values()) == {"0.300"}


def test_languages_groups_and_pieces_of_recordings_are_taken(prepare, recipe):
    with_table(recipe, "utt2lang", lambda utt: {"a": "eng", "b": "deu"}[utt[-1]])
    with_table(recipe, "utt2category", lambda utt: f"group_{utt[-1]}")
    with_table(recipe, "segments", lambda utt: f"{utt} 0.1 {'0.25' if utt[-1] == 'a' else -1}")
    done = prepare("--corpus", "kaldi", "--source", recipe / "data", *NAMED)
    assert done.returncode == 0, done.stderr
    train = prepare.folder / "data" / "train_kaldi"
    assert read_table(train / "utt2lang") == {"deu_s0-b": "deu", "eng_s0-a": "eng"}
    assert read_table(train / "utt2category")["deu_s0-b"] == "group_b"
    pieces = {utt: line.split()[1:] for utt, line in read_table(train / "segments").items()}
    assert pieces == {"deu_s0-b": ["0.100", "0.300"], "eng_s0-a": ["0.100", "0.250"]}
    only = prepare("--corpus", "kaldi", "--source", recipe / "data", *NAMED, "--langs", "deu")
    assert only.returncode == 0 and list(read_table(train / "text")) == ["deu_s0-b"]


def test_a_missing_utt2lang_is_refused_with_the_command_that_makes_it(prepare, recipe):
    call = ["--corpus", "kaldi", "--source", recipe / "data", *NAMED]
    for _ in SETS:
        line = refusal(prepare(*call))
        assert "has no utt2lang, which tells each utterance's language" in line
        command = line.partition("with its ISO 639-3 code: ")[2].partition(" (In ./run.sh")[0]
        subprocess.run(command, shell=True, check=True)
    assert prepare(*call).returncode == 0


def test_commands_of_wav_scp_are_refused_with_the_line_that_writes_their_audio(prepare, recipe):
    for folder in SETS.values():
        path = recipe / "data" / folder / "wav.scp"
        table = read_table(path)
        write_table(path, {utt: f"cat {recipe}/{name} |" for utt, name in table.items()})
    call = ["--corpus", "kaldi", "--source", recipe / "data", *NAMED, "--langs", "eng"]
    for _ in SETS:
        line = refusal(prepare(*call))
        command = line.partition("Write their audio out: ")[2].partition(" (In ./run.sh")[0]
        subprocess.run(["bash", "-c", command], check=True)
    assert prepare(*call).returncode == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: None, "has no train/wav.scp .*There are: test train_dev train_nodev"),
        (lambda data: write_table(data / "utt2lang", {"s0-a": "eng", "s0-b": "English"}),
         "utt2lang: s0-b has language 'English', .* English is eng"),
        (lambda data: write_table(data / "utt2lang", {"s0-a": "eng"}), "utt2lang lacks 's0-b'"),
        (lambda data: write_table(data / "text", {"s0-a": "x"}), "text lacks 1 utterances"),
        (lambda data: write_table(data / "wav.scp", {"s0-a": "d.ark:12", "s0-b": "d.ark:99"}),
         "names a place in an archive"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_one_line(prepare, recipe, change, words):
    change(recipe / "data" / "train_nodev")
    sets = [] if "has no train" in words else [*NAMED, "--langs", "eng"]
    line = refusal(prepare("--corpus", "kaldi", "--source", recipe / "data", *sets))
    assert re.search(words, line), line
