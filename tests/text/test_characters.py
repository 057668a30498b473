"""text/characters.py: characters counted, stray ones told."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.text.characters import (
    Characters,
    characters_of,
    is_foreign,
    judge,
    remarks,
    script_of,
    scripts_of_language,
    symbols_kept,
    write_characters,
)

HRV = ["dobar dan svima", "žuta ćela đak", "kako ste?", "što je cijena 5 %", "šuma čeka"]


def counted(texts, lang="hrv"):
    found = Characters()
    for number, text in enumerate(texts):
        found.add(text, lang, f"hrv_{number:03d}")
    return found


def verdicts(rows):
    return {row.char: row.verdict for row in rows}


def test_the_question_mark_that_escaped_is_told_however_frequent_it_is():
    for times in (1, 500):
        rows = judge(counted(HRV * times), {"hrv": "Latn"})
        assert verdicts(rows)["?"] == "mark"
        told = next(line for line in remarks(rows, "train/text") if "no letters" in line)
        assert f"'?' U+003F QUESTION MARK, {times} times, first in hrv_002" in told


def test_a_letter_of_another_script_is_stray_and_those_of_the_language_are_not():
    rows = judge(counted([*HRV, "do\u0430br o"]), {"hrv": "Latn"})  # a Cyrillic a
    found = verdicts(rows)
    assert found["\u0430"] == "stray letter"
    assert {found[char] for char in "abžćđčš "} == {"kept"}
    assert "'\u0430' U+0430 CYRILLIC SMALL LETTER A, 1 times, first in hrv_005" in " ".join(
        remarks(rows, "t")
    )


@pytest.mark.parametrize(
    ("lang", "code", "text", "stray"),
    [
        ("jpn", "Jpan", "カタカナ ひらがな 漢字 ー々", ""),
        ("kor", "Kore", "한국어 漢", ""),
        ("hin", "Deva", "हिन्दी x", "x"),
        ("fas", "Arab", "می\u200cخواهم", ""),
        ("srp", "", "добар дан свима x", "x"),  # no code: the text itself tells
        ("eng", "", "don't", ""),
        ("cmn", "Hans", "你好 ａ", "ａ"),
    ],
)
def test_scripts_are_those_of_the_language(lang, code, text, stray):
    rows = judge(counted([text] * 3, lang), {lang: code} if code else None)
    assert "".join(row.char for row in rows if row.verdict == "stray letter") == stray


def test_a_letter_that_is_at_home_elsewhere_is_kept_and_told():
    found = Characters()
    found.add("привет", "rus", "a")
    found.add("hello", "eng", "b")
    assert set(verdicts(judge(found)).values()) == {"kept"}
    found.add("hеllo world", "eng", "c")  # a Cyrillic letter
    rows = judge(found)
    assert verdicts(rows)["е"] == "kept"
    assert remarks(rows, "t") == [
        "t: letters of another script than their language's: "
        "'е' U+0435 CYRILLIC SMALL LETTER IE 1 times in eng"
    ]


def test_scripts_of_texts_in_many_languages_that_nobody_told_are_all_at_home(tmp_path):
    lines = ["ein neuer tag am meer"] * 9 + ["привет"] * 6 + ["one о"]  # a tenth is Cyrillic
    rows = judge(counted(lines * 9, ""))
    assert "stray letter" not in verdicts(rows).values()
    rows = judge(counted(["ein neuer tag am meer"] * 9 + ["one о"], ""))
    assert verdicts(rows)["о"] == "stray letter"


def test_languages_are_listed_without_the_unknown_one(tmp_path):
    found = counted(["ab"], "")
    found.add("ab", "eng", "eng_a")
    write_characters(tmp_path / "characters.tsv", judge(found))
    cells = (tmp_path / "characters.tsv").read_text().splitlines()[1].split("\t")
    assert cells[4] == "eng"


def test_with_an_allow_list_nothing_else_gets_a_token():
    rows = judge(counted(HRV), allow=set("abcdeijkmnorstuvšžčćđl"))
    assert set(symbols_kept(rows)) <= set("abcdeijkmnorstuvšžčćđl")
    assert verdicts(rows)["?"] == "not allowed" and verdicts(rows)[" "] == "kept"


def test_rare_characters_get_no_token():
    rows = judge(counted(["aaa b", "a b c"]), {"hrv": "Latn"}, min_count=2)
    assert symbols_kept(rows) == ["a", "b"]
    assert verdicts(rows)["c"] == "rare"


@given(st.lists(st.text("abcčšž? \u0301д", min_size=1, max_size=9), max_size=9), st.randoms())
def test_the_order_of_the_texts_changes_nothing(texts, shuffle):
    table = {f"hrv_{number}": text for number, text in enumerate(texts)}
    mixed = list(table.items())
    shuffle.shuffle(mixed)
    assert judge(characters_of(dict(mixed))) == judge(characters_of(table))


def test_rows_are_by_frequency_then_code_point_and_the_file_says_all(tmp_path):
    rows = judge(characters_of({"eng_b": "[eng] ba a", "deu_a": "[deu] ab ä"}))
    assert [(row.char, row.count) for row in rows] == [("a", 3), (" ", 2), ("b", 2), ("ä", 1)]
    write_characters(tmp_path / "characters.tsv", rows)
    lines = (tmp_path / "characters.tsv").read_text().splitlines()
    assert lines[0].split("\t") == [
        "character", "code_point", "name", "count", "languages", "first_utt", "verdict",
    ]  # fmt: skip
    assert "<space>\tU+0020\tSPACE\t2\tdeu eng\tdeu_a\tkept" in lines
    assert "ä\tU+00E4\tLATIN SMALL LETTER A WITH DIAERESIS\t1\tdeu\tdeu_a\tkept" in lines


def test_memory_is_that_of_the_distinct_characters():
    found = Characters()
    rng = random.Random(0)
    for number in range(3000):
        found.add("".join(rng.choices("abc ", k=30)), "eng", f"u{number:05d}")
    assert len(found.first) == 4 and sum(map(len, found.counts.values())) == 4
    assert found.num_utts == 3000


def test_the_script_of_wide_and_narrow_forms_is_that_of_the_letter():
    found = [script_of(char) for char in "aдａｶ中"]
    assert found == ["LATIN", "CYRILLIC", "LATIN", "KATAKANA", "CJK"]


def test_a_language_is_at_home_in_the_script_of_its_code_and_in_those_of_its_text():
    cyrillic = scripts_of_language({"a": 1, "а": 99}, "Cyrl")
    assert cyrillic == {"CYRILLIC"}
    assert scripts_of_language({"a": 30, "а": 70}, "Cyrl") == {"CYRILLIC", "LATIN"}
    assert scripts_of_language({}, "") == set()
    foreign = [char for char in "aа7'é\u0301ｆ漢" if is_foreign(char, cyrillic)]
    assert foreign == ["a", "é", "ｆ", "漢"]
