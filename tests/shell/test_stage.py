"""utils/stage.py: finished means the same options, inputs and outputs, never a file's existence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


class Stage:
    """A stage with one option, two inputs and an output, in a folder of its own."""

    def __init__(self, folder: Path, utils: Path) -> None:
        self.folder, self.program = folder, utils / "stage.py"
        self.words = ["--option", "lid=true", "--input", "conf.yaml", "data", "--output", "dump"]
        self.write("conf.yaml", "a: 1")
        self.write("data/text", "u1 hello")
        self.write("audio/u1.flac", "sound")
        self.write("data/wav.scp", "u1 audio/u1.flac\nu2 audio/all.ark:17\nu3 sox x.wav - |\n")
        self.write("audio/all.ark", "archive")
        self.write("dump/text", "u1 hello")

    def write(self, name: str, content: str) -> None:
        """Write one of its files."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def __call__(self, what: str, *words: str) -> subprocess.CompletedProcess:
        """Run stage.py with the stage's own arguments, or others."""
        command = [sys.executable, str(self.program), what, "exp/mark.json", *(words or self.words)]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True)

    def finish(self) -> None:
        """Run the stage."""
        for what in ("begin", "done"):
            done = self(what)
            assert (done.returncode, done.stdout) == (0, ""), done.stderr

    def why(self, *words: str) -> str:
        """Why it must run; empty when it need not."""
        done = self("check", *words)
        assert done.returncode == bool(done.stdout) and done.stdout.count("\n") <= 1, done.stderr
        return done.stdout.strip()


@pytest.fixture
def stage(tmp_path: Path, utils: Path) -> Stage:
    return Stage(tmp_path, utils)


def test_a_stage_is_up_to_date_only_after_done(stage: Stage) -> None:
    assert stage.why() == "never finished"
    stage("begin")
    assert stage.why() == "begun, but never finished"
    stage("done")
    assert stage.why() == ""
    assert os.listdir(stage.folder / "exp") == ["mark.json"]


def test_an_interrupted_second_run_leaves_nothing_that_looks_finished(stage: Stage) -> None:
    stage.finish()
    stage("begin")
    assert stage.why() == "begun, but never finished"
    assert not (stage.folder / "exp/mark.json").exists()


def test_check_writes_nothing(stage: Stage) -> None:
    stage.why()
    assert not (stage.folder / "exp").exists()


def append(stage: Stage, name: str) -> None:
    with open(stage.folder / name, "a") as stream:
        stream.write("x")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda s: append(s, "conf.yaml"), "input conf.yaml changed"),
        (lambda s: append(s, "data/text"), "input data/text changed"),
        (lambda s: s.write("data/utt2dur", "u1 1"), "input data/utt2dur is new"),
        (lambda s: os.remove(s.folder / "data/text"), "input data/text is gone"),
        (lambda s: os.remove(s.folder / "conf.yaml"), "input conf.yaml is gone"),
        (lambda s: append(s, "audio/u1.flac"), "input audio of data/wav.scp changed"),
        (
            lambda s: os.utime(s.folder / "audio/all.ark", ns=(5, 5)),
            "input audio of data/wav.scp changed",
        ),
        (lambda s: os.remove(s.folder / "dump/text"), "output dump/text is gone"),
        (lambda s: s.write("dump/text", "u1 hallo"), "output dump/text changed"),
        (lambda s: s.write("exp/mark.json", "{"), "exp/mark.json cannot be read"),
    ],
)
def test_each_change_is_named_and_runs_the_stage_again(stage: Stage, change, why: str) -> None:
    stage.finish()
    change(stage)
    assert stage.why() == why
    if why.startswith("input"):
        stage.finish()
        assert stage.why() == ""


def test_a_removed_output_folder_is_named(stage: Stage) -> None:
    stage.finish()
    os.remove(stage.folder / "dump/text")
    os.rmdir(stage.folder / "dump")
    assert stage.why() == "output dump/text is gone"


def test_changed_options_are_named(stage: Stage) -> None:
    stage.finish()
    rest = stage.words[2:]
    assert stage.why("--option", "lid=false", *rest) == "option lid 'true' -> 'false'"
    assert stage.why(*rest) == "option lid is gone"
    assert stage.why("--option", "nbpe=5", *stage.words) == "option nbpe is new"


def test_a_new_input_or_output_argument_counts(stage: Stage) -> None:
    stage.finish()
    stage.write("more", "x")
    assert stage.why(*stage.words, "--input", "more") == "input more is new"
    assert stage.why(*stage.words, "--output", "more") == "output more is new"


def test_times_and_new_or_hidden_files_beside_the_outputs_do_not_count(stage: Stage) -> None:
    stage.finish()
    os.utime(stage.folder / "conf.yaml", ns=(5, 5))
    stage.write("data/.backup/text", "old")
    stage.write("dump/logs/dump.1.log", "later")
    assert stage.why() == ""


def test_an_input_edited_while_the_stage_runs_counts_as_changed(stage: Stage) -> None:
    stage("begin")
    append(stage, "conf.yaml")
    stage("done")
    assert stage.why() == "input conf.yaml changed"


def test_a_large_input_counts_by_size_time_and_ends(stage: Stage) -> None:
    large = stage.folder / "data/large"
    with open(large, "wb") as stream:
        stream.truncate(17 * 2**20)
    stage.finish()
    times = os.stat(large)
    with open(large, "r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"x")
    os.utime(large, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert stage.why() == "input data/large changed"


def test_done_refuses_when_an_output_was_not_made(stage: Stage) -> None:
    os.remove(stage.folder / "dump/text")
    os.rmdir(stage.folder / "dump")
    stage("begin")
    done = stage("done")
    assert done.returncode == 2 and "output dump was not made" in done.stderr
    assert stage.why() == "begun, but never finished"


def test_an_option_without_a_value_is_refused(stage: Stage) -> None:
    done = stage("check", "--option", "lid")
    assert done.returncode == 2 and "KEY=VALUE" in done.stderr
