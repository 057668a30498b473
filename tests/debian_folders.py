"""Folders as Debian's packages of speech unpack, and packages made of them."""

import gzip
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

needs_dpkg = pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not here")
LANGS = {"en": "eng", "es": "spa", "fr": "fra", "it": "ita", "ru": "rus"}
WORDS = {"en": "press the key", "es": "pulse la tecla", "fr": "appuyez sur la touche",
         "it": "premere il tasto", "ru": "нажмите на клавишу"}  # fmt: skip
NUMERALS = "abcdefghijklmnopqrstuvwxyz"
CYRILLIC = "абвгдежзиклмнопрстуфхцчшэю"


def prompts(lang, count):
    """key -> text; the text differs by one letter, as digits would leave it out."""
    letters = CYRILLIC if lang == "ru" else NUMERALS
    pairs = [a + b for a in letters for b in letters][:count]
    return {f"dir/key-{n:03d}": f"{WORDS[lang]} {pair}!" for n, pair in enumerate(pairs)}


def write_sounds(root, lang, texts, seconds=1.2):
    """A list and G.722 files: 64 kbit/s, so 8000 bytes are a second."""
    listed = "".join(f"{key}: {text}\n" for key, text in texts.items())
    path = root / f"usr/share/doc/asterisk-core-sounds-{lang}/core-sounds-{lang}.txt.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = b"\xef\xbb\xbf" if lang == "it" else b""  # as in the real one
    path.write_bytes(gzip.compress(mark + f"; Sounds\n\n{listed}".encode()))
    for key in texts:
        sound = root / f"usr/share/asterisk/sounds/{lang}_XX_f_Voice/{key}.g722"
        sound.parent.mkdir(parents=True, exist_ok=True)
        sound.write_bytes(bytes(round(8000 * seconds)))


def build_package(
    folder: Path, name: str, version: str, tree: Path, parts: Iterable[str] = ("usr",)
) -> None:
    """Some parts of ``tree`` as a package in ``folder``, not compressed."""
    work = folder / "work"
    for part in parts:
        shutil.copytree(tree / part, work / part)
    (work / "DEBIAN").mkdir()
    (work / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
        "Maintainer: A <a@example.org>\nDescription: x\n"
    )
    subprocess.run(
        ["dpkg-deb", "-Znone", "--build", work, folder / f"{name}_{version}_all.deb"],
        check=True, capture_output=True,
    )  # fmt: skip
    shutil.rmtree(work)
