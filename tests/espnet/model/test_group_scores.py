"""Figures of each group over a validation: errors as stage 13 counts them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.decoding.greedy import tokens_to_text
from asr_dro_plugin.espnet.model.group_scores import GroupScores, best_path_ids, count_errors
from asr_dro_plugin.espnet.model.model import DROASRModel
from asr_dro_plugin.scoring.error_rates import score
from tests.espnet import tiny

ids_of = {token: index for index, token in enumerate(tiny.TOKENS)}
TEXT_IDS = st.lists(st.integers(4, 8), min_size=1, max_size=8)


def add(scores, groups, losses, errors, chars, infeasible=None):
    flags = None if infeasible is None else torch.tensor(infeasible)
    scores.add(torch.tensor(groups), torch.tensor(losses), errors, chars, flags)


def test_rates_are_of_the_group_and_never_a_mean_of_utterances():
    scores = GroupScores(3)
    add(scores, [0, 0, 2], [1.0, 3.0, 5.0], [1, 0, 5], [2, 8, 4])
    add(scores, [2], [7.0], [1], [8])
    assert scores.stats(["deu", "eng", "fra"]) == pytest.approx({
        "worst_group_cer": 0.5, "macro_cer": 0.3, "worst_group_loss": 6.0,
        "cer_deu": 0.1, "cer_fra": 0.5, "loss_deu": 2.0, "loss_fra": 6.0,
    })  # fmt: skip
    assert scores.num_utts_G.astype(bool).tolist() == [True, False, True]
    assert np.isnan(scores.cer_G).tolist() == [False, True, False]
    scores.reset()
    assert scores.stats(["deu", "eng", "fra"]) == {}


def test_no_number_counts_as_worst():
    scores = GroupScores(2)
    add(scores, [0, 1], [1.0, float("nan")], [0, float("nan")], [5, 5])
    found = scores.stats(["deu", "eng"])
    assert found["worst_group_cer"] == found["cer_eng"] == math.inf
    assert found["worst_group_loss"] == found["loss_eng"] == math.inf
    assert found["cer_deu"] == 0.0


def test_an_utterance_that_cannot_be_aligned_has_errors_but_no_loss():
    scores = GroupScores(1)
    add(scores, [0, 0], [2.0, float("inf")], [1, 4], [4, 4], infeasible=[False, True])
    assert scores.stats(["deu"])["loss_deu"] == 2.0
    assert scores.stats(["deu"])["cer_deu"] == 5 / 8
    assert scores.sums[5].tolist() == [1]


@given(pairs=st.lists(st.tuples(st.sampled_from(["deu", "eng"]), TEXT_IDS, TEXT_IDS), min_size=1))
@settings(max_examples=50, deadline=None)
def test_the_rates_are_those_of_the_scoring_stage(pairs):
    scores, refs, hyps, langs = GroupScores(2), {}, {}, {}
    for number, (lang, ref, hyp) in enumerate(pairs):
        ref, hyp = [ids_of[f"[{lang}]"], *ref], [ids_of["[eng]"], *hyp]
        errors, chars = count_errors([ref], [hyp], tiny.TOKENS, "char")
        add(scores, [["deu", "eng"].index(lang)], [1.0], errors, chars)
        refs[f"u{number}"] = tokens_to_text(ref, tiny.TOKENS, "char")
        hyps[f"u{number}"], langs[f"u{number}"] = tokens_to_text(hyp, tiny.TOKENS, "char"), lang
    expected, found = score(refs, hyps, langs, "none"), scores.stats(["deu", "eng"])
    for lang in expected.groups:
        assert found[f"cer_{lang}"] == pytest.approx(expected.rate(lang, "cer"))
    assert found["macro_cer"] == pytest.approx(expected.macro("cer"))
    worst = expected.rate(expected.worst("cer"), "cer")
    assert found["worst_group_cer"] == pytest.approx(worst)


def test_two_processes_add_up_their_sums():
    one, other, both = GroupScores(2), GroupScores(2), GroupScores(2)
    for scores in (one, both):
        add(scores, [0, 1], [1.0, 2.0], [1, 2], [4, 4])
    for scores in (other, both):
        add(scores, [1], [4.0], [0], [2])
    one.sums = one.sums + other.sums
    assert one.stats(["deu", "eng"]) == both.stats(["deu", "eng"])


def test_an_unknown_symbol_is_one_character_that_never_equals_another():
    unknown = [ids_of["<unk>"]]
    errors, chars = count_errors([unknown, [5]], [unknown, unknown], tiny.TOKENS, "char")
    assert (errors, chars) == ([1, 1], [1, 1])


def test_letters_outside_the_basic_plane_count_once():
    errors, chars = count_errors([[1, 2]], [[1]], ["<blank>", "𐌰", "ऀ"], "char")
    assert (errors, chars) == ([1], [2])


def test_no_hypothesis_is_no_number_of_errors():
    errors, chars = count_errors([[5, 6]], [None], tiny.TOKENS, "char")
    assert math.isnan(errors[0]) and chars == [2]


def test_greedy_reads_its_own_frames_only_and_knows_a_broken_row():
    logits = torch.zeros(3, 4, 5)
    for frame, token in enumerate([2, 2, 0, 3]):
        logits[:, frame, token] = 1.0
    logits[1, 3] = logits[2, 1] = float("nan")
    lengths = torch.tensor([4, 3, 4])
    assert best_path_ids(logits, lengths, blank_id=0) == [[2, 3], [2], None]


@pytest.mark.parametrize("kind", ["ctc", "attention"])
def test_a_model_fills_them_in_evaluation_whatever_the_batches(kind):
    made = tiny.parts(decoder=kind == "attention")
    made["ctc_weight"] = 1.0 if kind == "ctc" else 0.0
    model = DROASRModel(**made, groups=tiny.NAMES, objective="ctc").eval()
    whole = tiny.batch(lengths=(16000, 16000, 16000), labels=(4, 4, 4), group_ids=(0, 0, 2))
    model(**whole)
    together = model.validation.sums.copy()
    model.validation.reset()
    for row in range(3):
        model(**{key: value[row : row + 1] for key, value in whole.items()})
    np.testing.assert_allclose(model.validation.sums, together, rtol=1e-5)
    assert model.validation.num_utts_G.tolist() == [2, 0, 1]
    assert model.validation.sums[2].tolist() == [8, 0, 4]


def test_a_model_of_nan_is_the_worst_there_is_and_no_crash():
    model = DROASRModel(**tiny.parts(), groups=tiny.NAMES, objective="ctc").eval()
    model.ctc.ctc_lo.bias.data[0] = float("nan")
    model(**tiny.batch(group_ids=(0, 1, 1)))
    found = model.validation.stats(tiny.NAMES)
    assert found["worst_group_cer"] == found["macro_cer"] == found["loss_deu"] == math.inf
