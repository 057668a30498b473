"""The light extras resolve by themselves, without the constraints, and bring no torch."""

import json
import re
import subprocess
import sys
import zipfile

import pytest

NO_NETWORK = re.compile(
    "NewConnectionError|Connection refused|ReadTimeout|ConnectTimeout|ProxyError"
)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("extra", ["docs", "serve"])
def test_a_light_extra_resolves_alone(extra, setup_arguments, tmp_path):
    wanted = setup_arguments["install_requires"] + setup_arguments["extras_require"][extra]
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pip", "install", "-q", "--dry-run", "--ignore-installed"]
    command += ["--no-input", "--retries", "1", "--report", str(report), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode and NO_NETWORK.search(done.stderr):
        pytest.skip("no package index answers")
    assert done.returncode == 0, done.stderr
    names = {item["metadata"]["name"].lower() for item in json.loads(report.read_text())["install"]}
    assert "omegaconf" in names and not names & {"torch", "espnet", "transformers"}


@pytest.mark.network
@pytest.mark.slow
def test_what_serving_installs_is_less_than_250_mb(setup_arguments, root, tmp_path):
    """All files of ``pip install asr-dro[serve]``, the core included, as the constraints pin."""
    wanted = setup_arguments["install_requires"] + setup_arguments["extras_require"]["serve"]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-input", "--retries", "1"]
    command += ["-c", str(root / "tools/constraints.txt"), "-d", str(tmp_path), *wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode and NO_NETWORK.search(done.stderr):
        pytest.skip("no package index answers")
    assert done.returncode == 0, done.stderr
    sizes = {}
    for path in tmp_path.glob("*.whl"):
        with zipfile.ZipFile(path) as wheel:
            sizes[path.name] = sum(member.file_size for member in wheel.infolist())
    print(f"{len(sizes)} wheels, {sum(sizes.values()) / 1e6:.0f} MB unpacked")
    assert 100e6 < sum(sizes.values()) < 250e6
    assert not any(name.startswith(("torch", "espnet", "transformers")) for name in sizes)
