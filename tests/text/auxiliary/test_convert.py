"""Texts of many languages in one process: what becomes of them, and what is said of the rest."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.auxiliary.convert import convert, tool_of

TEXTS = {
    "b": ("fra", "[fra] le chat"),
    "a": ("jpn", "[jpn] 世界"),
    "c": ("eng", "the cat"),
    "e": ("eng", "привет"),
    "d": ("eng", "[eng] ..."),
    "f": ("fra", ""),
}


def converted(kind, texts=TEXTS):
    tables = ({u: row[column] for u, row in texts.items()} for column in (1, 0))
    return convert(kind, *tables, "train")


def test_every_text_has_units_in_the_tables_order(espeak, recipe):
    units, _ = converted("phonemes")
    assert list(units) == list(TEXTS) and all(units.values())
    assert units["b"] == ["l", "ə", "ʃ", "a"] and units["c"] == ["ð", "ə", "k", "æ", "t"]
    assert units["d"] == units["f"] == ["<unk>"]


def test_the_order_of_the_texts_changes_nothing(espeak, recipe):
    backwards = dict(reversed(TEXTS.items()))
    assert converted("phonemes", backwards)[0] == converted("phonemes")[0]


def test_what_keeps_its_letters_is_told_with_the_languages_name(espeak, recipe, caplog):
    units, kept = converted("phonemes")
    assert units["a"] == ["世", "界"] and units["e"] == [*"привет"]
    kept.tell("espeak-ng 9", "train")
    assert caplog.messages == [
        "train: espeak-ng 9 does not read jpn (1): letters stay.",
        "train: 1 words of eng are not in its voice's script: letters stay (привет).",
    ]


def test_romanised_texts_need_no_table_of_languages(uroman):
    units, kept = converted("romanised")
    assert units["a"] == [*"shijie"] and units["e"] == [*"privet"]
    assert not kept.languages and not kept.words and not kept.texts


def test_a_tool_says_its_version_and_another_kind_is_refused(espeak):
    assert tool_of("phonemes") == f"espeak-ng {espeak.version}"
    with pytest.raises(UserError, match="--aux_text is phonemes or romanised, not 'ipa'"):
        tool_of("ipa")


def test_a_tool_that_is_not_here_is_named_with_how_it_comes(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match="Latin letters need uroman, which is not here: .*romanised"
    ):
        tool_of("romanised")
