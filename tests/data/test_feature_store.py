"""A folder of features is whole, goes on where it was stopped, or is refused in one line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.data import feature_store as store
from asr_dro_plugin.errors import UserError

MATRICES = {f"u{n}": np.full((n + 1, 3), n / 3, np.float16) for n in range(6)}
FACTS = {"key": {"weights": "abc"}, "made_of": "all"}


def write(folder, number, utt_ids, made_by="one"):
    with store.PartWriter(folder, number, made_by, FACTS["key"]) as part:
        for utt_id in utt_ids:
            if utt_id not in part.done:
                part.write([(utt_id, MATRICES[utt_id], 0)])


def whole(folder, made_by=("one",)):
    store.merge(folder, made_by, list(MATRICES), FACTS)
    read = store.read_features(folder / store.FEATS)
    assert {u: m.tolist() for u, m in read.items()} == {u: m.tolist() for u, m in MATRICES.items()}
    assert all(matrix.dtype == np.float16 for matrix in read.values())


def test_parts_are_merged_into_one_set(tmp_path):
    names = list(MATRICES)
    write(tmp_path, 1, names[::2], "one")
    write(tmp_path, 2, names[1::2], "two")
    write(tmp_path, 3, names[:1], "of a run in more parts")
    whole(tmp_path, ("one", "two"))
    assert store.frames_of(tmp_path, names) == {u: len(m) for u, m in MATRICES.items()}
    assert not store.ark_path(tmp_path, 3, "of a run in more parts").exists()
    assert store.key_of_parts(tmp_path) == FACTS["key"]


@settings(max_examples=40, deadline=None)
@given(done=st.integers(0, 6), index_cut=st.integers(0, 200), ark_cut=st.integers(0, 400))
def test_a_part_goes_on_behind_what_is_whole(tmp_path_factory, done, index_cut, ark_cut):
    folder = tmp_path_factory.mktemp("cut")
    write(folder, 1, list(MATRICES)[:done])
    for path, cut in (
        (store.index_path(folder, 1), index_cut),
        (store.ark_path(folder, 1, "one"), ark_cut),
    ):
        with open(path, "r+b") as stream:  # a kill leaves an index behind its archive, a crash both
            stream.truncate(max(0, path.stat().st_size - cut))
    write(folder, 1, list(MATRICES))
    whole(folder)


def test_what_is_finished_is_not_written_again(tmp_path):
    write(tmp_path, 1, ["u0", "u1"])
    before = store.ark_path(tmp_path, 1, "one").read_bytes()
    with open(store.ark_path(tmp_path, 1, "one"), "ab") as stream:
        stream.write(b"u2 NPY half a matrix")
    with store.PartWriter(tmp_path, 1, "one") as part:
        assert part.done == {"u0", "u1"}
    assert store.ark_path(tmp_path, 1, "one").read_bytes() == before


def test_what_something_else_has_made_is_made_anew(tmp_path):
    write(tmp_path, 1, list(MATRICES), "another model")
    old = store.ark_path(tmp_path, 1, "another model")
    assert old.exists()
    with store.PartWriter(tmp_path, 1, "one") as part:
        assert part.done == set() and not old.exists()  # who reads it gets no other model's
    assert store.ark_path(tmp_path, 1, "one").stat().st_size == 0


def refusal(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_half_a_folder_is_refused(tmp_path):
    assert "does not exist" in refusal(store.read_record, tmp_path / "none")
    write(tmp_path, 1, list(MATRICES)[:4])
    assert "is not finished" in refusal(store.read_record, tmp_path)
    assert "lacks the features of 2 of 6" in refusal(whole, tmp_path)
    write(tmp_path, 1, list(MATRICES))
    whole(tmp_path)
    assert "lacks the features of 1 utt" in refusal(store.frames_of, tmp_path, ["u0", "other"])
    with open(store.ark_path(tmp_path, 1, "one"), "r+b") as stream:
        stream.truncate(100)
    assert "feats.1.one.ark is not what" in refusal(store.read_record, tmp_path)
    store.PartWriter(tmp_path, 1, "one")  # from its beginning on nobody takes it for whole
    assert "is not finished" in refusal(store.read_record, tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"ark_sizes": 3}'])
def test_a_damaged_record_is_refused(tmp_path, content):
    (tmp_path / store.RECORD).write_text(content)
    assert "is damaged" in refusal(store.read_record, tmp_path)


def test_what_float16_cannot_hold_is_clipped_and_counted():
    features = np.array([[1.0, 70000.0], [-1e9, 65504.0]], np.float32)
    clipped, count = store.in_float16(features, "u0")
    assert clipped.tolist() == [[1.0, 65504.0], [-65504.0, 65504.0]] and count == 2
    assert "u0" in refusal(store.in_float16, np.array([[np.nan]], np.float32), "u0")


def test_other_sound_is_told_apart(tmp_path):
    ark = tmp_path / "wav.ark"
    ark.write_bytes(b"sound")
    facts = [store.sound_facts({"u0": f"{ark}:3"}, {"u0": length}) for length in ("5", "6")]
    ark.write_bytes(b"other sound")
    facts.append(store.sound_facts({"u0": f"{ark}:3"}, {"u0": "5"}))
    assert len({store.fingerprint(each) for each in facts}) == 3
