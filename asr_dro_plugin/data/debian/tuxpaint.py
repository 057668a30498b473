"""Names of pictures, ``tuxpaint-stamps-default``: one volunteer a language reads them.

``X_desc_LL.ogg`` lies beside ``X.txt``, whose first line is English and whose others are
``LL.utf8=text``.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from asr_dro_plugin.data.debian.spoken import Spoken, decoded, fault_of
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import lower_no_punct

PLACES = ("usr/share/tuxpaint/stamps", "tuxpaint/stamps", "stamps")
CORPUS = "tuxpaint"
_LINE = re.compile(r"([A-Za-z_@]+)\.utf8=(.*)")


def read(root: Path, langs: Mapping[str, str]) -> Iterator[Spoken]:
    """Every name and every recording of some languages, those without the other one too.

    Args:
        root: the folder into which the package was unpacked.
        langs: ISO code -> ``LL``.
    """
    stamps = next((root / place for place in PLACES if (root / place).is_dir()), None)
    if stamps is None:
        raise UserError(
            f"{root} has no {PLACES[0]}. Add tuxpaint-stamps-default, or omit --data_source."
        )
    pictures = {path.with_suffix("") for path in stamps.rglob("*.txt")}
    sounds = {(_picture(path), path.stem.rpartition("_desc_")[2]): path
              for path in stamps.rglob("*_desc_*.ogg")}  # fmt: skip
    for picture in sorted(pictures | {picture for picture, _ in sounds}):
        english, texts = names(picture.with_suffix(".txt"))
        name = picture.relative_to(stamps).as_posix()
        unit = "picture/" + (lower_no_punct(english, "eng") or name)
        for iso, lang in langs.items():
            sound, found = sounds.get((picture, lang)), texts.get(lang, {})
            if sound or found:
                yield _spoken(iso, name, unit, found, sound, picture.with_suffix(".txt"))


def _picture(sound: Path) -> Path:
    """``X`` of ``X_desc_LL.ogg``."""
    return sound.with_name(sound.stem.rpartition("_desc_")[0])


def names(path: Path) -> tuple[str, dict[str, dict[str, int]]]:
    """The English name of a picture, and by language its names with their lines.

    A language has two names where a file names it twice and otherwise.
    """
    lines = decoded(path, path.read_bytes()).splitlines() if path.exists() else []
    found: dict[str, dict[str, int]] = {}
    for number, line in enumerate(lines, 1):
        if match := _LINE.fullmatch(line.strip()):
            found.setdefault(match[1], {}).setdefault(match[2].strip(), number)
    has_english = lines and not _LINE.fullmatch(lines[0].strip())
    return (lines[0].strip() if has_english else ""), found


def _spoken(
    iso: str, name: str, unit: str, found: Mapping[str, int], sound: Path | None, path: Path
) -> Spoken:
    text, line = next(iter(found.items()), ("", 1))
    return Spoken(
        iso, CORPUS, CORPUS, name, unit, text, sound or path, f"{path}:{line}",
        fault=fault_of(found, sound),
    )  # fmt: skip
