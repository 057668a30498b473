"""Error rates per language, macro, worst and total; odd ids and texts are counted, none crashes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.edit_distance import EditCounts
from asr_dro_plugin.scoring.error_rates import score

LANGS = {"e1": "eng", "e2": "eng", "r1": "rus"}
REFS = {"e1": "[eng] ab cd", "e2": "[eng] abc", "r1": "[rus] где"}


def test_perfect_hypotheses_score_zero_and_full_lid():
    found = score(REFS, REFS, LANGS)
    assert found.macro("cer") == found.macro("wer") == found.total.cer.errors == 0
    assert found.macro("lid") == found.total.lid == 1.0


def test_hand_values_of_two_languages():
    hyps = {"e1": "[eng] ab cx", "e2": "[rus] abc", "r1": "[rus] г"}
    found = score(REFS, hyps, LANGS)
    assert found.groups["eng"].cer == EditCounts(1, 0, 0, 8)  # "ab cd" has 5 characters
    assert found.groups["eng"].wer == EditCounts(1, 0, 0, 3)
    assert found.groups["rus"].cer == EditCounts(0, 2, 0, 3)
    assert found.macro("cer") == pytest.approx((1 / 8 + 2 / 3) / 2)
    assert found.total.cer.rate == pytest.approx(3 / 11)
    assert (found.worst("cer"), found.worst("wer"), found.worst("lid")) == ("rus", "rus", "eng")
    assert found.groups["eng"].lid == 0.5


@pytest.mark.parametrize("hyp", ["ab cd", "[rus] ab cd", "ab cd [eng]", "[eng][rus] ab cd"])
def test_a_missing_wrong_or_stray_tag_counts_in_lid_alone(hyp):
    found = score({"e1": REFS["e1"]}, {"e1": hyp}, LANGS)
    assert found.total.cer.errors == found.total.wer.errors == 0
    assert found.total.lid == float(hyp.startswith("[eng]"))


def test_a_tag_without_space_is_still_a_tag():
    assert score({"e1": "[eng] ab"}, {"e1": "[eng]ab"}, LANGS).total.lid == 1.0


def test_without_tags_there_is_no_lid_rather_than_zero():
    found = score({"e1": "ab"}, {"e1": "ab"}, LANGS)
    assert not found.has_lid
    assert found.metrics == ("cer", "wer")


def test_an_unknown_symbol_is_one_wrong_character():
    for hyp in ("a<unk>c", "a⁇c"):
        for normalizer in ("none", "lower_no_punct"):
            found = score({"e1": "abc"}, {"e1": hyp}, LANGS, normalizer)
            assert found.total.cer == EditCounts(1, 0, 0, 3)


def test_both_sides_are_normalised_by_name():
    refs, hyps = {"e1": "Don’t  stop, now!"}, {"e1": "don't stop now"}
    assert score(refs, hyps, LANGS).total.cer.errors == 0
    plain = score(refs, hyps, LANGS, "none")
    assert plain.total.cer == EditCounts(2, 2, 0, 16)  # D ’ replaced, "," "!" deleted
    assert plain.normalizer == "none"


def test_composed_and_decomposed_letters_are_equal():
    assert score({"e1": "caf\u00e9"}, {"e1": "cafe\u0301"}, LANGS).total.cer.errors == 0


def test_spaces_count_as_characters_once():
    assert score({"e1": "a  b"}, {"e1": "ab"}, LANGS).total.cer == EditCounts(0, 1, 0, 3)


def test_a_missing_hypothesis_is_all_deletions_and_listed():
    found = score(REFS, {"e1": REFS["e1"], "r1": REFS["r1"]}, LANGS)
    assert found.missing == ("e2",)
    assert found.groups["eng"].cer == EditCounts(0, 3, 0, 8)
    assert found.groups["eng"].lid == 0.5


def test_an_extra_hypothesis_is_listed_and_counts_for_nothing():
    found = score(REFS, REFS | {"x9": "[eng] many many words"}, LANGS)
    assert found.extra == ("x9",)
    assert found.total.cer.errors == 0
    assert found.total.num_utts == 3


@pytest.mark.parametrize(
    ("ref", "hyp", "cer", "wer"),
    [
        ("a b", "", EditCounts(0, 3, 0, 3), EditCounts(0, 2, 0, 2)),
        ("", "a b", EditCounts(0, 0, 3, 0), EditCounts(0, 0, 2, 0)),
        ("", "", EditCounts(), EditCounts()),
        ("[eng]", "[eng]", EditCounts(), EditCounts()),
        ("...", "?", EditCounts(), EditCounts()),
    ],
)
def test_empty_texts_are_defined(ref, hyp, cer, wer):
    found = score({"e1": ref}, {"e1": hyp}, LANGS)
    assert (found.total.cer, found.total.wer) == (cer, wer)
    assert found.macro("cer") == (1.0 if cer.errors else 0.0)


def test_no_hypothesis_at_all_is_all_deletions():
    assert score(REFS, {}, LANGS).total.cer.rate == 1.0


def test_seconds_are_added_up_where_they_are_known():
    assert score(REFS, REFS, LANGS).total.duration is None
    found = score(REFS, REFS, LANGS, durations={"e1": 1.5, "e2": 2.0, "r1": 3.0})
    assert found.groups["eng"].duration == 3.5
    assert found.total.duration == 6.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"references": {}}, "no utterance"),
        ({"hypotheses": {"z": "a"}}, "share no utterance id .*same set"),
        ({"languages": {"e1": "eng"}}, r"utt2lang lacks 2 of 3 .*first: e2"),
        ({"durations": {"e1": 1.0}}, r"utt2dur lacks 2 of 3"),
        ({"languages": LANGS | {"e2": "rus"}}, r"e2 is tagged \[eng\], but utt2lang says rus"),
        ({"normalizer": "lower_no_punkt"}, "Did you mean 'lower_no_punct'"),
    ],
)
def test_contradictions_are_errors_with_the_first_case(changes, words):
    with pytest.raises(UserError, match=words):
        score(**({"references": REFS, "hypotheses": REFS, "languages": LANGS} | changes))


def test_brackets_that_name_no_language_of_the_set_are_no_damage():
    found = score({"e1": "[hes] ab"}, {"e1": "ab"}, LANGS)
    assert found.total.cer.errors == 0
    assert not found.has_lid


def test_five_files_give_the_macro_and_corpus_rates_of_the_worked_example():
    """Macro over files .094444 (WER) and .028023 (CER); of the corpus 4/49 and 6/317."""
    refs, hyps = {}, {}
    for utt_id, words, chars, wrong in (
        ("f1", 8, 41, (0, 9)), ("f2", 9, 41, (0, 1)), ("f3", 9, 47, (0, 1)),
        ("f4", 11, 90, ()), ("f5", 12, 98, ()),
    ):  # fmt: skip
        refs[utt_id] = ref = sentence(words, chars)
        hyps[utt_id] = "".join("z" if i in wrong else char for i, char in enumerate(ref))
    found = score(refs, hyps, {utt_id: utt_id for utt_id in refs})
    assert round(found.macro("wer"), 6) == 0.094444
    assert round(found.macro("cer"), 6) == 0.028023
    assert (found.total.wer.errors, found.total.wer.ref) == (4, 49)
    assert (found.total.cer.errors, found.total.cer.ref) == (6, 317)


@given(
    texts=st.lists(
        st.tuples(st.sampled_from(["eng", "rus"]), st.text("ab ", max_size=8),
                  st.none() | st.text("ab ", max_size=8)),
        min_size=1, max_size=8,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_total_is_the_sum_and_macro_lies_between_best_and_worst(texts):
    refs = {str(i): ref for i, (_, ref, _) in enumerate(texts)}
    hyps = {str(i): hyp for i, (_, _, hyp) in enumerate(texts) if hyp is not None}
    found = score(refs, hyps, {str(i): lang for i, (lang, _, _) in enumerate(texts)})
    assert found.total.cer == sum((g.cer for g in found.groups.values()), EditCounts())
    assert found.total.num_utts == len(texts)
    rates = [found.rate(lang, "cer") for lang in found.groups]
    assert min(rates) - 1e-12 <= found.macro("cer") <= max(rates) + 1e-12
    assert found.rate(found.worst("cer"), "cer") == max(rates)


def sentence(num_words, num_chars):
    """``num_words`` words of letters, ``num_chars`` characters with the spaces."""
    letters = num_chars - num_words + 1
    lengths = [letters // num_words + (i < letters % num_words) for i in range(num_words)]
    return " ".join("a" * length for length in lengths)
