"""Debian packages without root: downloaded, verified and unpacked into a folder of the user's.

apt verifies the mirror's signature and the file's checksum; beyond that, a package version that
``local/debian_packages.tsv`` knows must have the checksum written there.
What is unpacked is trusted by the digest in the completion mark, never because it exists.
"""

import hashlib
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write, sha256_of
from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError

APT_OPTIONS = ("-q", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20")
SOURCE_REMEDY = (
    "Give a folder with the .deb files, or with what they contain: --data_source FOLDER."
)


@dataclass(frozen=True)
class Package:
    """A row of ``debian_packages.tsv``: what speaks in it (``asterisk``) and in which languages.

    ``langs`` is ISO 639-3 code -> the name that the package has for the language.
    """

    source: str
    langs: dict[str, str]
    name: str
    version: str
    sha256: str

    @property
    def holds_texts(self) -> bool:
        """Whether it is a text list of asterisk's; the recordings are named by their format."""
        return self.source == "asterisk" and self.name.endswith(tuple(self.langs.values()))


def read_packages(path: str | os.PathLike, sources: Iterable[str]) -> list[Package]:
    """The known packages of some sources; the first line of the table names the columns."""
    rows = [line.split("\t") for line in read_lines(path)[1:] if line]
    for number, row in enumerate(rows, 2):
        if len(row) != 6 or len(row[5]) != 64 or len(row[1].split()) != len(row[2].split()):
            raise UserError(
                f"{path}:{number} is not: source, isos, langs, package, version, sha256."
            )
    return [
        Package(source, dict(zip(isos.split(), langs.split(), strict=True)), *rest)
        for source, isos, langs, *rest in rows
        if source in sources
    ]


def languages_of(packages: Iterable[Package]) -> dict[str, str]:
    """ISO 639-3 code -> the packages' name of the language."""
    return {iso: lang for package in packages for iso, lang in package.langs.items()}


def folder_of(
    packages: list[Package],
    langs: Iterable[str],
    source: str,
    store: Path,
    every_list: bool = False,
) -> Path:
    """The folder to read: the user's own tree, or one unpacked from packages.

    Args:
        packages: all packages of the corpus.
        langs: ISO codes wanted.
        source: the user's folder, with .deb files or with what they contain; '' downloads.
        store: where packages are kept and unpacked.
        every_list: fetch the text lists of other languages as well, for a split that needs them.
    """
    if source and not Path(source).is_dir():
        raise UserError(f"--data_source {source} is not a folder. Correct it, or leave it out.")
    if source and not any(Path(source).rglob("*.deb")):
        return Path(source)
    wanted = [p for p in packages if not p.langs.keys().isdisjoint(langs)]
    if every_list and not source:
        wanted += [p for p in packages if p.holds_texts and p not in wanted]
    # What is there already stays, for sets made earlier point to it.
    have = _read_mark(store / "complete.json")["packages"]
    wanted += [
        p for p in packages
        if p.name in have and p not in wanted and (not source or _debs_of(p, Path(source)))
    ]  # fmt: skip
    return unpacked(wanted, store, Path(source) if source else None)


def unpacked(packages: Iterable[Package], store: Path, source: Path | None = None) -> Path:
    """A folder with the content of all ``packages``, made only if it is not there and whole.

    Args:
        packages: those that are needed.
        store: where .deb files, the unpacked tree and its mark are kept.
        source: a folder that holds the .deb files; without it they are downloaded.

    Returns:
        the folder that holds ``usr/share/...``.
    """
    packages, tree, mark = list(packages), store / "tree", store / "complete.json"
    known = _read_mark(mark)
    if {p.name for p in packages} <= known["packages"].keys() and _is_whole(tree, known["digest"]):
        return tree
    store.mkdir(parents=True, exist_ok=True)
    for stale in store.glob(".*.tmp"):
        shutil.rmtree(stale, ignore_errors=True)
    files = _find(packages, source) if source else _download(packages, store, known["packages"])
    digest = _unpack(files.values(), tree)
    sums = {name: sha256_of(path) for name, path in files.items()}
    with atomic_write(mark) as stream:
        json.dump({"packages": sums, "digest": digest}, stream, indent=1)
    return tree


def _read_mark(mark: Path) -> dict:
    try:
        content = json.loads(mark.read_text(encoding="utf-8"))
        return {"packages": dict(content["packages"]), "digest": content["digest"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {"packages": {}, "digest": ""}


def tree_digest(tree: Path) -> str:
    """SHA-256 over the names and contents of all files below ``tree``."""
    total, above = hashlib.sha256(), len(tree.as_posix()) + 1
    for path in sorted(p for p in tree.rglob("*") if p.is_file() and not p.is_symlink()):
        total.update(f"{path.as_posix()[above:]} {sha256_of(path)}\n".encode())
    return total.hexdigest()


def _is_whole(tree: Path, digest: str) -> bool:
    if not tree.is_dir() or not digest:
        return False
    if tree_digest(tree) == digest:
        return True
    logging.warning("%s is not what was unpacked there; it is made again.", tree)
    return False


def _find(packages: list[Package], source: Path) -> dict[str, Path]:
    """The .deb file of each package below ``source``, verified where the version is known."""
    found = {}
    for package in packages:
        files = _debs_of(package, source)
        if not files:
            raise UserError(f"{source} has no {package.name}_*.deb. Add it, or omit --data_source.")
        found[package.name] = files[-1]
        _verify(files[-1], package, "taken from your folder on your word")
    return found


def _debs_of(package: Package, source: Path) -> list[Path]:
    return sorted(source.rglob(f"{package.name}_*.deb"))


def _verify(path: Path, package: Package, otherwise: str) -> None:
    """A known version must have the known checksum; of an unknown version, say what vouches."""
    version = path.name.split("_")[1]
    if version != package.version:
        logging.warning(
            "%s is version %s, not %s as in the table: %s. Counts may differ from the README's.",
            package.name, version, package.version, otherwise,
        )  # fmt: skip
    elif sha256_of(path) != package.sha256:
        raise UserError(
            f"{path} does not have the checksum of {package.name} {version} "
            "in local/debian_packages.tsv. Delete it and run again."
        )


def _download(packages: list[Package], store: Path, known: dict[str, str]) -> dict[str, Path]:
    """Those .deb files that are there and right, and the others from the mirror.

    Another corpus beside ``store`` may have fetched them already.
    """
    debs = store / "debs"
    files = {}
    for package in packages:
        wanted = {package.sha256, known.get(package.name)}
        for path in sorted(store.parent.glob(f"*/debs/{package.name}_*.deb")):
            if sha256_of(path) in wanted:
                files[package.name] = path
            elif path.parent == debs:
                logging.warning("%s is damaged or of another version; fetched again.", path)
    missing = [p for p in packages if p.name not in files]
    if missing:
        work = store / f".debs.{os.getpid()}.tmp"
        try:
            files |= _apt_download(missing, work, debs)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return files


def _apt_download(packages: list[Package], work: Path, debs: Path) -> dict[str, Path]:
    """Fetch with apt's own lists, or with private ones where a user's machine has none."""
    if not shutil.which("apt-get"):
        raise UserError(
            f"This corpus comes from Debian packages, and there is no apt-get. {SOURCE_REMEDY}"
        )
    work.mkdir(parents=True)
    options: list[str] = []
    files = {}
    for number, package in enumerate(packages, 1):
        logging.info("fetching %s (%d of %d)", package.name, number, len(packages))
        said = _apt_get(["download", package.name], options, work)
        if not list(work.glob(f"{package.name}_*.deb")) and not options:
            logging.info("apt has no lists for it; reading the mirror's into %s", work)
            options = _private_lists(work)
            said = _apt_get(["download", package.name], options, work)
        got = sorted(work.glob(f"{package.name}_*.deb"))
        if not got:
            raise UserError(f"apt-get cannot fetch {package.name} ({said}). {SOURCE_REMEDY}")
        _verify(got[0], package, "verified against the mirror's signed checksum by apt")
        debs.mkdir(parents=True, exist_ok=True)
        os.replace(got[0], debs / got[0].name)
        files[package.name] = debs / got[0].name
    return files


def _private_lists(work: Path) -> list[str]:
    """Package lists in a folder of our own: needs no root, and leaves the system's alone."""
    lists, cache = (work / "lists").resolve(), (work / "cache").resolve()
    for folder in (lists / "partial", cache / "archives" / "partial"):
        folder.mkdir(parents=True)
    options = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={cache}"]
    said = _apt_get(["update"], options, work)
    if not list(lists.glob("*_Packages*")):
        raise UserError(
            f"This corpus comes from Debian packages, and no mirror answers ({said}). "
            f"{SOURCE_REMEDY}"
        )
    return options


def _apt_get(arguments: list[str], options: list[str], work: Path) -> str:
    """Run apt-get in ``work``; its last complaint in one line, or its exit code."""
    sandbox = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    done = subprocess.run(
        ["apt-get", *APT_OPTIONS, *sandbox, *options, *arguments], cwd=work, capture_output=True,
        text=True, env={**os.environ, "LC_ALL": "C"}, check=False,
    )  # fmt: skip
    complaints = [line[3:] for line in done.stderr.splitlines() if line[:3] in ("E: ", "W: ")]
    return complaints[0] if complaints else f"exit code {done.returncode}"


def _unpack(files: Iterable[Path], tree: Path) -> str:
    """Unpack .deb files into ``tree``, replacing it as a whole; its digest."""
    if not shutil.which("dpkg-deb"):
        raise UserError(
            "There is no dpkg-deb here to unpack .deb files. Unpack them elsewhere and give the "
            "folder that then holds usr/share: --data_source FOLDER."
        )
    work = tree.parent / f".tree.{os.getpid()}.tmp"
    try:
        for path in files:
            command = ["dpkg-deb", "-x", str(path), str(work)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise UserError(f"{path} cannot be unpacked ({done.stderr.strip()}). Delete it.")
        digest = tree_digest(work)
        shutil.rmtree(tree, ignore_errors=True)
        os.replace(work, tree)
        return digest
    finally:
        shutil.rmtree(work, ignore_errors=True)
