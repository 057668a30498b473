"""What is no text in a JSON manifest became one (True, ['a', 'b'], nan), and a table that is no
UTF-8 was refused by a byte, or read as nonsense where UTF-16 has no mark."""

import gzip
import json
import lzma
import math
import shutil
import subprocess
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.base.kaldi_io import read_lines, read_table
from asr_dro_plugin.data.manifests import read_rows
from asr_dro_plugin.data.validate import validate
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.read_texts import read_hypotheses, read_reference
from tests.sounds import data_dir

GOOD = {"path": "a.wav", "text": "hi", "id": "u1", "lang": "eng", "speaker": "ana"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=3,
)
TABLE = "path\ttext\na.wav\tПривет, ты\nb.wav\tда\n" * 3


def rows_of(folder, *rows):
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return [row for _, row in read_rows(folder / "m.jsonl", {})]


@pytest.mark.parametrize("column", ["path", "text", "id", "lang"])
@pytest.mark.parametrize("value", [7, 1.5, True, ["a"], {"bytes": "x"}], ids=str)
def test_what_is_no_text_is_refused_with_file_and_line(tmp_path, column, value):
    with pytest.raises(UserError, match=r"m\.jsonl:2 has ") as caught:
        rows_of(tmp_path, GOOD, {**GOOD, column: value})
    assert f"'{column}'" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("column", ["path", "text", "id", "lang", "speaker"])
@pytest.mark.parametrize("value", [None, math.nan])
def test_null_and_what_pandas_writes_for_it_are_nothing(tmp_path, column, value):
    (row,) = rows_of(tmp_path, {**GOOD, column: value})
    ours = {"text": "transcript", "id": "utt_id"}.get(column, column)
    assert row[ours] == ""


def test_numbers_are_numbers_where_they_are_meant(tmp_path):
    (row,) = rows_of(tmp_path, {**GOOD, "duration": 1.5, "offset": 2, "speaker": 103, "age": 5})
    assert (row["duration"], row["offset"], row["speaker"], row["age"]) == ("1.5", "2", "103", "5")
    for value in (True, [1.5], 103.0):
        with pytest.raises(UserError, match=r"m\.jsonl:1 has .*'speaker'.*whole number"):
            rows_of(tmp_path, {**GOOD, "speaker": value})
    for value in (True, [1.5], {"seconds": 1}):
        with pytest.raises(UserError, match=r"m\.jsonl:1 has .*'duration'"):
            rows_of(tmp_path, {**GOOD, "duration": value})


def test_a_key_twice_and_a_whole_document_are_refused_with_a_remedy_that_works(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.jsonl").write_text('{"path": "a", "text": "x", "text": "y"}\n')
    with pytest.raises(UserError, match=r"t\.jsonl:1 gives 'text' twice"):
        list(read_rows("t.jsonl", {}))
    (tmp_path / "t.json").write_text(json.dumps([GOOD, {**GOOD, "text": "é"}], indent=1))
    with pytest.raises(UserError, match="one object a line") as caught:
        list(read_rows("t.json", {}))
    run_remedy(caught.value)
    assert [row["transcript"] for _, row in read_rows("t.converted.json", {})] == ["hi", "é"]


@given(value=VALUES)
@settings(deadline=None)
def test_whatever_a_value_is_the_text_is_that_text_or_refused(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("values")
    try:
        (row,) = rows_of(folder, {**GOOD, "text": value})
    except UserError as error:
        assert "\n" not in str(error) and not isinstance(value, str)
    else:
        assert row["transcript"] == (value if isinstance(value, str) else "")


def run_remedy(error):
    """The command that a refusal ends with, run as it is printed."""
    assert "\n" not in str(error)
    command = str(error).split(": ")[-1].split("  ")[0]
    subprocess.run(["bash", "-c", command], check=True)


@pytest.mark.parametrize("name", ["t.tsv", "with space.tsv"])
@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
    ],
)
def test_wide_encodings_are_named_and_the_command_converts_them(
    tmp_path, monkeypatch, name, encoding, told
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(TABLE.encode(encoding))
    with pytest.raises(UserError, match=f"is {told} text, not UTF-8") as caught:
        list(read_rows(name, {}))
    run_remedy(caught.value)
    made = name.replace(".tsv", ".converted.tsv")
    assert read_lines(made) == TABLE.splitlines()


def compressed(path, kind):
    raw = TABLE.encode()
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("t.tsv", raw)
    else:
        path.write_bytes({"gzip": gzip.compress, "xz": lzma.compress}[kind](raw))


@pytest.mark.parametrize(("kind", "program"), [("gzip", "gzip"), ("xz", "xz"), ("zip", "unzip")])
@pytest.mark.parametrize("name", ["t.tsv", "t.tsv.gz"])
def test_compressed_tables_are_named_and_the_command_unpacks_them(
    tmp_path, monkeypatch, kind, program, name
):
    monkeypatch.chdir(tmp_path)
    compressed(tmp_path / name, kind)
    with pytest.raises(UserError, match=f"is a {kind} file, not text") as caught:
        list(read_rows(name, {}))
    assert program in str(caught.value)
    if shutil.which(program):
        run_remedy(caught.value)
        made = "t.converted.tsv" if name == "t.tsv" else "t.tsv"
        assert read_lines(made) == TABLE.splitlines()


def test_a_workbook_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        archive.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(UserError, match="is an Excel workbook.*CSV UTF-8"):
        list(read_rows(tmp_path / "t.xlsx", {}))


def test_every_reader_of_text_tells_it(tmp_path):
    data = data_dir(tmp_path / "data", {"eng_a": "a.wav"})
    raw = "eng_a hello there\n".encode("utf-16-le")
    (data / "text").write_bytes(raw)
    for read in (read_table, read_reference, read_hypotheses):
        with pytest.raises(UserError, match="text is UTF-16LE text, not UTF-8"):
            read(data / "text")
    (tmp_path / "hyp").write_bytes(b"\x1f\x8b" + bytes(range(128, 200)))
    with pytest.raises(UserError, match="hyp is a gzip file"):
        read_hypotheses(tmp_path / "hyp")
    assert any("text:1 is UTF-16LE text, not UTF-8" in line for line in validate(data).problems)


def test_what_is_utf_8_is_read_as_before(tmp_path):
    for content in (
        "a b\n",
        "\ufeffa b\n",
        "я\u2028я日本語 x\n",
        "a\tb\0c\n" + "x y\n" * 30,
        "PK\n",
    ):
        (tmp_path / "t").write_bytes(content.encode())
        assert read_lines(tmp_path / "t")[0] == content.removeprefix("\ufeff").split("\n")[0]


def test_other_encodings_of_one_byte_keep_their_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.tsv").write_bytes("path\ttext\na.wav\tété\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"t\.tsv:2 is not UTF-8 \(byte 0xe9\)") as caught:
        list(read_rows("t.tsv", {}))
    run_remedy(caught.value)
    assert read_lines("t.converted.tsv")[1] == "a.wav\tété"
