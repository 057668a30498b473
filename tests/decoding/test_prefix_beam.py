import math

import numpy as np
import pytest

from asr_dro_plugin.decoding import build
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.decoding.prefix_beam import search
from asr_dro_plugin.decoding.search_frames import search_frames
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from tests.decoding.brute import all_prefixes, random_frames

EVERYTHING = 400  # more than the prefixes of 5 frames and 3 tokens


def build_decoder(config, *rest, **more):
    """As ``build.build_decoder``, of a configuration that names few keys."""
    return build.build_decoder(read_decode_config(config), *rest, **more)


def found(log_probs, lengths, blank_id, beam_size=EVERYTHING, nbest=5, size=None, threshold=1.0):
    frames = search_frames(log_probs, np.array(lengths), blank_id, size, threshold)
    return search(frames, beam_size, nbest)


@pytest.mark.parametrize("seed", range(8))
def test_a_wide_beam_gives_what_the_sum_over_all_paths_gives(seed):
    rng = np.random.default_rng(seed)
    for _ in range(10):  # with 3 utterances a batch: 240 cases
        num_frames, vocab = int(rng.integers(1, 6)), int(rng.integers(2, 5))
        blank_id, lengths = int(rng.integers(vocab)), rng.integers(0, num_frames + 1, 3)
        log_probs = random_frames(rng, 3, num_frames, vocab)
        for row, prefixes in enumerate(found(log_probs, lengths, blank_id)):
            wanted = all_prefixes(log_probs[row, : lengths[row]], blank_id)
            assert prefixes[0].ids == wanted[0][0]
            scores = [math.log(mass) for _, mass in wanted[:5]]
            assert [p.am_score for p in prefixes] == pytest.approx(scores, abs=1e-5)


def test_the_n_best_are_sorted_and_distinct():
    log_probs = random_frames(np.random.default_rng(1), 4, 12, 6)
    for prefixes in found(log_probs, [12, 3, 0, 7], 5, beam_size=8, nbest=8):
        scores = [prefix.score for prefix in prefixes]
        assert scores == sorted(scores, reverse=True)
        assert len({prefix.ids for prefix in prefixes}) == len(prefixes)


def test_a_beam_of_one_gives_one_text():
    # Two alignments of "a" (0.24 each) and the empty text (0.36): the greedy path is not the best.
    frames = np.log(np.array([[[0.6, 0.4], [0.6, 0.4]]], np.float32))
    assert [p.ids for p in found(frames, [2], 0, beam_size=2)[0]] == [(1,), ()]
    assert len(found(frames, [2], 0, beam_size=1)[0]) == 1


def test_a_batch_gives_what_each_utterance_gives_alone():
    log_probs = random_frames(np.random.default_rng(2), 5, 20, 8)
    lengths = [20, 4, 0, 13, 20]
    together = found(log_probs, lengths, 0, beam_size=6, size=4)
    for row, length in enumerate(lengths):
        alone = found(log_probs[row : row + 1], [length], 0, beam_size=6, size=4)[0]
        assert [p.ids for p in alone] == [p.ids for p in together[row]]
        assert [p.score for p in alone] == pytest.approx([p.score for p in together[row]])


def test_an_empty_utterance_is_an_empty_text_of_certainty():
    only = found(np.zeros((1, 0, 3), np.float32), [0], 0)[0]
    assert [(p.ids, p.score) for p in only] == [((), 0.0)]


def test_frames_past_the_length_are_never_read():
    log_probs = random_frames(np.random.default_rng(3), 1, 6, 4)
    spoilt = log_probs.copy()
    spoilt[0, 4:] = np.nan
    assert found(spoilt, [4], 0) == found(log_probs, [4], 0)


def test_a_certain_blank_parts_two_equal_tokens_though_its_frame_is_not_searched():
    rows = [[0.1, 0.9], [0.9995, 0.0005], [0.9995, 0.0005], [0.2, 0.8]]
    log_probs = np.log(np.array([rows], np.float32))
    exact = found(log_probs, [4], 0)[0][0]
    fast = found(log_probs, [4], 0, threshold=0.999)[0][0]
    assert fast.ids == exact.ids == (1, 1)
    # Lost: paths with a token in one of the two frames, 0.001 of each at most.
    assert exact.am_score - 0.004 < fast.am_score <= exact.am_score
    frames = search_frames(log_probs, np.array([4]), 0, None, 0.999)
    assert frames.lengths.tolist() == [2] and frames.parted.tolist() == [[False, True]]


def test_an_impossible_frame_does_not_break_the_search():
    log_probs = np.log(np.array([[[0.5, 0.5], [0.0, 0.0], [0.5, 0.5]]], np.float32) + 1e-45)
    log_probs[0, 1] = -np.inf
    assert len(found(log_probs, [3], 0)[0]) == 1


def test_a_thousand_frames_do_not_underflow():
    log_probs = np.full((1, 1000, 3), math.log(1 / 3), np.float32)
    log_probs[0, ::2] = np.log(np.array([1e-30, 0.5, 0.5], np.float32))
    assert all(math.isfinite(p.score) for p in found(log_probs, [1000], 0, beam_size=4)[0])


def test_nan_is_refused_with_its_item():
    log_probs = np.zeros((2, 3, 3), np.float32)
    log_probs[1, 1, 0] = np.nan
    emission = Emission(log_probs, np.array([3, 3]), 0.02, 0, ["<blank>", "a", "b"])
    decoder = build_decoder({"mode": "beam"}, emission.tokens, "char", 0)
    with pytest.raises(UserError, match="NaN for item 1"):
        decoder(emission)


def test_torch_and_numpy_frames_give_the_same():
    torch = pytest.importorskip("torch")
    log_probs, lengths = random_frames(np.random.default_rng(4), 2, 9, 3), np.array([9, 5])
    tokens = ["a", "b", "<blank>"]
    for mode in ("greedy", "beam"):
        decoder = build_decoder({"mode": mode}, tokens, "char", 2)
        ours = decoder(Emission(log_probs, lengths, 0.02, 2, tokens))
        tensors = torch.from_numpy(log_probs), torch.from_numpy(lengths)
        assert decoder(Emission(*tensors, 0.02, 2, tokens)) == ours
