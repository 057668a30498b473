"""A data directory of pieces is valid and names the recordings' own files."""

import json

import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.data.segments_dir import (
    Recording,
    Segment,
    recording_ids,
    to_thousandths,
    write_segments_dir,
)
from asr_dro_plugin.data.validate import Checks, validate
from asr_dro_plugin.data.wav_scp import read_items
from asr_dro_plugin.errors import UserError
from tests.sounds import noise, write_flac


@pytest.fixture
def recordings(tmp_path):
    paths = [write_flac(tmp_path / name, noise(3.0)) for name in ("a talk.flac", "b.flac")]
    segments = [
        (Segment(0.1, 1.5, "one two"), Segment(1.5, 3.0, "three", ("too short",))),
        (Segment(0.0, 2.25, "four"),),
    ]
    ids = recording_ids(paths)
    found = {n: Recording(p, 3.0, s) for (n, p), s in zip(ids.items(), segments)}
    return found | {"c": Recording("c.flac", None, (), "damaged")}


def test_it_is_valid_and_read_by_the_recipe(recordings, tmp_path):
    write_segments_dir(tmp_path / "data", recordings, "eng")
    assert validate(tmp_path / "data").problems == []
    items = {item.utt_id: item for item in read_items(tmp_path / "data", allow_pipes=False)}
    assert list(items) == ["a_talk-00000100-00001500", "a_talk-00001500-00003000",
                           "b-00000000-00002250"]  # fmt: skip
    assert items["a_talk-00001500-00003000"].start == 1.5
    assert items["b-00000000-00002250"].path == str(tmp_path / "b.flac")
    assert read_table(tmp_path / "data/text")["a_talk-00000100-00001500"] == "one two"
    assert set(read_table(tmp_path / "data/utt2lang").values()) == {"eng"}


def test_pieces_with_faults_may_be_left_out_but_are_listed(recordings, tmp_path):
    write_segments_dir(tmp_path / "data", recordings, keep=False)
    assert len(read_table(tmp_path / "data/segments")) == 2
    summary = json.loads((tmp_path / "data/summary.json").read_text())
    assert (summary["pieces"], summary["with_faults"], summary["without_pieces"]) == (3, 1, 1)
    assert summary["by_recording"]["a_talk"]["segments"][1]["faults"] == ["too short"]
    assert summary["by_recording"]["c"]["fault"] == "damaged"


def test_without_texts_it_is_valid_where_texts_may_be_empty(recordings, tmp_path):
    bare = {"b": Recording(recordings["b"].path, 3.0, (Segment(0, 1),))}
    write_segments_dir(tmp_path / "data", bare)
    assert validate(tmp_path / "data", Checks(allow_empty_text=True)).problems == []


def test_two_files_of_one_name_are_refused():
    with pytest.raises(UserError, match="x/a.wav and y/a.flac would both be the recording 'a'"):
        recording_ids(["x/a.wav", "y/a.flac"])


def test_rounded_times_stay_inside_the_piece():
    assert to_thousandths(0.12345, 2.99999) == (0.124, 2.999)
    assert to_thousandths(0.1 + 0.2, 3.0) == (0.3, 3.0)
