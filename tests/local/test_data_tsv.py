"""local/data_tsv.py: any table of utterances becomes Kaldi directories."""

import json
import random
from pathlib import Path

import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from tests.local.conftest import contents, refusal
from tests.shared_files import RECORDINGS
from tests.sounds import noise, write_flac

HEADER = "utt_id\tlang\tsplit\tpath\tduration\tspeaker\ttranscript"
SETS = ("train", "dev", "test")


def write_rows(folder, rows, header=HEADER, name="utts.tsv"):
    """A table in ``folder`` and the sound files that it names."""
    for row in rows:
        write_flac(folder / row["path"], noise(0.3, seed=int(Path(row["path"]).stem)))
    columns = header.split("\t")
    lines = [header, *("\t".join(row[column] for column in columns) for row in rows)]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / name


def make_rows(count=12, langs=("eng", "rus"), speakers=4):
    return [
        {
            "utt_id": f"s{n % speakers}-{n:03d}", "lang": langs[n % len(langs)],
            "split": SETS[n // len(langs) % 3], "path": f"{n}.flac", "duration": "",
            "speaker": f"s{n % speakers}", "transcript": ("Hello, you", "Привет!")[n % 2],
        }
        for n in range(count)
    ]  # fmt: skip


def ids_by_set(data, corpus="tsv"):
    return {name: set(read_table(data / f"{name}_{corpus}" / "text")) for name in SETS}


def test_the_table_shared_with_this_project_is_read_as_it_stands(prepare):
    table = RECORDINGS / "utts.tsv"
    if not table.exists():
        pytest.skip(f"{table} is not here (set ASR_DRO_SHARED)")
    done = prepare("--corpus", "tsv", "--source", str(table))
    assert done.returncode == 0, done.stderr
    counts = {name: len(ids) for name, ids in ids_by_set(prepare.folder / "data").items()}
    assert counts == {"train": 1164, "dev": 404, "test": 373}
    assert "dropped 0" not in done.stderr


def test_a_table_becomes_three_sets_with_measured_durations(prepare, tmp_path):
    table = write_rows(tmp_path, make_rows())
    done = prepare("--corpus", "tsv", "--source", table)
    assert done.returncode == 0, done.stderr
    train = prepare.folder / "data" / "train_tsv"
    assert read_table(train / "text")["rus_s1-001"] == "[rus] привет"
    assert read_table(train / "utt2spk")["rus_s1-001"] == "rus_s1"
    assert read_table(train / "utt2category")["rus_s1-001"] == "rus"
    assert set(read_table(train / "utt2dur").values()) == {"0.300"}
    assert read_table(train / "wav.scp")["rus_s1-001"] == str(tmp_path / "1.flac")


def test_preparing_twice_gives_the_same_files(prepare, tmp_path):
    table = write_rows(tmp_path, make_rows())
    prepare("--corpus", "tsv", "--source", table)
    first = contents(prepare.folder / "data")
    prepare("--corpus", "tsv", "--source", table)
    assert contents(prepare.folder / "data") == first


def test_nemo_json_lines_with_offsets_become_segments(prepare, tmp_path):
    write_flac(tmp_path / "long.flac", noise(2.0))
    rows = [
        {"audio_filepath": "long.flac", "text": "one", "lang": "eng", "offset": start,
         "duration": 0.5, "split": name}
        for start, name in ((0.0, "train"), (0.5, "train"), (1.0, "dev"), (1.5, "test"))
    ]  # fmt: skip
    manifest = tmp_path / "m.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    done = prepare("--corpus", "tsv", "--source", manifest)
    assert done.returncode == 0, done.stderr
    train = prepare.folder / "data" / "train_tsv"
    assert set(read_table(train / "segments").values()) == {
        "rec-0000001 0.000 0.500", "rec-0000001 0.500 1.000",
    }  # fmt: skip


def test_columns_are_named_by_option_and_group_by_takes_any(prepare, tmp_path):
    rows = [
        {**row, "sex": "fm"[n % 2], "words": row["transcript"]} for n, row in enumerate(make_rows())
    ]
    table = write_rows(tmp_path, rows, "utt_id\tlang\tsplit\tpath\tsex\twords")
    columns = ["--columns", "transcript=words"]
    done = prepare("--corpus", "tsv", "--source", table, *columns, "--group_by", "sex")
    assert done.returncode == 0, done.stderr
    groups = read_table(prepare.folder / "data" / "train_tsv" / "utt2category")
    assert set(groups.values()) == {"f", "m"}


def test_a_table_in_one_language_takes_it_from_langs(prepare, tmp_path):
    table = write_rows(tmp_path, make_rows(), "utt_id\tsplit\tpath\ttranscript")
    assert prepare("--corpus", "tsv", "--source", table, "--langs", "ita").returncode == 0
    langs = read_table(prepare.folder / "data" / "train_tsv" / "utt2lang")
    assert set(langs.values()) == {"ita"}
    assert "has language ''" in refusal(prepare("--corpus", "tsv", "--source", table))


def test_langs_chooses_and_an_unknown_one_is_refused(prepare, tmp_path):
    table = write_rows(tmp_path, make_rows())
    assert prepare("--corpus", "tsv", "--source", table, "--langs", "rus").returncode == 0
    langs = read_table(prepare.folder / "data" / "train_tsv" / "utt2lang")
    assert set(langs.values()) == {"rus"}
    line = refusal(prepare("--corpus", "tsv", "--source", table, "--langs", "eng rux"))
    assert "Did you mean 'rus'? Known: eng rus." in line


def test_a_split_by_speaker_keeps_speakers_apart_whatever_the_order_of_rows(prepare, tmp_path):
    rows = make_rows(200, speakers=50)
    header = "utt_id\tlang\tpath\tspeaker\ttranscript"
    options = ["--corpus", "tsv", "--source", write_rows(tmp_path, rows, header)]
    assert prepare(*options).returncode == 0
    data = prepare.folder / "data"
    first, split = ids_by_set(data), (data / "split_tsv.tsv").read_bytes()
    speakers = [set(read_table(data / f"{name}_tsv" / "spk2utt")) for name in SETS]
    assert not (speakers[0] & speakers[1] or speakers[0] & speakers[2] or speakers[1] & speakers[2])
    assert sum(map(len, first.values())) == 200

    random.Random(0).shuffle(rows)
    write_rows(tmp_path, rows, header)
    assert prepare(*options, "--new_split", "true").returncode == 0
    assert ids_by_set(data) == first
    assert (data / "split_tsv.tsv").read_bytes() == split


def test_rows_that_are_added_move_no_old_one(prepare, tmp_path):
    rows, header = make_rows(80, speakers=80), "utt_id\tlang\tpath\ttranscript"
    options = ["--corpus", "tsv", "--source", write_rows(tmp_path, rows[:60], header)]
    assert prepare(*options).returncode == 0
    before = ids_by_set(prepare.folder / "data")
    write_rows(tmp_path, rows, header)
    done = prepare(*options)
    assert "split by recordings, 80 of them, 20 new" in done.stderr
    after = ids_by_set(prepare.folder / "data")
    assert all(before[name] <= after[name] for name in SETS)


def test_a_split_that_was_altered_or_lost_is_never_silently_remade(prepare, tmp_path):
    table = write_rows(tmp_path, make_rows(60, speakers=60), "utt_id\tlang\tpath\ttranscript")
    options = ["--corpus", "tsv", "--source", table]
    assert prepare(*options).returncode == 0
    split = prepare.folder / "data" / "split_tsv.tsv"
    content = split.read_text()
    split.write_text(content.replace("\tdev", "\ttrain"))
    assert "was altered" in refusal(prepare(*options))
    split.unlink()
    assert "is missing" in refusal(prepare(*options))
    assert prepare(*options, "--new_split", "true").returncode == 0
    assert split.read_text() == content


def test_unusable_utterances_are_listed_and_dropped_within_the_cap(prepare, tmp_path):
    rows = make_rows(60)
    table = write_rows(tmp_path, [*rows[1:], {**rows[0], "transcript": "..."}])
    (tmp_path / "12.flac").unlink()
    options = ["--corpus", "tsv", "--source", table]
    line = refusal(prepare(*options))
    assert "would lose 2 of 30 eng utterances (6.7 %, allowed 5 %)" in line
    assert not (prepare.folder / "data" / "train_tsv").exists()
    assert (prepare.folder / "data" / "dropped_tsv.tsv").exists()
    done = prepare(*options, "--max_drop", "0.1")
    assert done.returncode == 0
    assert "dropped 1 of 30 eng utterances: missing audio" in done.stderr
    listed = (prepare.folder / "data" / "train_tsv" / "dropped.tsv").read_text()
    assert "eng_s0-000\teng\tempty text" in listed
    assert "eng_s0-012\teng\tmissing audio" in listed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"utt_id": "s1-001", "speaker": "s1", "lang": "rus"},
            ":6 gives utterance 'rus_s1-001' a second",
        ),
        ({"lang": "en"}, ":6 has language 'en'"),
        ({"lang": "Russian"}, "three small letters"),
        ({"split": "tset"}, "Did you mean 'test'?"),
        ({"split": ""}, ":6 has split ''"),
        ({"duration": "long"}, ":6 has duration 'long'"),
        ({"duration": "-1"}, ":6 has duration '-1'"),
        ({"duration": "nan"}, ":6 has duration 'nan'"),
        ({"path": "cat x.wav |"}, ":6 names a command"),
    ],
)
def test_a_malformed_row_is_an_error_with_file_and_line(prepare, tmp_path, change, message):
    rows = make_rows()
    table = write_rows(tmp_path, rows)
    lines = table.read_text().splitlines()
    lines[5] = "\t".join({**rows[4], **change}.values())
    table.write_text("\n".join(lines))
    line = refusal(prepare("--corpus", "tsv", "--source", table))
    assert message in line
    assert "utts.tsv:" in line
    assert not (prepare.folder / "data").exists()


def test_a_source_that_is_no_table_is_refused(prepare, tmp_path):
    assert "set TSV in db.sh" in refusal(prepare("--corpus", "tsv", TSV=""))
    assert "is not a table" in refusal(prepare("--corpus", "tsv", "--source", tmp_path))


@pytest.mark.parametrize("header", ["corpus", "dataset"])
def test_a_corpus_column_is_kept_and_without_one_the_sets_name_it(prepare, tmp_path, header):
    rows = [{**row, header: f"set {row['lang']}"} for row in make_rows()]
    write_rows(tmp_path, rows, f"{HEADER}\t{header}", "named.tsv")
    assert prepare("--corpus", "tsv", "--source", tmp_path / "named.tsv").returncode == 0
    made = read_table(prepare.folder / "data" / "train_tsv" / "utt2corpus")
    assert set(made.values()) == {"set-eng", "set-rus"}
    table = write_rows(tmp_path, make_rows())
    prepare("--corpus", "tsv", "--source", table, "--name", "mine")
    made = read_table(prepare.folder / "data" / "train_mine" / "utt2corpus")
    assert set(made.values()) == {"mine"}


@pytest.mark.parametrize(
    "norm", ["mine.yaml", "text_norm_of_the_caller/mine.yaml", "{case: upper}"]
)
def test_the_text_goes_through_a_yaml_of_steps(prepare, tmp_path, norm):
    caller = tmp_path / "caller"
    for folder in (caller / "text_norm_of_the_caller", prepare.folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mine.yaml").write_text("case: upper\nlanguages: {rus: {punctuation: all}}\n")
    table = write_rows(tmp_path, make_rows())
    options = ("--corpus", "tsv", "--source", table, "--text_norm", norm)
    done = prepare(*options, ASR_DRO_CALLER_DIR=str(caller))
    assert done.returncode == 0, done.stderr
    text = read_table(prepare.folder / "data" / "train_tsv" / "text")
    assert text["rus_s1-001"] == ("[rus] ПРИВЕТ!" if norm[0] == "{" else "[rus] ПРИВЕТ")
    assert text["eng_s0-000"] == "[eng] HELLO, YOU"


def test_a_misspelt_step_is_one_line(prepare, tmp_path):
    (prepare.folder / "mine.yaml").write_text("cases: upper\n")
    table = write_rows(tmp_path, make_rows())
    done = prepare("--corpus", "tsv", "--source", table, "--text_norm", "mine.yaml")
    assert "mine.yaml: 'cases' is no step. Did you mean 'case'?" in refusal(done)
