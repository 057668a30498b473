"""The causes of a language's errors add up to its CER, and each error has one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.scoring.causes import CAUSES, causes_of
from asr_dro_plugin.scoring.causes_table import add_causes, cause_rates
from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.scoring.report import build_report

LETTERS = "abcде é"
TEXT = st.text(LETTERS, max_size=12)
ROWS = st.lists(
    st.tuples(st.sampled_from(["eng", "rus"]), TEXT, TEXT, TEXT, st.floats(0.1, 9)),
    min_size=1, max_size=8,
)  # fmt: skip
SCRIPTS = {"eng": "Latn", "rus": "Cyrl", "srp": "Cyrl", "jpn": "Jpan", "cmn": "Hans",
           "spa": "Latn", "yor": "Latn"}  # fmt: skip
TRAINED = {"eng": {"a": 9}, "rus": {"г": 9}, "spa": {"a": 9}, "cmn": {"我": 9}, "jpn": {"か": 9}}


def scored(rows, hyps=None, **more):
    """The score of (language, reference, hypothesis) rows, ids by number."""
    langs = {f"u{n}": row[0] for n, row in enumerate(rows)}
    refs = {f"u{n}": row[1] for n, row in enumerate(rows)}
    hyps = hyps or {f"u{n}": row[2] for n, row in enumerate(rows)}
    return score(refs, hyps, langs, **more)


def one(lang, ref, hyp, told=None, **known):
    """Errors by cause of one utterance; those that are none are left out."""
    forced = None if told is None else scored([(lang, ref, told)])
    known = {"scripts": SCRIPTS, "trained": TRAINED} | known
    more = {"no_space": {"cmn", "jpn"}}
    found = causes_of(scored([(lang, ref, hyp)], **more), forced, **known)
    return {cause: count for cause, count in found.groups[lang].items() if count}


@given(ROWS, st.booleans(), st.none() | st.sets(st.sampled_from(LETTERS.replace(" ", ""))))
def test_the_causes_add_up_to_the_cer_of_every_language_the_mean_and_the_whole(
    rows, has_forced, unseen
):
    found = scored(rows)
    forced = scored([(lang, ref, told) for lang, ref, _, told, _ in rows]) if has_forced else None
    seconds = {f"u{n}": row[4] for n, row in enumerate(rows)}
    causes = causes_of(found, forced, unseen, seconds, SCRIPTS)
    for name, errors in causes.groups.items():
        assert sum(filter(None, errors.values())) == found.groups[name].cer.errors
    assert sum(filter(None, causes.total.values())) == found.total.cer.errors
    report = build_report(found, "test_x")
    add_causes(report, causes, found)
    for _, cer, rates in cause_rates(report):
        measured = [rate for rate in rates.values() if rate is not None]
        assert sum(measured) == pytest.approx(cer)


@given(ROWS, st.sets(st.sampled_from(LETTERS.replace(" ", ""))))
def test_no_text_of_known_characters_has_fewer_errors_than_the_floor(rows, unseen):
    known = [
        (lang, ref, "".join(char for char in hyp if char not in unseen), "", 1.0)
        for lang, ref, hyp, *_ in rows
    ]
    found = scored(known)
    causes = causes_of(found, unseen=unseen)
    for name, errors in causes.groups.items():
        places = range(len(rows))
        refs = [found.utterances.refs[found.utterances.utt_ids.index(f"u{n}")] for n in places
                if rows[n][0] == name]  # fmt: skip
        floor = sum(char in unseen for ref in refs for char in ref)
        assert errors["unseen"] == floor <= found.groups[name].cer.errors


def test_naming_is_what_goes_where_the_language_is_given():
    assert one("eng", "abcd", "дддд", told="abcx") == {"lid": 3, "rest": 1}
    assert one("eng", "abcd", "abcd", told="abxx") == {"lid": -2, "rest": 2}
    assert one("eng", "abcd", "abxx") == {"rest": 2}  # nobody measured it
    assert "lid" not in one("eng", "abcd", "abxx")


def test_a_language_with_an_utterance_that_cannot_be_told_keeps_all_its_errors():
    rows = [("eng", "abcd", "xxxx"), ("eng", "abcd", "xxxx"), ("rus", "где", "ггг")]
    told = {"u0": "abcd", "u2": "где"}
    causes = causes_of(scored(rows), scored(rows, told), scripts=SCRIPTS)
    assert causes.groups["eng"] == {"lid": None, "unseen": None, "text": 0, "rest": 8}
    assert causes.groups["rus"] == {"lid": 2, "unseen": None, "text": 0, "rest": 0}
    assert causes.total["lid"] is None
    assert causes.total["rest"] == 10


def test_an_utterance_that_could_not_be_decoded_is_no_cost_of_naming():
    rows = [("eng", "abcd", ""), ("eng", "abcd", "xxxx")]
    free, told = {"u1": "xxxx"}, {"u1": "abcd"}
    causes = causes_of(scored(rows, free), scored(rows, told))
    assert causes.groups["eng"] == {"lid": 4, "unseen": None, "text": 0, "rest": 4}


def test_digits_that_training_never_saw_are_the_floor_of_what_is_said_in_words():
    assert one("eng", "7 apples", "seven apples", unseen={"7"}) == {"unseen": 1, "rest": 4}


def test_an_unseen_character_that_was_got_right_costs_nothing():
    """A token list may know more than the training text."""
    assert one("eng", "aéb", "aéb", unseen={"é"}) == {}
    assert one("eng", "aéb", "aeb", unseen={"é"}) == {"unseen": 1}
    assert one("eng", "aéb", "ab", unseen={"é"}) == {"unseen": 1}


def test_the_floor_comes_before_a_broken_text():
    assert one("rus", "где ab", "где", unseen={"a"}) == {"unseen": 1, "text": 2}


@pytest.mark.parametrize(
    ("lang", "ref", "hyp", "errors"),
    [
        ("rus", "открой firefox сейчас", "открой файерфокс сичас", {"text": 9, "rest": 2}),
        ("spa", "hola מים", "hola", {"text": 4}),
        ("cmn", "我去ktv了", "我去了", {"text": 3}),
        ("jpn", "かな漢字カナ", "かな漢字", {"rest": 2}),
        ("jpn", "x軸", "軸", {"text": 1}),
        ("jpn", "ｆｇ", "か", {"text": 2}),
        ("eng", "7 apples", "seven apples", {"rest": 5}),
        ("eng", "naïve", "naive", {"rest": 1}),
        ("yor", "ọ̀rọ̀", "ọrọ", {"rest": 2}),
    ],
)
def test_words_of_another_script_are_told_from_letters_marks_and_digits(lang, ref, hyp, errors):
    assert one(lang, ref, hyp) == errors


def test_a_language_with_two_scripts_has_both_where_its_training_text_has():
    both, cyrillic = {"а": 6, "a": 4}, {"а": 99, "a": 1}
    ref, hyp = "sreća je", "sreca"
    assert one("srp", ref, hyp, trained={"srp": both}) == {"rest": 4}
    assert one("srp", ref, hyp, trained={"srp": cyrillic}) == {"text": 4}
    assert one("srp", ref, hyp) == {"rest": 4}  # all that is known of it is in Latin letters


def test_a_rate_that_nobody_speaks_at_is_a_fault_of_the_text():
    ref, hyp = "a long sentence indeed", "a long"
    assert one("eng", ref, hyp, durations={"u0": 0.5}) == {"text": 16}
    assert one("eng", ref, hyp, durations={"u0": 2.0}) == {"rest": 16}
    assert one("eng", ref, hyp, durations={"u0": 0.0}) == {"text": 16}


def test_a_text_far_shorter_than_its_recording_is_a_fault_where_others_tell_the_rate():
    rows = [("eng", "a sentence of words", "a sentence of words")] * 10 + [("eng", "a", "b")]
    seconds = {f"u{n}": 1.5 for n in range(10)} | {"u10": 10.0}
    causes = causes_of(scored(rows), durations=seconds)
    assert causes.groups["eng"]["text"] == 1
    assert causes.broken == {"eng": [("u10", "0.1 characters/s", 1)]}
    assert causes_of(scored(rows[9:]), durations={"u0": 1.5, "u1": 10}).groups["eng"]["text"] == 0


def test_what_is_recognised_of_an_empty_reference_is_the_rest():
    assert one("eng", "", "abc", durations={"u0": 1.0}) == {"rest": 3}
    assert one("eng", "", "abc", told="") == {"lid": 3}


def test_what_stands_behind_the_shares_is_listed():
    rows = [("rus", "где ab é", "где"), ("rus", "é", "a"), ("eng", "abc", "abc")]
    causes = causes_of(scored(rows), unseen={"é"}, scripts=SCRIPTS, trained=TRAINED)
    assert causes.unseen == {"rus": {"é": 2}}
    assert causes.broken == {"rus": [("u0", "Latin letters", 4)]}


@pytest.mark.parametrize("groups", [None, "telephone"])
def test_of_what_is_no_language_nobody_can_tell_the_script(groups):
    refs = {f"u{n}": "abc" for n in range(99)} | {"u99": "где"}
    langs = groups and dict.fromkeys(refs, groups)
    causes = causes_of(score(refs, {"u99": "г"}, langs), durations={"u99": 1.0})
    assert causes.total == {"lid": None, "unseen": None, "text": 0, "rest": 299}


def test_every_cause_says_what_it_is_and_what_helps():
    for cause in CAUSES.values():
        assert cause.head and cause.meaning and cause.advice.endswith(".")
