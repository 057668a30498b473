"""Which build of PyTorch install.sh takes, tried against an index that the test serves.

The index holds one tiny wheel, torch 2.13.0+cpu, named and versioned as PyTorch's own are.
"""

import functools
import http.server
import re
import subprocess
import sys
import threading
import zipfile

import pytest


def write_wheel(folder, version):
    """A wheel with metadata and nothing else."""
    info = f"torch-{version}.dist-info"
    head = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", head)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def pin(root):
    return re.search(r"^torch==(.+)$", (root / "tools/constraints.txt").read_text(), re.M).group(1)


@pytest.fixture
def cpu_index(tmp_path, pin):
    """The address of a CPU wheel index, as PyTorch serves one."""
    write_wheel(tmp_path / "index/torch", f"{pin}+cpu")
    handler = functools.partial(QuietHandler, directory=str(tmp_path / "index"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def choose(bash, checkout):
    """``choose(...)`` runs install_torch with pip replaced by echo; returns what pip was asked."""
    place = checkout / "tools/venv/bin"
    place.mkdir(parents=True)
    (place / "python").symlink_to(sys.executable)

    def call(torch="auto", driver=False, have="", **variables):
        script = (
            f"torch={torch}; has_nvidia_driver() {{ {'true' if driver else 'false'}; }}\n"
            f"installed_torch() {{ echo '{have}'; }}\n"
            'run() { shift; "$@"; }; pip_install() { echo "pip: $*"; }; install_torch'
        )
        done = bash(script, **variables)
        assert done.returncode == 0, done.stderr
        return " ".join(line for line in done.stdout.splitlines() if line.startswith("pip:"))

    return call


def test_cpu_wheels_are_taken_where_no_driver_is_and_the_index_answers(choose, cpu_index, pin):
    asked = choose(TORCH_CPU_INDEX=cpu_index)
    assert f"--index-url {cpu_index}" in asked and f"torch=={pin}" in asked and "--no-deps" in asked


def test_the_package_indexs_build_is_taken_otherwise(choose, cpu_index):
    assert choose(driver=True, TORCH_CPU_INDEX=cpu_index) == ""
    assert choose(torch="cuda", TORCH_CPU_INDEX=cpu_index) == ""
    assert choose(TORCH_CPU_INDEX="http://127.0.0.1:9") == ""  # nobody listens there


def test_a_build_that_is_there_is_changed_only_on_request(choose, cpu_index, pin):
    assert choose(have=pin, TORCH_CPU_INDEX=cpu_index) == ""
    assert choose(torch="cpu", have=f"{pin}+cpu", TORCH_CPU_INDEX=cpu_index) == ""
    assert "--force-reinstall" in choose(torch="cpu", have=pin, TORCH_CPU_INDEX=cpu_index)
    assert "--force-reinstall" in choose(torch="cuda", have=f"{pin}+cpu")


def test_an_index_that_never_answers_is_given_up_for_the_package_index(choose):
    with http.server.socketserver.TCPServer(("127.0.0.1", 0), None) as mute:  # accepts, no word
        assert choose(TORCH_CPU_INDEX=f"http://127.0.0.1:{mute.server_address[1]}") == ""


def test_pip_takes_the_cpu_wheel_for_the_exact_pin_under_the_constraints(
    cpu_index, root, tmp_path, pin
):
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "-q", "--no-cache-dir"]
    command += ["-c", str(root / "tools/constraints.txt"), "--target", str(tmp_path / "site")]
    command += ["--index-url", cpu_index, f"torch=={pin}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"site/torch-{pin}+cpu.dist-info").is_dir()
