import numpy as np
import pytest

from asr_dro_plugin.decoding.lm_tuning import EmissionStore
from asr_dro_plugin.emissions import Emission

TOKENS = ["a", "b", "<blank>"]


def emission(lengths, seed):
    log_probs = np.random.default_rng(seed).normal(-3, 2, (len(lengths), max(lengths), 3))
    return Emission(log_probs.astype(np.float32), np.array(lengths), 0.02, 2, TOKENS)


def test_what_is_stored_comes_back_in_half_precision_and_in_batches(tmp_path):
    store, added = EmissionStore(tmp_path), {}
    for number, lengths in enumerate([(5, 3), (40, 1, 0)]):
        one = emission(lengths, number)
        names = [f"u{number}{row}" for row in range(len(lengths))]
        store.add(names, one)
        added |= {name: one.log_probs[row, :n] for row, (name, n) in enumerate(zip(names, lengths))}
    batches = list(store.batches(0.2))  # 10 padded frames
    assert [utt_ids for utt_ids, _ in batches] == [["u10"], ["u00", "u01"], ["u11", "u12"]]
    for utt_ids, found in batches:
        assert (found.blank_id, found.frame_shift, found.tokens) == (2, 0.02, tuple(TOKENS))
        for row, utt_id in enumerate(utt_ids):
            ours = found.log_probs[row, : found.lengths[row]]
            assert ours == pytest.approx(added[utt_id], rel=1e-3)
    assert len(store) == 5 and store.path.stat().st_size == 2 * 3 * store.num_frames == 2 * 3 * 49


def test_an_empty_store_has_no_batch(tmp_path):
    assert list(EmissionStore(tmp_path).batches(10.0)) == []
