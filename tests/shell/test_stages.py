"""utils/stages.sh: a stage is run once, a dry run writes nothing."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = """\
#!/usr/bin/env bash
set -euo pipefail
stage=1
stop_stage=9
skip_stages=
dry_run=false
expdir=exp
factor=2
copy=false
. utils/log.sh
. utils/parse_options.sh
. utils/stages.sh
options=(--factor "${factor}" --note "a b")
needs 5 "Run stage 4." in
if begin 5 demo "in -> out" --input in other --output out -- "${options[@]}"; then
    echo made >>out
    end
fi
! ${copy} || once 6 whole "out -> copy" --input out --output copy --run cp out copy
"""


class Demo:
    """The script above in a folder of its own."""

    def __init__(self, folder: Path, utils: Path) -> None:
        self.folder = folder
        (folder / "utils").symlink_to(utils)
        (folder / "demo.sh").write_text(SCRIPT)
        for name in ("in", "other"):
            (folder / name).write_text(name)

    def run(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["bash", "demo.sh", *words], cwd=self.folder, capture_output=True, text=True
        )

    def says(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def demo(tmp_path: Path, utils: Path) -> Demo:
    return Demo(tmp_path, utils.resolve())


def test_a_stage_is_run_once_and_again_when_an_option_or_an_input_changes(demo: Demo) -> None:
    assert "Stage 5: in -> out (never finished)" in demo.says()
    assert "Stage 5: in -> out: nothing to do." in demo.says()
    assert "(option factor '2' -> '3')" in demo.says("--factor", "3")
    (demo.folder / "other").write_text("changed")
    assert "(input other changed)" in demo.says("--factor", "3")
    assert (demo.folder / "out").read_text() == "made\n" * 3


@pytest.mark.parametrize("words", [["--stage", "6"], ["--stop_stage", "4"], ["--skip_stages", "5"]])
def test_a_stage_that_is_not_wanted_is_not_run_and_needs_nothing(demo: Demo, words: list) -> None:
    (demo.folder / "in").unlink()
    assert demo.says(*words) == ""
    assert not (demo.folder / "out").exists()


def test_a_dry_run_tells_inputs_and_outputs_and_writes_nothing(demo: Demo) -> None:
    before = sorted(demo.folder.rglob("*"))
    told = demo.says("--dry_run", "true")
    assert "would run (never finished)." in told
    assert "    from in other\n    to   out\n" in told
    assert sorted(demo.folder.rglob("*")) == before


def test_a_missing_need_names_the_remedy_before_anything_is_noted(demo: Demo) -> None:
    (demo.folder / "in").unlink()
    done = demo.run()
    assert done.returncode == 1
    assert done.stderr == "ERROR: in is missing or empty. Run stage 4.\n"
    assert not (demo.folder / "exp").exists()


def test_a_stage_of_one_command_is_run_once_and_ends_the_script_where_it_fails(demo: Demo) -> None:
    words = ["--copy", "true"]
    (demo.folder / "copy/out").mkdir(parents=True)  # in the way
    assert demo.run(*words).returncode != 0
    shutil.rmtree(demo.folder / "copy")
    assert "Stage 6: out -> copy (begun, but never finished)" in demo.says(*words)
    assert (demo.folder / "copy").read_text() == "made\n"
    assert "Stage 6: out -> copy: nothing to do." in demo.says(*words)


CHAIN = """\
#!/usr/bin/env bash
set -euo pipefail
stage=1
stop_stage=9
skip_stages=
dry_run=false
expdir=exp
factor=1
suffix=a
. utils/log.sh
. utils/parse_options.sh
. utils/stages.sh
once 1 a "in -> a" --input in --output a/one --run bash -c 'mkdir -p a; head -c 3 in >a/one' \
    -- --factor "${factor}"
once 2 b "a -> b" --input a other --output b --run bash -c "cat a/one >b; echo ${factor} >>b"
once 3 c "other -> c" --option "suffix=${suffix}" --input other --output c --run cp other c
once 4 d "b, c -> d" --input b c --output d --run bash -c 'cat b c >d'
"""
CHANGES = {
    "nothing": ("", ()),
    "an input": ("echo new >in", ()),
    "an input, to no effect": ("echo changed at its end >>in", ()),
    "an option of the third": ("", ("--suffix", "b")),
    "a result is gone": ("rm b", ()),
    "a stage is left out": ("echo new >in", ("--skip_stages", "2")),
    "only the last": ("echo new >in", ("--stage", "4")),
    "two at once": ("echo new >other; rm d", ("--suffix", "b")),
}


def stages_of(output: str, *words: str) -> set[str]:
    """The numbers of stages whose line has one of the words."""
    lines = [line for line in output.splitlines() if any(word in line for word in words)]
    return {line.partition("Stage ")[2][0] for line in lines}


@pytest.mark.parametrize("change", CHANGES)
def test_a_plan_and_the_run_after_it_agree(tmp_path: Path, utils: Path, change: str) -> None:
    demo = Demo(tmp_path, utils.resolve())
    (tmp_path / "demo.sh").write_text(CHAIN)
    (tmp_path / "in").write_text("input\n")
    demo.says()
    command, words = CHANGES[change]
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    plan = demo.says("--dry_run", "true", *words)
    run = demo.says(*words)
    done = stages_of(run, "Stage") - stages_of(run, "nothing to do")
    assert stages_of(plan, "would run (") <= done
    assert done <= stages_of(plan, "would run (", "would run if")
    assert stages_of(plan, "Stage") == stages_of(run, "Stage")
    assert "would run" not in demo.says("--dry_run", "true", *words)
