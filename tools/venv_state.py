#!/usr/bin/env python3
"""Is tools/venv whole?  The side of ``install.sh`` that reads packages; standard library only.

    venv_state.py ready --extras "train ssl"  exit 0: nothing to do; 1: says what there is to do
    venv_state.py begin                       takes the mark away before anything is changed
    venv_state.py heal                        forgets packages that a killed run left half-laid
    venv_state.py mark --missing fairseq      writes the completion mark, last of all
    venv_state.py extras | missing            what the mark says of them
    venv_state.py requirements --extras ...   what setup.py asks for, a line each

Run it with the environment's own Python: it looks at the packages of the interpreter that runs it.
"""

import argparse
import csv
import functools
import hashlib
import json
import os
import re
import runpy
import shutil
import sys
import types
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

TOOLS = Path(__file__).resolve().parent
MARK = Path(sys.prefix) / ".asr_dro_installed.json"


def normal(name: str) -> str:
    """A package name as the index compares it: ``PyYAML`` and ``pyyaml`` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path = TOOLS / "constraints.txt") -> dict[str, str]:
    """The constraints file as {normal name: version}."""
    lines = (line.split("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    pairs = (line.split("==") for line in lines if line)
    return {normal(name): version.strip() for name, version in pairs}


@functools.cache
def installed() -> dict[str, str]:
    """{normal name: version} of this interpreter's packages; what has no metadata is left out."""
    found = ((dist.metadata["Name"], dist.version) for dist in metadata.distributions())
    return {normal(name): version for name, version in found if name}


def key() -> str:
    """A hash of all that decides which packages are right: constraints, setup.py, the Python."""
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for path in (TOOLS / "constraints.txt", TOOLS.parent / "setup.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read_mark() -> dict:
    """The completion mark, or an empty dict where there is none that can be read."""
    try:
        return json.loads(MARK.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def strayed() -> list[str]:
    """``name version, not pin`` for each installed package that is not at its pinned version."""
    have = installed()
    wrong = ((name, have[name], pin) for name, pin in pins().items() if name in have)
    return [f"{name} {got}, not {pin}" for name, got, pin in wrong if got.split("+")[0] != pin]


def editable_root() -> Path | None:
    """The checkout that ``import asr_dro_plugin`` would read, or None where it is not installed."""
    try:
        text = metadata.distribution("asr-dro").read_text("direct_url.json")
        return Path(unquote(urlsplit(json.loads(text)["url"]).path))
    except (metadata.PackageNotFoundError, TypeError, KeyError, ValueError):
        return None


def reason_not_ready(extras: set[str], flavour: str, linked: bool = False) -> str:
    """What stands between this environment and being finished; empty when nothing does.

    A linked environment belongs to another checkout, and may hold that one's asr-dro.
    """
    mark = read_mark()
    if not mark:
        return "not finished yet"
    if mark.get("prefix") != sys.prefix:
        return "moved from another folder"
    if mark.get("key") != key():
        return "setup.py or tools/constraints.txt changed"
    if lacking := sorted(extras - set(mark["extras"])):
        return f"lacks the extra {lacking[0]}"
    if not linked and editable_root() != TOOLS.parent:
        return "asr-dro is not installed from this checkout"
    gone = sorted(set(mark["packages"]) - set(installed()))
    if gone:
        return f"{gone[0]} was removed"
    if wrong := strayed():
        return wrong[0]
    torch = installed().get("torch", "")
    if flavour != "auto" and (flavour == "cpu") != torch.endswith("+cpu"):
        return f"torch {torch} is not the {flavour} build"
    return ""


def half_laid() -> list[Path]:
    """Metadata folders of packages whose listed files are not all there (a killed pip or uv)."""
    broken = []
    for site in {Path(p) for p in sys.path if p.endswith("site-packages")}:
        broken += [info for info in site.glob("*.dist-info") if not is_whole(info)]
        broken += list(site.glob("~*"))  # what pip renames a package to while it replaces it
    return broken


def is_whole(info: Path) -> bool:
    """Whether every file that a package's RECORD lists exists (bytecode may be absent)."""
    try:
        lines = (info / "RECORD").read_text("utf-8").splitlines()
    except OSError:
        return False
    names = [row[0] for row in csv.reader(lines) if row]
    return all(os.path.exists(info.parent / name) for name in names if not name.endswith(".pyc"))


def heal() -> None:
    """Drop the metadata of half-laid packages, so that the installer lays them anew."""
    for path in half_laid():
        print(f"{path.name}: unfinished, will be installed again")
        shutil.rmtree(path, ignore_errors=True)


def write_mark(extras: set[str], missing: str) -> None:
    """Write the completion mark in one move."""
    content = {
        "key": key(),
        "prefix": sys.prefix,
        "extras": sorted(extras),
        "missing": missing,
        "packages": sorted(installed()),
    }
    scratch = MARK.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    os.replace(scratch, MARK)


def setup_arguments() -> dict:
    """What setup.py passes to setuptools; a stand-in is there, for a new environment has none."""
    arguments = {}
    stand_in = types.ModuleType("setuptools")
    stand_in.setup = lambda **given: arguments.update(given)
    stand_in.find_packages = lambda **_: []
    sys.modules["setuptools"] = stand_in
    runpy.run_path(str(TOOLS.parent / "setup.py"))
    return arguments


def requirements(extras: set[str]) -> list[str]:
    """The core's and the extras' requirements in setup.py, and the setuptools to build it with."""
    arguments = setup_arguments()
    found = [f"setuptools=={pins()['setuptools']}", *arguments["install_requires"]]
    for extra in sorted(extras):
        found += arguments["extras_require"][extra]
    return list(dict.fromkeys(found))


def enter() -> None:
    """Go on in tools/venv where no environment is active, so that a tool works as it is typed."""
    program = TOOLS / "venv/bin/python"
    if sys.prefix != sys.base_prefix:
        return
    if not program.exists():
        sys.exit(f"ERROR: {TOOLS / 'venv'} is not there. Run {TOOLS / 'install.sh'}")
    os.execv(program, [str(program), *sys.argv])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = ["ready", "begin", "heal", "mark", "extras", "missing", "requirements"]
    parser.add_argument("action", choices=actions)
    parser.add_argument("--extras", default="", help="names, separated by spaces")
    parser.add_argument("--torch", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--linked", action="store_true", help="it is another checkout's")
    parser.add_argument("--missing", default="", help="the extras that could not be had")
    args = parser.parse_args()
    extras = set(args.extras.split())
    if args.action == "ready":
        reason = reason_not_ready(extras, args.torch, args.linked)
        print(reason, end="\n" if reason else "")
        return bool(reason)
    if args.action == "begin":
        MARK.unlink(missing_ok=True)
    elif args.action == "heal":
        heal()
    elif args.action == "mark":
        write_mark(extras, args.missing)
    elif args.action == "requirements":
        print("\n".join(requirements(extras)))
    elif args.action == "extras":  # those of an older setup.py may be gone
        offered = setup_arguments()["extras_require"]
        print(" ".join(name for name in read_mark().get("extras", []) if name in offered))
    else:
        print(read_mark().get("missing", ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
