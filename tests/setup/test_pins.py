"""One set of exact versions: setup.py, tools/constraints.txt and the environment agree."""

import re
import subprocess
import sys
import sysconfig
from importlib import metadata

import pytest


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def constraints(root):
    lines = (root / "tools/constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    assert len(pairs) == len({normal(name) for name, _ in pairs}), "a package is pinned twice"
    return {normal(name): version for name, version in pairs}


@pytest.fixture
def direct(setup_arguments):
    """{where in setup.py: [requirement, ...]}"""
    return {"core": setup_arguments["install_requires"]} | setup_arguments["extras_require"]


def split(requirement):
    name, version = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?==([\w.]+)", requirement).groups()
    return normal(name), version


def test_every_requirement_of_setup_py_is_pinned_to_the_version_of_the_constraints(
    direct, constraints
):
    for requirement in (r for group in direct.values() for r in group):
        name, version = split(requirement)
        assert constraints[name] == version


def test_the_constraints_are_portable(constraints):
    for name, version in constraints.items():
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{name}=={version}"
        assert not name.startswith("nvidia-")


def test_setup_py_has_the_promised_extras(direct):
    promised = "train ssl fairseq lm vad media phonemes romanised export serve docs dev"
    assert set(promised.split()) == set(direct) - {"core"}


def test_what_is_installed_is_what_is_pinned(constraints):
    here = [sysconfig.get_path("purelib")]  # not what setuptools carries inside itself
    found = {normal(d.metadata["Name"]): d.version for d in metadata.distributions(path=here)}
    strayed = {n: v for n, v in found.items() if constraints.get(n, v) != v.split("+")[0]}
    assert not strayed


def needs_of(requirement, seen):
    """The installed packages that a requirement brings, itself included, without extras."""
    name = normal(re.match(r"[\w.-]+", requirement).group())
    if name in seen:
        return
    seen.add(name)
    try:
        below = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for line in below:
        if ";" not in line:
            needs_of(line, seen)


@pytest.mark.parametrize("extra", ["core", "docs", "lm", "serve"])
def test_a_light_extra_brings_no_torch(direct, extra):
    seen = set()
    for requirement in direct["core"] + direct[extra]:
        needs_of(requirement, seen)
    assert not seen & {"torch", "espnet", "transformers"}


@pytest.mark.slow
def test_one_omegaconf_serves_espnet_s3prl_and_fairseq_in_one_process(constraints):
    pytest.importorskip("fairseq", reason="fairseq is not installed here")
    script = (
        "import espnet2.tasks.asr, espnet2.asr.frontend.s3prl, s3prl.nn, fairseq, omegaconf;"
        "print(omegaconf.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == constraints["omegaconf"] == metadata.version("omegaconf")
