"""Validators name every kind of damage and never call a damaged directory valid."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.data.fix import fix
from asr_dro_plugin.data.validate import REQUIRED, Checks, validate
from asr_dro_plugin.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
UTT_IDS = ("ann_1", "ann_2", "bob_1", "bob_2")


def write_valid(folder: Path, segmented: bool = False) -> Path:
    """A small valid data directory with real (if silent) files."""
    (folder / "audio").mkdir(parents=True)
    for name in (*UTT_IDS, "rec_a", "rec_b"):
        (folder / f"audio/{name}.wav").write_bytes(b"RIFF")
    tables = {
        "wav.scp": {u: f"{folder}/audio/{u}.wav" for u in UTT_IDS},
        "text": dict.fromkeys(UTT_IDS, "[eng] hello world"),
        "utt2spk": {u: u[:3] for u in UTT_IDS},
        "spk2utt": {"ann": "ann_1 ann_2", "bob": "bob_1 bob_2"},
        "utt2lang": dict.fromkeys(UTT_IDS, "eng"),
        "utt2category": dict.fromkeys(UTT_IDS, "eng"),
        "utt2dur": dict.fromkeys(UTT_IDS, "1.25"),
    }
    if segmented:
        tables["wav.scp"] = {r: f"{folder}/audio/{r}.wav" for r in ("rec_a", "rec_b")}
        tables["segments"] = {u: f"rec_{u[0]} 0.5 {u[-1]}.75" for u in UTT_IDS}
    for name, rows in tables.items():
        lines = "".join(f"{key} {value}\n" for key, value in rows.items())
        (folder / name).write_text(lines)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_valid(tmp_path / "train")


@pytest.fixture
def segmented(tmp_path: Path) -> Path:
    return write_valid(tmp_path / "train", segmented=True)


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in a file, bytes above 0x7f as Latin-1."""
    content = path.read_bytes().decode("latin-1")
    assert old in content
    path.write_bytes(content.replace(old, new, 1).encode("latin-1"))


def test_a_valid_directory_has_no_problem(data: Path) -> None:
    report = validate(data)
    assert report.problems == [] and report.warnings == []


def test_a_valid_directory_with_segments_has_no_problem(segmented: Path) -> None:
    assert validate(segmented).problems == []


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_file_is_a_problem(data: Path, name: str) -> None:
    (data / name).unlink()
    assert any(p.startswith(f"{data / name} is missing. ") for p in validate(data).problems)


@pytest.mark.parametrize("name", REQUIRED)
def test_an_empty_file_is_a_problem(data: Path, name: str) -> None:
    (data / name).write_text("")
    assert any(f"{name} holds no entry" in p for p in validate(data).problems)


DAMAGES = {
    "duplicate id": ("text", "ann_2 [eng]", "ann_1 [eng]", "text:2 gives 'ann_1' a second time"),
    "id only here": ("text", "ann_2 ", "ann_3 ", "text:2 'ann_3' is not in utt2spk"),
    "id only there": ("text", "ann_2 ", "ann_3 ", "utt2spk:2 'ann_2' is not in text"),
    "not in utt2lang": ("utt2lang", "bob_2 eng\n", "", "utt2spk:4 'bob_2' is not in utt2lang"),
    "not in wav.scp": ("utt2spk", "bob_2 bob\n", "", "wav.scp:4 'bob_2' is not in utt2spk"),
    "not in utt2dur": ("utt2dur", "bob_2 1.25\n", "", "utt2spk:4 'bob_2' is not in utt2dur"),
    "not sorted": ("text", "ann_1 [eng] hello world\n", "", "is not in text"),
    "not UTF-8": ("text", "hello", "h\xe9llo", "text:1 is not UTF-8 (byte 0xe9)"),
    "byte order mark": ("text", "ann_1", "\xef\xbb\xbfann_1", "text:1 begins with a byte order"),
    "Windows line end": ("text", "world\n", "world\r\n", "text:1 has a Windows line end"),
    "empty line": ("utt2spk", "ann_2", "\nann_2", "utt2spk:2 is an empty line"),
    "no text": ("text", " [eng] hello world", "", "text:1 'ann_1' has no text"),
    "tab": ("text", "ann_1 ", "ann_1\t", "text:1 separates id and value by more than one space"),
    "two spaces": ("text", "ann_1 ", "ann_1  ", "text:1 separates id and value by more than one"),
    "trailing space": ("text", "world\n", "world \n", "text:1 separates id and value by more"),
    "tab in value": ("text", "hello ", "hello\t", "text:1 has a tab, control character"),
    "control in value": ("text", "hello ", "hel\x07lo ", "text:1 has a tab, control character"),
    "line separator": ("text", "hello ", "hello\xe2\x80\xa8", "text:1 has a tab, control"),
    "no-break space in id": ("text", "ann_1", "ann\xc2\xa01", "text:1 has an id with a space or"),
    "control in id": ("text", "ann_1", "ann\x011", "text:1 has an id with a space or control"),
    "spk2utt": ("spk2utt", "ann_1 ann_2", "ann_1", "spk2utt:1 disagrees with utt2spk on speaker"),
    "spk2utt order": ("spk2utt", "ann_1 ann_2", "ann_2 ann_1", "spk2utt:1 disagrees"),
    "spk2utt extra": ("spk2utt", "bob ", "cat ", "disagrees with utt2spk on speaker 'bob'"),
    "two words": ("utt2lang", "eng", "eng fra", "utt2lang:1 'ann_1' has the value 'eng fra'"),
    "no category": (
        "utt2category",
        "ann_1 eng",
        "ann_1",
        "utt2category:1 'ann_1' has the value ''",
    ),
    "pipe": ("wav.scp", "bob_2.wav", "bob_2.wav sox |", "wav.scp:4 'bob_2' is a command (a pipe)"),
    "no path": ("wav.scp", "ann_1 ", "ann_1 \nx ", "wav.scp:1 'ann_1' has no audio file"),
    "no such audio": ("wav.scp", "bob_2.wav", "gone.wav", "gone.wav, which is no file"),
    "negative duration": ("utt2dur", "1.25", "-1.25", "utt2dur:1 'ann_1' has the value '-1.25'"),
    "no duration": ("utt2dur", "1.25", "nan", "utt2dur:1 'ann_1' has the value 'nan', not a pos"),
    "duration in words": ("utt2dur", "1.25", "long", "not a positive number"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_each_kind_of_damage_is_named_with_file_and_line(data: Path, damage: tuple) -> None:
    name, old, new, words = damage
    edit(data / name, old, new)
    problems = validate(data).problems
    assert [p for p in problems if words in p], problems
    assert all("\n" not in p for p in problems)


def test_an_unsorted_file_is_named(data: Path) -> None:
    lines = (data / "text").read_text().splitlines(keepends=True)
    (data / "text").write_text("".join([lines[1], lines[0], *lines[2:]]))
    assert any(
        "text:2 'ann_1' comes after 'ann_2': not sorted" in p for p in validate(data).problems
    )


def test_order_is_that_of_bytes(tmp_path: Path) -> None:
    data = write_valid(tmp_path / "train")
    (data / "utt2lang").write_text("ann_1 eng\nann_2 eng\nbob_1 eng\nbob_2 eng\nBob_3 eng\n")
    assert any("'Bob_3' comes after 'bob_2'" in p for p in validate(data).problems)


def test_a_missing_last_newline_is_named(data: Path) -> None:
    edit(data / "text", "bob_2 [eng] hello world\n", "bob_2 [eng] hello world")
    assert any("text:4 does not end with a newline" in p for p in validate(data).problems)


def test_an_empty_audio_file_is_named(data: Path) -> None:
    (data / "audio/ann_1.wav").write_bytes(b"")
    assert any("ann_1.wav, which is empty" in p for p in validate(data).problems)


SEGMENT_DAMAGES = {
    "end before start": ("rec_a 0.5 1.75", "rec_a 2 1.75", "segments:1 'ann_1' has"),
    "end at start": ("rec_a 0.5 1.75", "rec_a 1.75 1.75", "the end must lie after the start"),
    "negative start": ("rec_a 0.5", "rec_a -0.5", "segments:1 'ann_1' has"),
    "no number": ("rec_a 0.5", "rec_a x", "segments:1 'ann_1' has 'rec_a x 1.75'"),
    "three fields": ("rec_a 0.5 1.75", "rec_a 0.5", "segments:1 'ann_1' has 'rec_a 0.5'"),
    "not a number": ("rec_a 0.5 1.75", "rec_a 0.5 nan", "segments:1 'ann_1' has"),
    "no recording": ("rec_b 0.5 1", "rec_x 0.5 1", "is of recording 'rec_x', not in wav.scp"),
}


@pytest.mark.parametrize("damage", SEGMENT_DAMAGES.values(), ids=SEGMENT_DAMAGES.keys())
def test_each_kind_of_damaged_segment_is_named(segmented: Path, damage: tuple) -> None:
    old, new, words = damage
    edit(segmented / "segments", old, new)
    assert any(words in p for p in validate(segmented).problems), validate(segmented).problems


def test_options_allow_what_they_name(data: Path) -> None:
    edit(data / "text", " [eng] hello world", "")
    edit(data / "wav.scp", "bob_2.wav", "bob_2.wav sox |")
    edit(data / "wav.scp", "bob_1.wav", "gone.wav")
    checks = Checks(allow_empty_text=True, allow_pipes=True, check_audio=False)
    assert validate(data, checks).problems == []
    assert len(validate(data).problems) == 3


def test_an_archive_pointer_is_checked_by_its_archive(data: Path) -> None:
    edit(data / "wav.scp", "ann_1.wav", "ann_1.wav:17")
    edit(data / "wav.scp", "ann_2.wav", "gone.ark:17")
    (problem,) = validate(data).problems
    assert "gone.ark:17, which is no file" in problem


def test_an_utterance_that_does_not_begin_with_its_speaker_is_only_a_warning(data: Path) -> None:
    edit(data / "utt2spk", "bob_2 bob", "bob_2 cat")
    (data / "spk2utt").write_text("ann ann_1 ann_2\nbob bob_1\ncat bob_2\n")
    report = validate(data)
    assert report.problems == [] and "'bob_2' does not begin with its speaker" in report.warnings[0]


def test_all_problems_are_reported_by_kind_with_a_count(data: Path) -> None:
    edit(data / "text", "ann_1 [eng] hello world", "ann_1")
    edit(data / "text", "ann_2 [eng] hello world", "ann_2")
    edit(data / "utt2dur", "1.25", "0")
    problems = validate(data).problems
    assert len(problems) == 2 and any("'ann_1' has no text (and 1 more)." in p for p in problems)


def test_at_most_twenty_problems_are_printed_and_the_rest_counted(data: Path) -> None:
    report = validate(data)
    report.problems = [f"problem {n}" for n in range(33)]
    assert report.lines()[19:] == ["problem 19", "... and 13 more problems."]


@pytest.mark.parametrize("command", ["validate", "fix"])
def test_a_missing_directory_is_one_clear_line(tmp_path: Path, command: str) -> None:
    done = run_script(command, str(tmp_path / "none"))
    assert done.returncode == 1 and "none is not a directory" in done.stderr


def run_script(command: str, *words: str) -> subprocess.CompletedProcess:
    """utils/validate_data_dir.sh or utils/fix_data_dir.sh."""
    script = ROOT / f"tools/utils/{command}_data_dir.sh"
    return subprocess.run([script, *words], cwd="/", capture_output=True, text=True)


def test_the_scripts_exit_codes_tell(data: Path) -> None:
    assert run_script("validate", str(data)).returncode == 0
    edit(data / "text", "ann_2 ", "ann_3 ")
    damaged = run_script("validate", str(data))
    assert damaged.returncode == 1 and "DAMAGED" in damaged.stdout
    assert "Run utils/fix_data_dir.sh" in damaged.stderr
    fixed = run_script("fix", str(data))
    assert fixed.returncode == 0 and "kept 3 of 5 utterances" in fixed.stdout
    assert run_script("validate", str(data)).returncode == 0


def test_the_scripts_refuse_unknown_options_and_values(data: Path) -> None:
    assert run_script("validate", "--allow_pipe", "true", str(data)).returncode == 2
    assert run_script("fix", "--allow_pipes", "yes", str(data)).returncode == 2


def test_fixing_a_valid_directory_touches_nothing(data: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in data.iterdir()}
    assert "nothing to fix" in fix(data)[0]
    assert {p: p.stat().st_mtime_ns for p in data.iterdir()} == before


def test_fixing_says_what_went_and_keeps_a_backup(data: Path) -> None:
    damaged = (data / "text").read_text().replace("ann_2 [eng] hello world", "ann_2")
    (data / "text").write_text(damaged)
    edit(data / "utt2lang", "bob_2 eng\n", "")
    lines = fix(data)
    assert "kept 2 of 4 utterances" in lines[0]
    assert "  removed 1: not in utt2lang (first: bob_2)" in lines
    assert "  removed 1: text: empty (first: ann_2)" in lines
    assert (data / ".backup/text").read_text() == damaged
    assert (data / "spk2utt").read_text() == "ann ann_1\nbob bob_1\n"
    assert validate(data).problems == []


def test_fixing_makes_spk2utt_and_keeps_text_as_it_is(data: Path) -> None:
    (data / "spk2utt").unlink()
    before = (data / "text").read_bytes()
    fix(data)
    assert validate(data).problems == [] and (data / "text").read_bytes() == before


def test_two_different_lines_of_one_id_are_not_chosen_between(data: Path) -> None:
    edit(data / "text", "ann_2 ", "ann_1 other ")
    edit(data / "utt2dur", "bob_1 1.25\n", "bob_1 1.25\nbob_1 1.25\n")
    lines = fix(data)
    assert any("removed 1: two different lines in text (first: ann_1)" in line for line in lines)
    assert "bob_1" in (data / "text").read_text()


def test_fixing_drops_recordings_that_no_segment_uses(segmented: Path) -> None:
    edit(segmented / "wav.scp", "rec_b.wav", "gone.wav")
    fix(segmented)
    assert (segmented / "wav.scp").read_text().split()[0] == "rec_a"
    assert validate(segmented).problems == []


def test_fixing_refuses_to_leave_nothing(data: Path) -> None:
    (data / "utt2lang").write_text("zzz eng\n")
    before = (data / "text").read_bytes()
    with pytest.raises(UserError, match="would leave no utterance"):
        fix(data)
    assert (data / "text").read_bytes() == before and not (data / ".backup").exists()


def test_fixing_refuses_to_invent_a_missing_file(data: Path) -> None:
    (data / "utt2lang").unlink()
    with pytest.raises(UserError, match="utt2lang is missing and cannot be guessed"):
        fix(data)


def test_fixing_does_not_hide_pipes(data: Path) -> None:
    edit(data / "wav.scp", "bob_2.wav", "bob_2.wav sox |")
    assert run_script("fix", str(data)).returncode == 1
    assert run_script("fix", "--allow_pipes", "true", str(data)).returncode == 0


DAMAGE = st.lists(
    st.tuples(
        st.sampled_from([*REQUIRED, "segments", "utt2dur"]),
        st.integers(0, 60),
        st.sampled_from(
            [b"", b"\n", b"\t", b"\xff", b" ", b"x", b"\r\n", b"\x00", "\u2028".encode()]
        ),
        st.integers(0, 8),
    ),
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(damages=DAMAGE, segmented=st.booleans())
def test_whatever_the_damage_fixing_gives_a_valid_directory_or_an_error(
    damages: list, segmented: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = write_valid(Path(folder) / "train", segmented)
        for name, position, insert, gone in damages:
            if (data / name).exists():
                content = (data / name).read_bytes()
                (data / name).write_bytes(content[:position] + insert + content[position + gone :])
        before = {name: (data / name).read_bytes() for name in os.listdir(data) if name != "audio"}
        try:
            fix(data)
        except UserError:
            assert before == {name: (data / name).read_bytes() for name in before}
        else:
            assert validate(data).problems == []
            assert "nothing to fix" in fix(data)[0]
