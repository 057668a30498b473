"""venv_state.py notices what a killed installer or a later pip left behind."""

import importlib.util
import sys

import pytest


@pytest.fixture
def state(root, monkeypatch, tmp_path):
    """The module, looking at an empty environment in a temporary folder."""
    spec = importlib.util.spec_from_file_location("venv_state", root / "tools/venv_state.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.sys, "prefix", str(tmp_path))
    monkeypatch.setattr(module, "MARK", tmp_path / "mark.json")
    monkeypatch.setattr(module, "editable_root", lambda: module.TOOLS.parent)
    return module


def lay(site, name, record):
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").touch()
    if record is not None:
        (info / "RECORD").write_text(record)
    return info


def test_only_packages_whose_files_are_all_there_are_kept(state, tmp_path, monkeypatch, capsys):
    site = tmp_path / "lib/site-packages"
    whole = lay(site, "whole", "whole.py,sha256=x,1\n__pycache__/whole.cpython-312.pyc,,\n")
    lacking = lay(site, "lacking", "lacking.py,,\ngone.py,,\n")
    without_record = lay(site, "without", None)
    (site / "~orch").mkdir()
    monkeypatch.setattr(state.sys, "path", [str(site)])
    state.heal()
    assert whole.exists() and not lacking.exists() and not without_record.exists()
    assert not (site / "~orch").exists()
    assert "lacking-1.0.dist-info: unfinished" in capsys.readouterr().out


def test_a_finished_environment_is_ready_until_something_changes(state, monkeypatch):
    packages = {"torch": "2.13.0+cpu", "omegaconf": "2.3.0", "theirs": "7"}
    monkeypatch.setattr(state, "installed", lambda: packages)
    assert state.reason_not_ready({"train"}, "auto") == "not finished yet"
    state.write_mark({"train", "ssl"}, "")
    assert state.reason_not_ready({"train"}, "auto") == ""
    assert state.reason_not_ready({"train"}, "cpu") == ""
    assert "is not the cuda build" in state.reason_not_ready({"train"}, "cuda")
    assert state.reason_not_ready({"lm"}, "auto") == "lacks the extra lm"
    packages["omegaconf"] = "2.2.0"
    assert state.reason_not_ready({"train"}, "auto") == "omegaconf 2.2.0, not 2.3.0"
    del packages["omegaconf"]
    assert state.reason_not_ready({"train"}, "auto") == "omegaconf was removed"


def test_a_mark_that_cannot_be_read_counts_as_none(state):
    state.MARK.write_text('{"key": ')
    assert state.reason_not_ready(set(), "auto") == "not finished yet"


def test_requirements_are_those_of_setup_py(state, setup_arguments, monkeypatch):
    monkeypatch.setitem(sys.modules, "setuptools", None)  # put back afterwards
    found = state.requirements({"docs"})
    assert set(setup_arguments["install_requires"]) < set(found)
    assert "pdoc==16.0.0" in found and not [r for r in found if r.startswith("torch")]


def test_an_extra_that_setup_py_no_longer_offers_is_not_kept(state, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "setuptools", None)
    monkeypatch.setattr(state, "installed", dict)
    state.write_mark({"train", "gone"}, "")
    monkeypatch.setattr(sys, "argv", ["venv_state.py", "extras"])
    assert state.main() == 0 and capsys.readouterr().out.split() == ["train"]
