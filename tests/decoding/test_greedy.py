"""Greedy decoding collapses as CTC says, whatever the blank's column, and spells what it found."""

from itertools import groupby

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.decoding.greedy import best_paths, greedy, speller, tokens_to_text
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError

BLANKS = pytest.mark.parametrize("blank_id", [0, 1, 3], ids=["first", "middle", "last"])
SYMBOLS = {0: "_abc", 1: "a_bc", 3: "abc_"}


def emission_of(paths, blank_id, num_tokens, library="numpy", num_frames=None):
    """An emission whose likeliest symbols are ``paths``; padding frames hold NaN."""
    num_frames = num_frames or max([len(path) for path in paths], default=0)
    log_probs = np.full((len(paths), num_frames, num_tokens), np.nan, dtype=np.float32)
    rng = np.random.default_rng(0)
    for row, path in enumerate(paths):
        log_probs[row, : len(path)] = rng.uniform(-9, -5, (len(path), num_tokens))
        log_probs[row, np.arange(len(path)), path] = -0.1
    lengths = np.array([len(path) for path in paths], dtype=np.int64)
    if library == "torch":
        log_probs, lengths = torch.from_numpy(log_probs), torch.from_numpy(lengths)
    return Emission(log_probs, lengths, 0.02, blank_id, [str(i) for i in range(num_tokens)])


def decode(paths, blank_id, library):
    symbols = SYMBOLS[blank_id]
    ids = [[symbols.index(char) for char in path] for path in paths]
    found = greedy(emission_of(ids, blank_id, 4, library))
    return ["".join(symbols[i] for i in row) for row in found]


@BLANKS
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_hand_made_paths_collapse_as_ctc_says(blank_id, library):
    paths = ["a_a", "aa_a", "____", "abcc", "abbb", "", "_a_", "aab_bb_", "cccccc", "a"]
    texts = ["aa", "aa", "", "abc", "ab", "", "a", "abb", "c", "a"]
    assert decode(paths, blank_id, library) == texts


@BLANKS
def test_what_lies_past_an_utterances_end_changes_nothing(blank_id):
    symbols = SYMBOLS[blank_id]
    ids = [symbols.index(char) for char in "ab_b"]
    alone = greedy(emission_of([ids], blank_id, 4))
    padded = greedy(emission_of([ids, ids * 3], blank_id, 4, num_frames=40))
    assert padded[0] == alone[0]


@given(data=st.data(), num_tokens=st.integers(1, 6), library=st.sampled_from(["numpy", "torch"]))
def test_it_equals_the_definition_merge_then_drop_blanks(data, num_tokens, library):
    blank_id = data.draw(st.integers(0, num_tokens - 1))
    path = st.lists(st.integers(0, num_tokens - 1), max_size=12)
    paths = data.draw(st.lists(path, min_size=1, max_size=4))
    expected = [[token for token, _ in groupby(path) if token != blank_id] for path in paths]
    assert greedy(emission_of(paths, blank_id, num_tokens, library)) == expected


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_empty_batches_and_zero_frames_give_nothing(library):
    assert greedy(emission_of([], 0, 4, library)) == []
    assert greedy(emission_of([[], []], 0, 4, library)) == [[], []]


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_nan_in_an_utterances_own_frames_is_an_error_not_a_text(library):
    emission = emission_of([[1, 2], [1, 2, 3]], 0, 4, library)
    emission.log_probs[1, 0, 2] = float("nan")
    with pytest.raises(UserError, match="NaN for item 1"):
        greedy(emission)


@pytest.mark.parametrize(
    ("token_type", "symbols", "text"),
    [
        ("char", "[eng] <space> h i <space> y o u", "[eng] hi you"),
        ("char", "[eng] h i", "[eng] hi"),
        ("char", "h i [rus] y o", "hi [rus] yo"),
        ("char", "<space> h <space> <space> i <space>", "h i"),
        ("char", "c a f <unk> <sos/eos>", "caf<unk>"),
        ("char", "", ""),
        ("char", "[eng]", "[eng]"),
        ("bpe", "▁ [ita] ▁ci ao ▁a ▁ tutti", "[ita] ciao a tutti"),
        ("bpe", "[ita] ciao ▁<unk> <sos/eos>", "[ita] ciao <unk>"),
        ("word", "[spa] hola mundo <unk> <sos/eos>", "[spa] hola mundo <unk>"),
    ],
)
def test_tokens_are_spelled_as_text(token_type, symbols, text):
    tokens = symbols.split()
    assert tokens_to_text(range(len(tokens)), tokens, token_type) == text


def test_an_unknown_token_type_is_refused():
    with pytest.raises(UserError, match="Give one of char, bpe, word"):
        tokens_to_text([], [], "phone")


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_path_is_scored_within_the_utterance_only(library):
    emission = emission_of([[1, 1, 0, 2], [2]], 0, 4, library)
    paths = best_paths(emission)
    assert [[path.ids for path in nbest] for nbest in paths] == [[(1, 2)], [(2,)]]
    assert [nbest[0].score for nbest in paths] == pytest.approx([-0.4, -0.1])
    assert paths[0][0].am_score == paths[0][0].score and paths[0][0].lm_score is None


@given(ids=st.lists(st.integers(0, 6)), token_type=st.sampled_from(["char", "bpe", "word"]))
def test_the_speller_spells_as_tokens_to_text(ids, token_type):
    tokens = ["<blank>", "<unk>", "[eng]", "<space>", "\u2581a", "b", "<sos/eos>"]
    assert speller(tokens, token_type)(ids) == tokens_to_text(ids, tokens, token_type)
