from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.data.dump import _part_of
from asr_dro_plugin.data.wav_scp import read_items
from tests.sounds import data_dir


def test_segments_come_recording_by_recording_in_the_order_of_time(tmp_path):
    utts = ["eng_a", "eng_b", "eng_c", "eng_d"]
    data_dir(tmp_path, dict.fromkeys(utts, "x"), utt2speed=dict.fromkeys(utts, "1.1"))
    (tmp_path / "wav.scp").write_text("one 1.wav\ntwo 2.wav\n")
    (tmp_path / "segments").write_text(
        "eng_a two 5 6\neng_b one 3 4\neng_c two 1 -1\neng_d one 10 11\n"
    )
    items = read_items(tmp_path, allow_pipes=False)
    assert [item.utt_id for item in items] == ["eng_b", "eng_d", "eng_c", "eng_a"]
    assert [item.path for item in items] == ["1.wav", "1.wav", "2.wav", "2.wav"]
    assert items[2].start == 1 and items[2].end is None and items[0].speed == 1.1


@given(st.integers(0, 50), st.integers(1, 20))
def test_the_parts_are_all_items_once_in_order(num_items, num_parts):
    items = list(range(num_items))
    parts = [_part_of(items, part, num_parts) for part in range(1, num_parts + 1)]
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
