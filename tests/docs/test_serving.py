"""docs/serving.md: its files agree with the service's settings."""

import re
import shlex
import shutil
import subprocess

import pytest
import yaml

from asr_dro_plugin.serving.settings import ServiceSettings
from tests.docs.pages import ROOT, shown_files
from tests.docs.test_commands import parser_of

PAGE = "docs/serving.md"
DEFAULT = ServiceSettings()


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
