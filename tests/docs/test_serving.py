"""docs/serving.md: what it shows works against a service, its files agree with the settings."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from asr_dro_plugin.serving.settings import ServiceSettings
from tests.docs.pages import ROOT, blocks, lines_of, shown_files
from tests.docs.test_commands import parser_of
from tests.serving.fronts import front, wav

PAGE = "docs/serving.md"
DEFAULT = ServiceSettings()
WHERE = "http://127.0.0.1:8000"  # on the page
WORDS = ("w16", "w25")  # of 25 seconds, as the model that stands in says


@pytest.fixture(scope="module")
def files():
    return shown_files(PAGE)


def unit_of(text):
    """Key -> values of a systemd unit."""
    found = {}
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def test_a_proxy_lets_through_what_the_service_takes_and_buffers_nothing(files):
    most = re.search(r"client_max_body_size (\d+)m;", files["nginx.conf"])[1]
    assert int(most) * 2**20 > DEFAULT.max_upload_bytes + 1_000_000
    for off in ("proxy_request_buffering off", "proxy_buffering off", "proxy_http_version 1.1"):
        assert off in files["nginx.conf"]
    assert int(re.search(r"max_size (\d+)MB", files["Caddyfile"])[1]) > DEFAULT.max_upload_mb
    assert "flush_interval -1" in files["Caddyfile"]


def test_whoever_stops_the_service_waits_for_its_drain(files):
    unit = unit_of(files["asr-dro.service"])
    assert int(unit["TimeoutStopSec"][0]) > DEFAULT.drain_seconds and unit["KillMode"] == ["mixed"]
    (container,) = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"].values()
    assert int(container["stop_grace_period"].rstrip("s")) > DEFAULT.drain_seconds


def test_the_units_command_is_one_that_serve_takes(files):
    program, command, *words = shlex.split(unit_of(files["asr-dro.service"])["ExecStart"][0])
    assert program.endswith("/asr-dro") and command == "serve"
    parser_of("serve").parse_args(words)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_takes_the_unit(files, tmp_path):
    unit = re.sub(r"/opt/asr-dro/bin/asr-dro", "/bin/true", files["asr-dro.service"])
    path = tmp_path / "asr-dro-of-a-test.service"
    path.write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and path.name not in done.stderr, done.stderr


@pytest.fixture(scope="module")
def service():
    """A service of the model that the page speaks of."""
    with front(models={"for_others": "."}) as running:
        yield running


@pytest.fixture
def folder(tmp_path):
    """Where the page's lines are typed: a recording lies there."""
    (tmp_path / "talk.wav").write_bytes(wav())
    return tmp_path


def run_in(folder, command, **more):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, **more)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not here")
@pytest.mark.parametrize(("page", "line"), lines_of("bash served"))
def test_a_line_of_curl_is_answered(page, line, service, folder):
    command = line.replace(WHERE, service.url).replace("curl -s", "curl -s --fail-with-body")
    done = run_in(folder, ["bash", "-c", command])
    assert done.returncode == 0, done.stdout
    wanted = WORDS if "talk.wav" in line else ("for_others",) if "models" in line else ("ready",)
    assert all(word in done.stdout for word in wanted)


@pytest.mark.parametrize(("page", "block"), blocks("python served"))
def test_a_block_of_python_is_answered(page, block, service, folder):
    done = run_in(folder, [sys.executable, "-c", block.replace(WHERE, service.url)])
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in WORDS)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("npm"), reason="Node is not here")
@pytest.mark.parametrize(("page", "block"), blocks("js served"))
def test_a_block_of_javascript_is_answered(page, block, service, folder):
    install = [
        "npm",
        "install",
        "--silent",
        "--no-fund",
        "--no-audit",
        "--fetch-retries=1",
        "openai",
    ]
    if run_in(folder, install).returncode:
        pytest.skip("no package index answers")
    (folder / "talk.mjs").write_text(block.replace(WHERE, service.url))
    done = run_in(folder, ["node", "talk.mjs"])
    assert done.returncode == 0, done.stderr
    assert all(done.stdout.count(word) >= 2 for word in WORDS)  # whole, and as events
