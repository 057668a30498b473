"""install.sh takes the first Python that works, not the first that is there."""

import os
import shutil

import pytest


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def dead_shim(folder, name):
    return program(
        folder / name, f"#!/bin/sh\necho 'pyenv: {name}: command not found' >&2\nexit 127\n"
    )


def link(folder, name, target):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(target)
    return folder / name


def find(bash, environment, *folders, **extra):
    path = os.pathsep.join([*map(str, folders), environment["PATH"]])
    return bash('find_python && echo "$python"', PATH=path, **extra)


def test_a_dead_pyenv_shim_is_passed_over(bash, environment, tmp_path, python_program):
    dead_shim(tmp_path / "shims", "python3.12")
    dead_shim(tmp_path / "shims", "python3.13")
    good = link(tmp_path / "good", "python3.12", python_program)
    done = find(bash, environment, tmp_path / "shims", tmp_path / "good")
    assert (done.returncode, done.stdout.strip()) == (0, str(good)), done.stderr


def test_an_installed_pyenv_version_is_found_behind_dead_shims(
    bash, environment, tmp_path, python_program
):
    dead_shim(tmp_path / "shims", "python3.12")
    good = link(tmp_path / "home/.pyenv/versions/3.12.1/bin", "python", python_program)
    done = find(bash, environment, tmp_path / "shims")
    assert done.stdout.strip() == str(good), done.stderr


def test_a_python_of_another_version_or_without_venv_is_passed_over(
    bash, environment, tmp_path, python_program
):
    other = "#!/bin/sh\nexit 1\n"  # what 3.11, or Debian's python3 without python3-venv, answers
    program(tmp_path / "old/python3.12", other)
    program(tmp_path / "old/python3", other)
    good = link(tmp_path / "good", "python3", python_program)
    done = find(bash, environment, tmp_path / "old", tmp_path / "good")
    assert done.stdout.strip() == str(good), done.stderr


def test_the_variable_python_comes_first_but_only_if_it_works(
    bash, environment, tmp_path, python_program
):
    on_path = link(tmp_path / "good", "python3.12", python_program)
    named = link(tmp_path / "named", "mine", python_program)
    assert find(bash, environment, on_path.parent, PYTHON=str(named)).stdout.strip() == str(named)
    dead = dead_shim(tmp_path / "dead", "mine")
    assert find(bash, environment, on_path.parent, PYTHON=str(dead)).stdout.strip() == str(on_path)


def test_an_explicit_python_that_fails_is_an_error(bash, tmp_path):
    dead = dead_shim(tmp_path / "dead", "python3.12")
    done = bash(f"python='{dead}'; find_python")
    assert done.returncode == 1
    assert "is not a Python 3.12 or 3.13" in done.stderr


@pytest.mark.skipif(shutil.which("flock") is None, reason="needs flock")
def test_without_any_python_one_line_says_what_to_install(bash, checkout):
    done = bash("main")
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and "Python 3.12 or 3.13" in lines[0] and "Install one" in lines[0]
    assert not (checkout / "tools/venv").exists()
