"""Dialogues of a game, ``fillets-ng-data*``: played by actors, one file a line.

``sound/ROOM/LL/ID.ogg`` is what ``script/ROOM/*dialogs_LL.lua`` has as ``dialogId("ID", "FONT",
"English")`` and ``dialogStr("text")``; the font names the character.  The sounds of
``share/...`` have their scripts in ``share``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asr_dro_plugin.data.debian.spoken import Spoken, decoded, fault_of
from asr_dro_plugin.errors import UserError

PLACES = ("usr/share/games/fillets-ng", "games/fillets-ng", "fillets-ng", ".")
CORPUS = "fillets"
REMEDY = "Take the package's own file, or convert it: iconv -f ISO-8859-2 -t UTF-8."
NARRATOR = "other"  # lines without a font
_STRING = r""" \s* ("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*') \s* """
_CALL = re.compile(
    rf"""--[^\n]*                                                 # a comment
    |\bdialogId \s* \( {_STRING} (?:, {_STRING} (?:, {_STRING})?)? \)
    |\bdialogStr \s* \( {_STRING} \)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(\d{1,3}|.)", re.DOTALL)


@dataclass
class ScriptLine:
    """What a room's scripts say of an id; more than one text is a fault."""

    font: str
    where: str
    texts: list[str] = field(default_factory=list)


def read(root: Path, langs: Mapping[str, str]) -> Iterator[Spoken]:
    """Every line and every recording of some languages, those without the other one too.

    Args:
        root: the folder into which the packages were unpacked.
        langs: ISO code -> ``LL``.
    """
    game = next((root / place for place in PLACES if (root / place / "script").is_dir()), None)
    if game is None:
        raise UserError(
            f"{root} has no {PLACES[0]}/script. Add fillets-ng-data, or omit --data_source."
        )
    for iso, lang in langs.items():
        sounds: dict[str, dict[str, tuple[str, Path]]] = {}
        for path in sorted((game / "sound").rglob(f"{lang}/*.ogg")):
            room = path.relative_to(game / "sound").parent.parent.as_posix()
            sounds.setdefault(room.split("/")[0], {})[path.stem] = room, path
        scripts = {path.parent.name for path in (game / "script").glob(f"*/*dialogs_{lang}.lua")}
        for place in sorted(scripts | sounds.keys()):
            yield from _room(game, place, iso, lang, sounds.get(place, {}))


def _room(
    game: Path, place: str, iso: str, lang: str, sounds: Mapping[str, tuple[str, Path]]
) -> Iterator[Spoken]:
    """The lines of the scripts of one folder with the recordings that belong to it."""
    folder = game / "script" / place
    lines: dict[str, ScriptLine] = {}
    for script in sorted(folder.glob(f"*dialogs_{lang}.lua")):
        read_script(script, lines)
    for name in sorted(lines.keys() | sounds.keys()):
        line = lines.get(name, ScriptLine("", str(folder)))
        room, sound = sounds.get(name, (place, None))
        yield Spoken(
            iso, CORPUS, f"{CORPUS}-{line.font.removeprefix('font_') or NARRATOR}",
            f"{room}-{name}", f"room/{room}", line.texts[0] if line.texts else "",
            sound or folder, line.where, fault_of(line.texts, sound),
        )  # fmt: skip


def read_script(path: Path, lines: dict[str, ScriptLine]) -> None:
    """Add what ``path`` says to ``lines``: id -> its line."""
    script = decoded(path, path.read_bytes(), REMEDY)
    line: ScriptLine | None = None
    for call in _CALL.finditer(script):
        name, font, _, text = (unquoted(word) for word in call.groups())
        if name is not None:
            where = f"{path}:{script.count(chr(10), 0, call.start()) + 1}"
            line = lines.setdefault(name, ScriptLine(font or "", where))
        elif text is not None and line:
            line.texts.append(text)
            line = None


def unquoted(string: str | None) -> str | None:
    """What a string of Lua holds, white space as single spaces: ``"\\"Oh!\\""`` -> ``"Oh!"``."""
    return string and " ".join(_ESCAPE.sub(_plain, string[1:-1]).split())


def _plain(escape: re.Match) -> str:
    char = escape[1]
    return chr(int(char)) if char.isdigit() else {"n": "\n", "t": "\t", "r": "\r"}.get(char, char)
