"""Latin letters by uroman, as units."""

import re

import pytest

from asr_dro_plugin.text.auxiliary.romanised import Romaniser, units_of


@pytest.fixture(scope="module")
def romanise(uroman) -> Romaniser:
    return Romaniser()


@pytest.mark.parametrize(
    "lang, text, latin",
    [
        ("rus", "щука ещё", "shchuka yeshchyo"),
        ("ell", "γεια σου", "geia sou"),
        ("cmn", "你好 世界", "nihao shijie"),
        ("deu", "zwölf", "zwoelf"),
        ("fra", "l'été", "lete"),
        ("hin", "३१", "31"),
    ],
)
def test_any_script_becomes_small_latin_letters_and_spaces(romanise, lang, text, latin):
    spelled = "".join(" " if unit == "<space>" else unit for unit in romanise(text, lang))
    assert re.fullmatch(r"[a-z0-9 ]+", spelled)
    assert spelled == latin


def test_what_is_no_letter_goes_and_accents_that_were_left_go():
    spelled = ["a", "b", "<space>", "c", "<space>", "d", "<space>", "5"]
    assert units_of("Ab, c\u0327-d  №5 ") == spelled
    assert units_of(" ' ") == []
