"""utils/parse_options.sh: sets what exists, refuses the rest, evaluates nothing."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SCRIPT = """\
#!/usr/bin/env bash
set -euo pipefail
# General
nj=4  # Number of parallel parts.
      # Never more than utterances.
stage=${STAGE:-1} # first stage
lid=true # language tags
specific_languages=true
max_duration=20.0  # seconds
text="a # b"  # two words
# Languages
langs=  # languages, all when empty
args="${args:-}"
help_message="Usage: demo"
. UTILS/parse_options.sh
not_an_option=1
printf '%s\\n' "${nj}" "${stage}" "${lid}" "${specific_languages}" "${langs}" "${args}" "$*"
"""
NAMES = ("nj", "stage", "lid", "specific_languages", "langs", "args", "rest")


class Demo:
    """The script above, run with some words."""

    def __init__(self, folder: Path, utils: Path) -> None:
        self.folder = folder
        self.script = folder / "demo.sh"
        self.script.write_text(SCRIPT.replace("UTILS", str(utils)))

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess:
        """Its exit code and output, carriage returns and all."""
        done = subprocess.run(
            ["bash", str(self.script), *words], cwd=self.folder, env={**os.environ, **env},
            capture_output=True,
        )  # fmt: skip
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        return done

    def values(self, *words: str, **env: str) -> dict[str, str]:
        """The variables as it ends."""
        done = self.run(*words, **env)
        assert done.returncode == 0, done.stderr
        return dict(zip(NAMES, done.stdout.split("\n")))


@pytest.fixture
def demo(tmp_path: Path, utils: Path) -> Demo:
    return Demo(tmp_path, utils)


def test_options_set_variables_in_each_spelling(demo: Demo) -> None:
    values = demo.values(
        "--nj", "8", "--specific-languages", "false", "--langs=eng fra", "x", "--y"
    )
    assert values["nj"] == "8" and values["langs"] == "eng fra" and values["rest"] == "x --y"


def test_false_is_false(demo: Demo) -> None:
    assert demo.values("--specific_languages", "false")["specific_languages"] == "false"


def test_the_last_of_two_holds_and_two_dashes_end_the_options(demo: Demo) -> None:
    values = demo.values("--nj", "8", "--nj", "9", "--", "--nj", "1")
    assert values["nj"] == "9" and values["rest"] == "--nj 1"


@pytest.mark.parametrize(
    "value", ["$(touch x)", "`touch x`", "'; touch x; '", "a[$(touch x)]", "$(("]
)
@pytest.mark.parametrize("option", ["--langs", "--args", "--nj", "--lid"])
def test_values_are_never_evaluated(demo: Demo, option: str, value: str) -> None:
    done = demo.run(option, value)
    assert sorted(os.listdir(demo.folder)) == ["demo.sh"]
    if option in ("--nj", "--lid"):
        assert done.returncode == 2 and value in done.stderr
    else:
        assert value in done.stdout.split("\n")


@pytest.mark.parametrize(
    "name", ["--a[$(touch${IFS}x)]", "--$(touch x)", "--nj[`touch x`]", "--nj;x"]
)
def test_names_are_never_evaluated(demo: Demo, name: str) -> None:
    done = demo.run(name, "1")
    assert done.returncode == 2 and "unknown option" in done.stderr
    assert sorted(os.listdir(demo.folder)) == ["demo.sh"]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(st.characters(exclude_characters="\0\n", codec="utf-8"), max_size=20))
def test_any_text_is_stored_as_it_is(demo: Demo, value: str) -> None:
    assert demo.values(f"--langs={value}")["langs"] == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stag", "3"], "unknown option --stag. Did you mean --stage?"),
        (["--specific_language", "true"], "Did you mean --specific_languages?"),
        (["--speciflc-lagnuages", "true"], "Did you mean --specific_languages?"),
        (["-nj", "3"], "Did you mean --nj?"),
        (["--" + "x" * 500, "3"], "unknown option"),
        (["--PATH", "/tmp"], "unknown option --PATH. See --help."),
        (["--not_an_option", "2"], "unknown option"),
        (["--help_message", "x"], "unknown option"),
        (["--_po_used", "2"], "unknown option"),
        (["--nj"], "--nj needs a value"),
        (["--nj", "--stage", "3"], "--nj needs a value, but --stage follows"),
        (["--nj", "foo"], "--nj takes an integer, not 'foo'"),
        (["--nj", "2.5"], "--nj takes an integer, not '2.5'"),
        (["--nj", ""], "--nj takes an integer, not ''"),
        (["--lid", "True"], "--lid takes true or false, not 'True'"),
        (["--max_duration", "long"], "--max_duration takes a number, not 'long'"),
    ],
)
def test_wrong_use_is_refused_in_one_line(demo: Demo, words: list, message: str) -> None:
    done = demo.run(*words)
    assert done.returncode == 2 and message in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""


@pytest.mark.parametrize("value", ["20", "0.5", ".5", "1e3", "-1"])
def test_a_number_is_taken_where_the_default_has_a_decimal_point(demo: Demo, value: str) -> None:
    demo.values("--max_duration", value)


def test_a_value_may_look_like_an_option_when_written_with_equals(demo: Demo) -> None:
    assert demo.values("--args=--stage")["args"] == "--stage"
    assert demo.values("--args", "--max_epoch 5")["args"] == "--max_epoch 5"


def test_help_lists_live_values_and_comments(demo: Demo) -> None:
    done = demo.run("--nj", "7", "--help", STAGE="3")
    assert done.returncode == 0 and done.stdout.startswith("Usage: demo\n")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "--nj 7 Number of parallel parts. Never more than utterances." in lines
    assert "--stage 3 first stage" in lines and '--text "a # b" two words' in lines
    assert '--langs "" languages, all when empty' in lines
    assert "--specific_languages true" in lines
    assert lines.index("General") < lines.index("Languages")
    assert "not_an_option" not in done.stdout and "help_message" not in done.stdout


def test_the_script_may_have_changed_directory_before(tmp_path: Path, utils: Path) -> None:
    folder = tmp_path / "recipe"
    folder.mkdir()
    script = f'cd "$(dirname "$0")"\nnj=1 # jobs\n. {utils}/parse_options.sh\necho "nj ${{nj}}"\n'
    (folder / "run.sh").write_text(script)
    for start in (["bash", "recipe/run.sh"], ["bash", str(folder / "run.sh")]):
        done = subprocess.run([*start, "--nj", "3"], cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout == "nj 3\n", done.stderr


def test_it_leaves_no_function_or_variable_behind(tmp_path: Path, utils: Path) -> None:
    script = f"nj=1\n. {utils}/parse_options.sh\ndeclare -F; compgen -v\n"
    (tmp_path / "s.sh").write_text(script)
    done = subprocess.run(["bash", "s.sh"], cwd=tmp_path, capture_output=True, text=True)
    assert "nj" in done.stdout and "_po_" not in done.stdout
