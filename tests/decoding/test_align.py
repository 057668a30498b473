"""Forced alignment finds the best path of its text, in a band as without one."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.decoding import align
from asr_dro_plugin.decoding.align import Trellis, align_tokens, frames_needed, mean_score
from asr_dro_plugin.errors import UserError


def random_log_probs(num_frames, num_tokens, seed=0):
    scores = np.random.default_rng(seed).normal(0, 3, (num_frames, num_tokens))
    return (scores - np.log(np.exp(scores).sum(-1, keepdims=True))).astype(np.float32)


def sharp(path, num_tokens, seed=0):
    """(T, V) log probabilities that are sure of one symbol a frame."""
    log_probs = np.log(np.random.default_rng(seed).uniform(1e-5, 1e-4, (len(path), num_tokens)))
    log_probs[np.arange(len(path)), path] = math.log(0.99)
    return log_probs.astype(np.float32)


def path_score(log_probs, spans, blank_id):
    path = np.full(len(log_probs), blank_id)
    for span in spans:
        path[span.start : span.end] = span.id
    return float(log_probs[np.arange(len(path)), path].astype(np.float64).sum())


def collapsed(path, blank_id):
    return [token for token, _ in itertools.groupby(path) if token != blank_id]


def best_by_trying_all(log_probs, ids, blank_id):
    """The score of the best of all V ** T paths."""
    frames, columns = log_probs.shape
    paths = itertools.product(range(columns), repeat=frames)
    rows = np.arange(frames)
    return max(
        log_probs[rows, list(path)].astype(np.float64).sum()
        for path in paths
        if collapsed(path, blank_id) == list(ids)
    )


@st.composite
def problems(draw, max_frames, max_tokens):
    """(seed, T, V, blank_id, ids) that can be aligned."""
    columns = draw(st.integers(2, max_tokens))
    blank_id = draw(st.integers(0, columns - 1))
    token = st.sampled_from([i for i in range(columns) if i != blank_id])
    ids = draw(st.lists(token, min_size=1, max_size=max_frames))
    least = frames_needed(ids)
    if least > max_frames:
        ids, least = ids[:1], 1
    return draw(st.integers(0, 999)), draw(st.integers(least, max_frames)), columns, blank_id, ids


@settings(deadline=None, max_examples=60)
@given(problem=problems(max_frames=6, max_tokens=4))
def test_the_path_is_the_best_of_all_that_spell_the_text(problem):
    seed, frames, columns, blank_id, ids = problem
    log_probs = random_log_probs(frames, columns, seed)
    spans = align_tokens(log_probs, ids, blank_id)
    found = path_score(log_probs, spans, blank_id)
    assert found == pytest.approx(best_by_trying_all(log_probs, ids, blank_id), abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(problem=problems(max_frames=700, max_tokens=6))
def test_it_scores_what_torchaudios_alignment_scores(problem):
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchaudio.functional")
    seed, frames, columns, blank_id, ids = problem
    log_probs = random_log_probs(frames, columns, seed)
    _, scores = functional.forced_align(
        torch.from_numpy(log_probs)[None], torch.tensor([ids]), blank=blank_id
    )
    spans = align_tokens(log_probs, ids, blank_id)
    assert path_score(log_probs, spans, blank_id) == pytest.approx(
        float(scores.double().sum()), abs=1e-3
    )


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 999), frames=st.integers(1, 400), columns=st.integers(2, 9),
       blank_id=st.integers(0, 1))  # fmt: skip
def test_a_greedy_text_has_the_frames_that_the_trellis_finds(seed, frames, columns, blank_id):
    log_probs = random_log_probs(frames, columns, seed)
    ids = collapsed(log_probs.argmax(axis=1).tolist(), blank_id)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(align, "Trellis", None)  # it is not asked
        spans = align_tokens(log_probs, ids, blank_id)
        patched.undo()
        patched.setattr(align, "_frame_wise", lambda *problem: None)
        assert align_tokens(log_probs, ids, blank_id) == spans


@settings(deadline=None, max_examples=60)
@given(problem=problems(max_frames=300, max_tokens=4))
def test_spans_are_the_tokens_in_order_and_do_not_overlap(problem):
    seed, frames, columns, blank_id, ids = problem
    spans = align_tokens(random_log_probs(frames, columns, seed), ids, blank_id)
    assert [span.id for span in spans] == ids
    assert all(span.start < span.end for span in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))
    assert spans[0].start >= 0 and spans[-1].end <= frames
    for a, b in itertools.pairwise(spans):
        assert a.id != b.id or a.end < b.start  # a blank parts equal tokens


@pytest.mark.parametrize("blank_id", [0, 2, 3], ids=["first", "middle", "last"])
def test_a_sharp_emission_gives_its_own_frames(blank_id):
    a, b = [i for i in range(4) if i != blank_id][:2]
    path = [blank_id, a, a, blank_id, a, b, b, b, blank_id]
    spans = align_tokens(sharp(path, 4), [a, a, b], blank_id)
    assert [(s.id, s.start, s.end) for s in spans] == [(a, 1, 3), (a, 4, 5), (b, 5, 8)]
    assert mean_score(spans) == pytest.approx(math.log(0.99), abs=1e-5)


def test_nothing_to_say_is_an_empty_alignment():
    assert align_tokens(random_log_probs(5, 3), [], 0) == []
    assert align_tokens(np.zeros((0, 3), np.float32), [], 0) == []


def test_just_enough_frames_are_enough():
    spans = align_tokens(random_log_probs(5, 3), [1, 1, 2, 1], 0)
    assert [(s.start, s.end) for s in spans] == [(0, 1), (2, 3), (3, 4), (4, 5)]


def test_too_few_frames_name_both_numbers():
    with pytest.raises(UserError, match="4 frames are too few for 4 tokens, which need 5"):
        align_tokens(random_log_probs(4, 3), [1, 1, 2, 1], 0)
    with pytest.raises(UserError, match="0 frames are too few for 1 tokens"):
        align_tokens(np.zeros((0, 3), np.float32), [1], 0)


@pytest.mark.parametrize("value", [-np.inf, np.nan])
def test_a_text_that_the_model_excludes_is_one_clear_line(value):
    log_probs = random_log_probs(9, 3)
    log_probs[:, 2] = value
    with pytest.raises(UserError, match="No path through the model's output spells the text"):
        align_tokens(log_probs, [1, 2], 0)


@pytest.mark.parametrize("ids", [[3], [-1], [0]])
def test_ids_that_are_no_tokens_are_the_callers_fault(ids):
    with pytest.raises(ValueError):
        align_tokens(random_log_probs(9, 3), ids, 0)


def spoken(num_tokens, columns, seed=0, silence=40):
    """A path of frames with long and short blanks, and its tokens (1..columns - 1)."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, columns, num_tokens).tolist()
    path = [0] * silence
    for number, token in enumerate(ids):
        path += [token] * int(rng.integers(1, 3)) + [0] * int(rng.integers(1, 6))
        path += [0] * silence if number % 500 == 250 else []
    return path, ids


@pytest.fixture
def banded(monkeypatch):
    """Alignment in a band of so many positions to begin with."""

    def align_in_band(band, *problem):
        with monkeypatch.context() as patched:
            patched.setattr(align, "EXACT", 0)
            patched.setattr(align, "BAND", band)
            patched.setattr(align, "_frame_wise", lambda *problem: None)
            return align_tokens(*problem)

    return align_in_band


def test_a_band_finds_what_the_whole_trellis_finds(banded):
    path, ids = spoken(1500, 30)
    log_probs = sharp(path, 30)
    in_band = Trellis(log_probs, np.array(ids), 0, 256)
    assert in_band.reached_the_end and (in_band.path() >= 0).any() and not in_band.touched_an_edge
    assert banded(256, log_probs, ids, 0) == align_tokens(log_probs, ids, 0)


def test_back_pointers_that_are_computed_again_are_the_same(monkeypatch):
    log_probs, ids = random_log_probs(1000, 9), np.random.default_rng(1).integers(1, 9, 300)
    kept = align_tokens(log_probs, ids, 0)
    monkeypatch.setattr("asr_dro_plugin.decoding.align.KEPT", 0)
    assert align_tokens(log_probs, ids, 0) == kept


def test_a_band_that_is_too_narrow_is_doubled(banded):
    """Half a minute of text that nobody says: the likeliest position falls behind the band."""
    path, ids = spoken(1200, 30)
    unsaid = np.random.default_rng(7).integers(1, 30, 300).tolist()
    given = [*ids[:600], *unsaid, *ids[600:]]
    log_probs = sharp(path, 30)
    lost = Trellis(log_probs, np.array(given), 0, 64)
    assert not lost.reached_the_end  # what the doubling must mend
    assert banded(64, log_probs, given, 0) == align_tokens(log_probs, given, 0)


def test_a_text_that_does_not_follow_its_audio_is_refused(banded, monkeypatch):
    path, ids = spoken(600, 30)
    monkeypatch.setattr(align, "MAX_BAND", 64)
    with pytest.raises(UserError, match="does not follow its audio"):
        banded(64, sharp(path, 30), ids[::-1], 0)
