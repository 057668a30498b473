"""asr_dro_plugin/text/rules.py: normalisers that a YAML describes."""

import json
import logging
import re
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import (
    get_normalizer,
    label_of,
    lower_no_punct,
    recorded,
    upper_no_punct,
)
from asr_dro_plugin.text.rules import TextRules

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(path.stem for path in ROOT.glob("conf/text_norm_*.yaml"))
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SOME = "aEéİIıßΣςǆ'’-_.,!…()1٣ \u0301\u0327\u0345\u093f\u200c\u200d日한ёЁй½ﬁㄱㅏｶﾞ"
DENSE_TEXT = st.text(st.sampled_from(SOME), max_size=20)
CHARS = st.sampled_from(SOME)
SETS = st.text(CHARS, max_size=4)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "unicode": st.sampled_from(["none", "nfc", "nfkc"]),
        "case": st.sampled_from(["keep", "lower", "upper"]),
        "map": st.dictionaries(CHARS, SETS, max_size=3),
        "punctuation": st.sampled_from(["none", "ascii", "all"])
        | st.fixed_dictionaries(
            {"marks": st.sampled_from(["none", "ascii", "all"])},
            optional={"keep": SETS, "drop": SETS, "space": SETS},
        ),
        "strip_marks": st.sampled_from(["none", "all", "\u0301", "\u0301\u0327"]),
        "keep": st.sampled_from(["a-z", "a-zé'", "ё", "aE-", "a\u0301"]),
        "others": st.sampled_from(["report", "drop", "space"]),
    },
)


def rules(**content):
    return TextRules(content, "x.yaml")


@pytest.fixture(autouse=True)
def recipe(monkeypatch):
    monkeypatch.chdir(ROOT)


@settings(max_examples=400, deadline=None)
@given(
    content=RULES,
    texts=st.lists(DENSE_TEXT, min_size=1, max_size=6),
    lang=st.sampled_from(["", "tur"]),
)
@example({"keep": "a\u0301", "others": "drop"}, ["a.\u0301"], "")
@example({"punctuation": "all", "keep": "a-z", "others": "drop"}, ["e.\u0301"], "")
def test_whatever_the_steps_normalising_twice_is_normalising_once_or_refused(content, texts, lang):
    logging.disable(logging.WARNING)
    try:
        normalize = TextRules(content, "x.yaml")
    except UserError as error:
        assert "\n" not in str(error)
        assume(False)
    finally:
        logging.disable(logging.NOTSET)
    for text in texts:
        once = normalize(text, lang)
        assert normalize(once, lang) == once
        assert once == " ".join(once.split())


@pytest.mark.parametrize("name", SHIPPED)
@given(text=ANY_TEXT | DENSE_TEXT)
def test_the_shipped_ones_are_idempotent(name, text):
    normalize = get_normalizer(f"conf/{name}.yaml")
    once = normalize(text)
    assert normalize(once) == once


@given(text=ANY_TEXT | DENSE_TEXT, lang=st.sampled_from(["", "tur"]))
def test_the_built_in_normalisers_can_be_written_as_steps(text, lang):
    for case, built_in in (("lower", lower_no_punct), ("upper", upper_no_punct)):
        assert rules(case=case, punctuation="all")(text, lang) == built_in(text, lang)


@given(text=ANY_TEXT | DENSE_TEXT | st.text("Don't STOP été-là", max_size=20))
def test_eng_letters_is_deep_speech_2s_regex(text):
    expected = re.sub("[^a-z ]", "", " ".join(text.split()).lower())
    assert get_normalizer("eng_letters")(text) == " ".join(expected.split())


@given(text=st.text("Приве́т, ЁЛКА-по 12 abc йЙи\u0306", max_size=30) | ANY_TEXT)
def test_rus_leaves_nothing_but_the_33_symbols(text):
    symbols = {" ", *map(chr, range(0x430, 0x450))}
    assert len(symbols) == 33
    assert set(get_normalizer("rus")(text, "rus")) <= symbols


def test_rus_maps_yo_parts_at_hyphens_and_drops_the_rest():
    found = get_normalizer("rus")("Ёлка — по-русски! Йод, 123 abc «замо\u0301к»", "rus")
    assert found == "елка по русски йод замок"


@pytest.mark.parametrize(
    ("content", "text", "expected"),
    [
        ({}, "Ab-c  d!", "Ab-c d!"),
        ({"unicode": "nfkc"}, "ﬁn ½ ｶﾞ", "fin 1⁄2 ガ"),
        ({"unicode": "nfc"}, "ﬁ cafe\u0301", "ﬁ café"),
        ({"unicode": "none"}, "cafe\u0301", "cafe\u0301"),
        ({"case": "upper"}, "straße", "STRASSE"),
        ({"map": {"ё": "е", "&": " und ", "’": "'"}}, "ёж&d’or", "еж und d'or"),
        ({"punctuation": "ascii"}, "don't, «so» – x.y", "dont «so» – xy"),
        ({"punctuation": {"drop": "«»", "space": "-/"}}, "«a»-b/c, d", "a b c, d"),
        ({"punctuation": {"marks": "all", "keep": "?!"}}, "So? No, x-y!", "So? No x y!"),
        ({"punctuation": {"marks": "all", "drop": "'"}}, "don't 'so'", "dont so"),
        ({"strip_marks": "all"}, "café naïve e\u0323\u0301", "cafe naive e"),
        ({"strip_marks": "\u0301"}, "замо\u0301к йод café ộ\u0301", "замок йод cafe ộ"),
        ({"keep": "a-z", "others": "drop"}, "ab1 c\td", "ab c d"),
        ({"keep": "a-z", "others": "space"}, "ab1c", "ab c"),
        ({"keep": "a-z"}, "ab1c", "ab1c"),
        ({"keep": "a-z-", "others": "drop"}, "a-b_c", "a-bc"),
    ],
)  # fmt: skip
def test_a_step_does_what_it_says(content, text, expected):
    assert rules(**content)(text) == expected


@given(text=DENSE_TEXT, content=RULES)
def test_no_combining_mark_is_lost_unless_a_step_says_so(text, content):
    """Composition and case may change them, dropping may not."""
    content = {k: v for k, v in content.items() if k in ("unicode", "case", "punctuation")}

    def marks(string):
        string = unicodedata.normalize("NFC", string).replace("İ", "i")  # its dot is the small i's
        decomposed = unicodedata.normalize("NFKD", string)
        return sum(unicodedata.category(char).startswith("M") for char in decomposed)

    if not isinstance(content.get("punctuation", ""), dict) and content.get("case") != "upper":
        assert marks(rules(**content)(text)) >= marks(text)


def test_stripping_marks_warns_when_it_is_chosen(caplog):
    rules(strip_marks="all")
    assert "x.yaml strips combining marks (strip_marks: all)" in caplog.text
    caplog.clear()
    rules(case="lower", punctuation="all")("e\u0301")
    assert not caplog.records


def test_an_alphabet_that_takes_a_mark_off_its_letter_warns_once(caplog):
    normalize = rules(keep="а-я", others="drop")
    assert normalize("за\u0301мо\u0301к замо\u0301к") == "замок замок"
    assert [record.getMessage() for record in caplog.records] == [
        "x.yaml: others: drop takes the combining mark U+0301 COMBINING ACUTE ACCENT off its "
        "letter. Add it to keep, or say so with strip_marks."
    ]


def test_a_language_has_its_own_steps_over_the_default_ones():
    normalize = rules(
        case="lower", map={"ё": "е"}, keep="а-я", others="drop",
        languages={"kaz": {"keep": "а-яәғқңөұүһі", "map": {"ҳ": "һ"}}, "eng": {"keep": "a-z"},
                   "tur": {"keep": "a-zçğıöşü"}},
    )  # fmt: skip
    assert normalize("Қазақ Ёлка ҳ", "kaz") == "қазақ елка һ"
    assert normalize("Қазақ Ёлка") == "аза елка"
    assert normalize("Ёлка Yes", "eng") == "yes"
    assert normalize("IŞIK İĞNE", "tur") == "ışık iğne"
    assert normalize("Ёлка", "bul") == "елка"


def test_the_case_can_be_the_vocabularys(tmp_path):
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("<blank>\n<unk>\n[eng]\nA\nB\n<space>\n<sos/eos>\n")
    normalize = rules(case="vocabulary", vocabulary=str(tokens))
    assert normalize("a bad cab") == "A BAD CAB"
    assert normalize.content == {"name": "x", "case": "upper"}
    with pytest.raises(UserError, match="needs vocabulary: FILE"):
        rules(case="vocabulary")


@settings(max_examples=60, deadline=None)
@given(content=RULES, own=RULES, text=DENSE_TEXT)
@example({"case": "lower", "punctuation": "all"}, {"case": "keep", "punctuation": "none"}, "A-b")
def test_what_is_recorded_builds_the_same_normaliser_again(content, own, text):
    logging.disable(logging.WARNING)
    try:
        normalize = TextRules({**content, "languages": {"fra": own}}, "a/b.yaml")
    except UserError:
        assume(False)
    finally:
        logging.disable(logging.NOTSET)
    again = get_normalizer(normalize.inline)
    assert json.loads(normalize.inline)["name"] == "b"
    assert (again.inline, again.label) == (normalize.inline, normalize.label)
    assert all(again(text, lang) == normalize(text, lang) for lang in ("", "fra", "tur"))


def test_a_file_a_short_name_and_the_content_are_one_normaliser(tmp_path, monkeypatch):
    by_name, by_file = get_normalizer("rus"), get_normalizer("conf/text_norm_rus.yaml")
    assert by_name.inline == by_file.inline == recorded("rus") == recorded(by_name.inline)
    assert re.fullmatch(r"rus#[0-9a-f]{8}", label_of("rus"))
    assert recorded("nfc") == label_of("nfc") == "nfc"
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/text_norm_mine.yaml").write_text("case: upper\n")
    monkeypatch.chdir(tmp_path)
    assert get_normalizer("mine")("a") == "A"
    assert get_normalizer("rus")("Ё") == "е"  # those of the checkout are still there
    monkeypatch.chdir("/")
    monkeypatch.setenv("ASR_DRO_CALLER_DIR", str(tmp_path))
    assert get_normalizer("conf/text_norm_mine.yaml")("a") == "A"


@given(text=st.text("Ёлка-по я, 1!'’ x/…", max_size=30))
def test_rus_is_a_chain_of_regular_expressions(text):
    expected = re.sub("[-/,…!]", " ", text.lower().replace("ё", "е"))
    expected = re.sub("[^а-я ]", "", expected)
    assert get_normalizer("rus")(text) == re.sub(" +", " ", expected).strip()


def test_a_result_tells_what_its_text_went_through(tmp_path):
    from asr_dro_plugin.scoring.error_rates import score
    from asr_dro_plugin.scoring.report import build_report

    found = score({"a": "Ёж"}, {"a": "еж"}, {"a": "rus"}, "conf/text_norm_rus.yaml")
    report = build_report(found, "test")
    assert found.total.cer.rate == 0 and report["normalizer"] == label_of("rus")
    (tmp_path / "score.json").write_text(json.dumps(report))
    again = get_normalizer(str(tmp_path / "score.json"))
    assert again.inline == recorded("rus")
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(UserError, match="old.json holds no normaliser"):
        get_normalizer(str(tmp_path / "old.json"))


def test_a_language_models_text_is_recorded_by_content(tmp_path):
    from asr_dro_plugin.lm.text import Sentences, collect, collected

    (tmp_path / "text.txt").write_text("Ёж, да!\n")
    collect(Sentences([tmp_path / "text.txt"], "conf/text_norm_rus.yaml"), tmp_path / "lm")
    norm, texts = collected(tmp_path / "lm")
    assert norm == recorded("rus") and texts["joint"].read_text() == "еж да\n"


def test_another_content_has_another_label():
    labels = {rules(**content).label for content in ({}, {"case": "lower"}, {"keep": "a"})}
    assert len(labels) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{cse: lower}", "'cse' is no step. Did you mean 'case'"),
        ("{case: low}", "case is 'low'. Did you mean 'lower'"),
        ("{punctuation: {marks: al}}", "punctuation.marks is 'al'. Did you mean 'all'"),
        ("{punctuation: {kep: x}}", "'kep' is no step. Did you mean 'keep'"),
        ("{punctuation: {drop: '-', keep: '-'}}", "names '-' under drop and keep"),
        ("{case: lower, case: upper}", "--text_norm, line 1: key 'case' appears twice"),
        ("{case: lower, map: {Ё: е}}", "map has 'Ё', which the other steps turn into 'ё'"),
        ("{map: {a: b, b: c}}", "map gives 'b' for 'a', which the other steps turn into 'c'"),
        ("{map: {ab: c}}", "Left stands one character"),
        ("{map: {1: one}}", "quote digits"),
        ("{map: [a]}", "map must be a mapping"),
        ("{keep: A-Z, others: drop, case: lower}", "keep has 'A', which .* into nothing"),
        ("{keep: z-a}", "the range z-a runs backwards. Write a-z"),
        ("{keep: 5}", "keep must be text"),
        ("{others: drop}", "others: drop needs keep"),
        ("{keep: '', others: drop}", "others: drop needs keep"),
        ("{strip_marks: abc}", "must be none, all, or combining marks"),
        ("{languages: [a]}", "languages must be a mapping"),
        ("{languages: {eng: lower}}", "eng must be a mapping"),
        ("{languages: {eng: {cas: lower}}}", "eng: 'cas' is no step. Did you mean 'case'"),
        ("{a", "is not valid YAML"),
        ("russ", "--text_norm russ is not known. Did you mean 'rus'"),
        ("conf/none.yaml", "--text_norm conf/none.yaml does not exist"),
    ],
)
def test_what_makes_no_rule_is_one_line(text, words):
    with pytest.raises(UserError, match=words) as caught:
        get_normalizer(text)
    assert "\n" not in str(caught.value)


def test_every_ascii_mark_is_dropped_by_ascii():
    assert rules(punctuation="ascii")(string.punctuation + "a") == "a"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_first_line_of_a_shipped_one_says_what_it_is(name):
    first = Path(f"conf/{name}.yaml").read_text("utf-8").splitlines()[0]
    assert first.startswith("# ") and len(first) > 30
    assert get_normalizer(f"conf/{name}.yaml").name == name.removeprefix("text_norm_")
