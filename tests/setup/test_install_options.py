"""install.sh refuses what it does not know and explains itself."""

import subprocess

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--troch", "cpu"], "unknown option '--troch'"),
        (["--torch", "gpu"], "auto, cpu or cuda, not 'gpu'"),
        (["--installer", "conda"], "pip or uv, not 'conda'"),
        (["--extras", "lm srve"], "no extra 'srve'"),
        (["--venv"], "--venv needs a value"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(checkout, environment, arguments, said):
    done = subprocess.run(
        ["bash", "tools/install.sh", *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and said in done.stderr


def test_help_names_every_option(bash):
    done = bash("parse_options --help")
    assert done.returncode == 0
    for option in ("--torch", "--python", "--extras", "--venv", "--installer", "--help"):
        assert f"  {option}" in done.stdout


def test_the_extras_it_accepts_are_those_of_setup_py(bash, setup_arguments):
    names = " ".join(setup_arguments["extras_require"])
    assert bash(f"parse_options --extras '{names}'").returncode == 0
    assert f"has {names}" in bash("parse_options --extras nonsense").stderr


def test_a_folder_that_holds_something_else_is_never_cleared(bash, tmp_path):
    mine = tmp_path / "photos"
    mine.mkdir()
    (mine / "cat.jpg").write_text("x")
    done = bash(f"main --venv '{mine}'")
    assert done.returncode == 1 and "something else" in done.stderr
    assert (mine / "cat.jpg").exists()
