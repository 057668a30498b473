"""``metrics.jsonl``: whole lines, read while they are written, cut where a run goes on."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.experiment.metrics import Record, cut_records, read_records


def record(epoch=1, batches=10, whole=False, phase="train", **values):
    return Record(phase, epoch, batches // 2, batches, whole, 5.0, values or {"loss": 1.5})


def write(path, records):
    path.write_text("".join(f"{r.to_json()}\n" for r in records), encoding="utf-8")


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@given(st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), max_size=4))
def test_a_record_survives_its_line(values):
    one = Record("valid", 3, 7, 14, True, 2.5, values)
    line = one.to_json()
    assert Record.from_json(line) == one and len(line.splitlines()) == 1


def test_what_is_no_number_is_null_and_nan_again():
    line = Record("train", 1, 1, 1, True, 0.0, {"loss": math.nan, "cer_x": math.inf}).to_json()
    assert json.loads(line)["values"] == {"loss": None, "cer_x": None}
    assert all(math.isnan(value) for value in Record.from_json(line).values.values())


@pytest.mark.parametrize("line", ["", "{", "[]", "3", '{"values": {}}', '{"values": 3}', "{}"])
def test_a_line_of_something_else_is_a_value_error(line):
    with pytest.raises(ValueError):
        Record.from_json(line)


def test_a_file_cut_at_any_byte_gives_its_whole_lines(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, [record(batches=10, cer_ñ=0.5), record(batches=20)])
    data = path.read_bytes()
    first = data.index(b"\n")
    for size in range(len(data)):
        path.write_bytes(data[:size])
        found = [r.batches for r in read_records(path)]
        assert found == [10, 20][: (size >= first) + (size >= len(data) - 1)]


LINES = [
    record(1, 10), record(1, 20), record(1, 20, True), record(1, 20, True, "valid"),
    record(2, 30), record(2, 40), record(2, 40, True), record(2, 40, True, "valid"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("epoch", "batches", "num_kept"),
    [(1, 0, 0), (1, 15, 1), (1, 20, 2), (2, 20, 4), (2, 39, 5), (2, 40, 6), (3, 40, 8)],
)
def test_what_is_beyond_the_checkpoint_is_cut_off(tmp_path, epoch, batches, num_kept):
    path = tmp_path / "metrics.jsonl"
    write(path, LINES)
    with path.open("a") as stream:
        stream.write('{"phase": "tr')  # killed here
    cut_records(path, epoch, batches)
    assert list(read_records(path)) == LINES[:num_kept]
    assert path.read_bytes().endswith(b"\n") or num_kept == 0


def test_a_file_that_is_right_is_not_written_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    cut_records(path, 1, 0)
    assert not path.exists()
    write(path, LINES)
    before = path.stat().st_ino
    cut_records(path, 3, 40)
    assert path.stat().st_ino == before
