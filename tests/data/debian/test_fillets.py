"""asr_dro_plugin/data/debian/fillets.py: the scripts of a game and its actors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.data.debian import fillets
from asr_dro_plugin.errors import UserError

LANGS = {"ces": "cs", "nld": "nl"}


@pytest.fixture
def game(tmp_path):
    folder = tmp_path / "usr/share/games/fillets-ng"
    (folder / "script").mkdir(parents=True)
    return folder


def room(game, name, lang, script, *sounds, prefix=""):
    if script is not None:
        path = game / "script" / name.split("/")[0] / f"{prefix}dialogs_{lang}.lua"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(script.encode() if isinstance(script, str) else script)
    folder = game / "sound" / name / lang
    folder.mkdir(parents=True, exist_ok=True)
    for sound in sounds:
        (folder / f"{sound}.ogg").touch()


def found(root, key="text"):
    return {s.ids[1]: getattr(s, key) for s in fillets.read(root, LANGS)}


def line(name, text, font="font_small"):
    return f'dialogId("{name}", "{font}", "English")\ndialogStr("{text}")\n\n'


def test_a_line_is_spoken_by_the_character_of_its_font(game, tmp_path):
    script = "\n" + line("m-co", "Co je to?") + line("v-loď", "Loď.", "font_big")
    room(game, "airplane", "cs", script + line("x", "Ticho.", ""), "m-co", "v-loď", "x")
    assert found(tmp_path) == {
        "ces_fillets-small-airplane-m-co": "Co je to?",
        "ces_fillets-big-airplane-v-loď": "Loď.",
        "ces_fillets-other-airplane-x": "Ticho.",
    }
    assert set(found(tmp_path, "unit").values()) == {"room/airplane"}
    spoken = next(fillets.read(tmp_path, LANGS))
    assert spoken.source.endswith("dialogs_cs.lua:2") and spoken.audio.parts[-2:] == (
        "cs",
        "m-co.ogg",
    )


def test_comments_escapes_and_calls_over_several_lines_are_read_as_lua_reads_them(game, tmp_path):
    script = r"""
-- dialogId("gone", "font_big", "x") dialogStr("no")
dialogId("a",  'font_big',
    "He said -- \"no\".")
-- a remark
dialogStr(
    "Řekl \"ne\" -- a\ndost\\ \065.")
dialogId("b", "font_big") dialogStr('L\'eau "d\'ici"')
dialogId("c", "font_big", "nothing follows")
dialogId("d", "font_big", "never closed")
dialogStr("oh
dialogId("e", "font_big", "x")
dialogStr("dobře")
"""
    room(game, "cave", "cs", script.replace("\n", "\r\n"), "a", "b", "c", "e")
    assert found(tmp_path) == {
        "ces_fillets-big-cave-a": 'Řekl "ne" -- a dost\\ A.',
        "ces_fillets-big-cave-b": "L'eau \"d'ici\"",
        "ces_fillets-big-cave-c": "",
        "ces_fillets-big-cave-d": "",
        "ces_fillets-big-cave-e": "dobře",
    }


def test_what_makes_no_pair_is_told(game, tmp_path):
    twice = line("b", "Jedna.") + line("b", "Dvě.") + line("c", "Tři.") * 2
    room(game, "cave", "cs", line("a", "Nic.") + twice, "b", "c", "d")
    room(game, "wreck", "nl", None, "e")
    assert found(tmp_path, "fault") == {
        "ces_fillets-small-cave-a": "no recording",
        "ces_fillets-small-cave-b": "two texts for one recording",
        "ces_fillets-small-cave-c": "",
        "ces_fillets-other-cave-d": "no text",
        "nld_fillets-other-wreck-e": "no text",
    }


def test_a_room_has_all_scripts_of_its_folder_and_its_own_languages(game, tmp_path):
    room(game, "share/jokes", "cs", line("v", "Vtip."), "v", prefix="black_")
    room(game, "share/border", "cs", line("k", "Kraj."), "k", prefix="shout_")
    room(game, "cave", "nl", line("n", "Nee."), "n")
    room(game, "cave", "nl_BE", line("n", "Neen."), "n")
    assert found(tmp_path) == {
        "ces_fillets-small-share-jokes-v": "Vtip.",
        "ces_fillets-small-share-border-k": "Kraj.",
        "nld_fillets-small-cave-n": "Nee.",
    }
    units = {"room/share/jokes", "room/share/border", "room/cave"}
    assert set(found(tmp_path, "unit").values()) == units


def test_latin_2_is_refused_with_its_line_and_the_command_that_converts_it(game, tmp_path):
    room(game, "cave", "cs", line("a", "Loď.").encode("iso-8859-2"), "a")
    with pytest.raises(UserError, match=r"cs.lua:2 is not UTF-8.* iconv -f ISO-8859-2 -t UTF-8"):
        found(tmp_path)


def test_a_folder_without_scripts_is_refused(tmp_path):
    with pytest.raises(UserError, match="Add fillets-ng-data, or omit --data_source"):
        found(tmp_path)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1))
def test_any_text_written_as_a_string_of_lua_is_read_back(text):
    written = text.replace("\\", "\\\\").replace('"', '\\"')
    assert fillets.unquoted(f'"{written}"') == text
