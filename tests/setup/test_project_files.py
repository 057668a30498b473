"""The files that hold the project together: links, licence, citation, scripts."""

import os
import subprocess

import pytest
import yaml

RECIPE = "egs2/asr_dro/asr1"


@pytest.mark.parametrize(
    ("link", "target"),
    [("conf", "../../../conf"), ("local", "../../../local"), ("utils", "../../../tools/utils")],
)
def test_the_recipe_links_are_relative_and_lead_to_a_folder(root, link, target):
    path = root / RECIPE / link
    assert os.readlink(path) == target
    assert path.resolve() == (root / target.replace("../", "")).resolve() and path.is_dir()


def test_the_licence_is_apache_2_in_full(root, setup_arguments):
    text = (root / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
    assert setup_arguments["license"] == "Apache-2.0"


def test_the_citation_names_the_method_and_the_engine(root, setup_arguments):
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    method, engine = citation["references"]
    assert method["identifiers"][0]["value"] == "arXiv:2502.01777"
    assert method["authors"][0]["family-names"] == "Bartelds"
    assert engine["authors"][0]["family-names"] == "Watanabe" and engine["year"] == 2018
    assert citation["version"] == setup_arguments["version"]
    for entry in (citation, method, engine):
        assert entry["title"] and entry["authors"]


@pytest.mark.parametrize("name", ["tools/install.sh", "run.sh", ".ci/run"])
def test_scripts_are_executable_and_parse(root, name):
    assert os.access(root / name, os.X_OK)
    assert subprocess.run(["bash", "-n", str(root / name)], check=False).returncode == 0


def test_importing_the_package_imports_nothing_heavy(root):
    script = (
        "import sys, asr_dro_plugin;"
        "print([m for m in ('torch', 'numpy', 'espnet2', 'soundfile') if m in sys.modules])"
    )
    done = subprocess.run(
        [os.sys.executable, "-c", script], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.strip() == "[]"
