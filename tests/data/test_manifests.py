"""asr_dro_plugin/data/manifests.py: tables of utterances under our column names."""

import json

import pytest

from asr_dro_plugin.data.manifests import parse_columns, read_rows
from asr_dro_plugin.errors import UserError

ROWS = [
    {"utt_id": "a1", "lang": "eng", "path": "a 1.wav", "transcript": "Hello, you"},
    {"utt_id": "b1", "lang": "rus", "path": "b1.wav", "transcript": "Привет"},
]


def as_tsv(path):
    lines = ["utt_id\tlang\tpath\ttranscript"]
    lines += ["\t".join(row.values()) for row in ROWS]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n\r\n".join(lines).encode() + b"\n")


def as_csv(path):
    lines = ["utt_id,lang,path,transcript"]
    lines += [",".join(f'"{value}"' for value in row.values()) for row in ROWS]
    path.write_text("\n\n".join(lines) + "\n\n")


def as_jsonl(path):
    path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), "utf-8")


@pytest.mark.parametrize(
    ("name", "write"), [("t.tsv", as_tsv), ("t.csv", as_csv), ("t.jsonl", as_jsonl)]
)
def test_all_kinds_of_tables_give_the_same_rows(tmp_path, name, write):
    write(tmp_path / name)
    assert [row for _, row in read_rows(tmp_path / name, {})] == ROWS


def test_line_numbers_are_those_of_the_file(tmp_path):
    as_tsv(tmp_path / "t.tsv")
    assert [number for number, _ in read_rows(tmp_path / "t.tsv", {})] == [3, 5]


def test_the_usual_names_and_named_columns_are_understood(tmp_path):
    (tmp_path / "t.jsonl").write_text(
        '{"audio_filepath": "x.wav", "text": "hi", "Language": "eng", "duration": 1.5, "who": "s"}'
    )
    ((_, row),) = read_rows(tmp_path / "t.jsonl", parse_columns("speaker=who"))
    assert row == {
        "path": "x.wav", "transcript": "hi", "lang": "eng", "duration": "1.5", "speaker": "s",
    }  # fmt: skip


def test_a_named_column_wins_over_the_usual_name(tmp_path):
    (tmp_path / "t.tsv").write_text("path\ttext\traw_text\nx.wav\tone\tOne!\n")
    ((_, row),) = read_rows(tmp_path / "t.tsv", {"transcript": "raw_text"})
    assert row["transcript"] == "One!"
    assert row["text"] == "one"


def test_tabs_are_plain_so_quotes_are_text(tmp_path):
    (tmp_path / "t.tsv").write_text('path\ttext\nx.wav\t"Yes\ny.wav\tNo"\n')
    assert [row["transcript"] for _, row in read_rows(tmp_path / "t.tsv", {})] == ['"Yes', 'No"']


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.tsv", b"path\ttext\nx.wav\n", r"t\.tsv:2 has 1 fields, the header has 2"),
        ("t.tsv", b"path\ttext\n\nx.wav\ta\tb\n", r"t\.tsv:3 has 3 fields"),
        ("t.tsv", b"path\twords\nx\ty\n", r"t\.tsv:2 has no column for transcript.*--columns"),
        ("t.tsv", b"path\ttext\nx\t\xff\n", r"t\.tsv:2 is not UTF-8"),
        ("t.tsv", b"path\tpath\ttext\nx\ty\tz\n", r"t\.tsv:1 names column 'path' twice"),
        ("t.tsv", b"\n", r"t\.tsv is empty"),
        ("t.csv", b'path,text\nx,"a"b\n', r"t\.csv:2 cannot be read"),
        ("t.jsonl", b'{"path": "x", "text": "y"}\n{"path"\n', r"t\.jsonl:2 is not JSON"),
        ("t.jsonl", b"[1]\n", r"t\.jsonl:1 is not a JSON object"),
        ("t.jsonl", b'{"path": "x", "text": "y"}\n{"path": "x"}\n', r"t\.jsonl:2 has no column"),
    ],
)
def test_malformed_tables_are_errors_with_file_and_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_rows(tmp_path / name, {}))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("speker=x", "Did you mean 'speaker'"),
        ("speaker", "is not OUR_NAME=HEADER"),
        ("speaker=", "is not OUR_NAME=HEADER"),
    ],
)
def test_wrong_column_options_are_refused(option, message):
    with pytest.raises(UserError, match=message):
        parse_columns(option)


def test_a_named_column_that_is_not_there_is_refused_with_a_suggestion(tmp_path):
    as_tsv(tmp_path / "t.tsv")
    with pytest.raises(UserError, match=r"no column 'langg'.*Did you mean 'lang'"):
        list(read_rows(tmp_path / "t.tsv", {"lang": "langg"}))
