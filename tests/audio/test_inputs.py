"""Files, folders, wav.scp and manifests are found; names of outputs are short and apart."""

import json

import pytest

from asr_dro_plugin.audio.inputs import find_audio, short_ids
from asr_dro_plugin.audio.read_ahead import Location
from asr_dro_plugin.errors import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Empty files: two of one name, one in another's case, one that is no audio."""
    monkeypatch.chdir(tmp_path)
    for name in ("rec/b/x.wav", "rec/a/x.wav", "rec/Y.MP3", "rec/.hidden.wav", "rec/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def paths(locations):
    return [location.path for location in locations]


def test_a_folder_gives_all_audio_below_it_sorted(folder):
    found = find_audio(["rec"])
    assert paths(found) == ["rec/Y.MP3", "rec/a/x.wav", "rec/b/x.wav"]
    assert [each.utt_id for each in found] == paths(found)


def test_a_file_named_twice_is_transcribed_once(folder):
    assert paths(find_audio(["rec/a/x.wav", "rec", "rec/notes.txt"])) == [
        "rec/a/x.wav", "rec/Y.MP3", "rec/b/x.wav", "rec/notes.txt",
    ]  # fmt: skip


def test_a_missing_file_among_others_is_left_to_the_reader(folder):
    assert paths(find_audio(["nowhere.wav", "rec/Y.MP3"])) == ["nowhere.wav", "rec/Y.MP3"]
    with pytest.raises(UserError, match=r"nowhere.wav does not exist. Give the path"):
        find_audio(["nowhere.wav"])


def test_a_folder_without_audio_is_said(folder):
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds no audio"):
        find_audio(["empty"])


def test_wav_scp_brings_ids_pointers_and_pipes(folder):
    (folder / "wav.scp").write_text("u1 rec/Y.MP3\nu2 data.ark:17\nu3 sox x.wav - |\n")
    assert find_audio(["wav.scp"]) == [
        Location("u1", "rec/Y.MP3"),
        Location("u2", "data.ark:17"),
        Location("u3", "sox x.wav - |"),
    ]


def manifest(folder, *entries):
    lines = [each if isinstance(each, str) else json.dumps(each) for each in entries]
    (folder / "rec/list.jsonl").write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    return "rec/list.jsonl"


def test_a_manifests_paths_are_relative_to_it(folder):
    name = manifest(
        folder,
        {"audio_filepath": "a/x.wav", "duration": 3.0},
        "",
        {"audio": "Y.MP3", "id": "где", "lang": "rus", "offset": 1.5, "duration": 2},
    )
    assert find_audio([name]) == [
        Location("rec/a/x.wav", "rec/a/x.wav", None, 3.0),  # a duration alone: the beginning
        Location("где", "rec/Y.MP3", 1.5, 3.5, "rus"),
    ]


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ('{"audio": "x.wav"', "list.jsonl:2 is not JSON"),
        ("[1]", "list.jsonl:2 has no path of audio"),
        ({"text": "x"}, "list.jsonl:2 has no path of audio"),
        ({"audio": "x", "offset": "1"}, "list.jsonl:2 has '1' where seconds are meant"),
        ({"audio": "x", "duration": True}, "list.jsonl:2 has True where seconds are meant"),
        ({"audio": "x", "utt_id": ["u"]}, r"list.jsonl:2 has \['u'\] as utt_id"),
        ({"audio": "x", "lang": 5}, "list.jsonl:2 has 5 as lang"),
        ({"audio": "y", "utt_id": "u"}, "list.jsonl:2 gives 'u' a second time"),
    ],
)
def test_a_bad_line_is_named(folder, entry, fault):
    with pytest.raises(UserError, match=fault):
        find_audio([manifest(folder, {"audio": "Y.MP3", "id": "u"}, entry)])


def test_one_id_for_two_recordings_is_refused(folder):
    (folder / "1.scp").write_text("u1 rec/Y.MP3\n")
    (folder / "2.scp").write_text("u1 rec/a/x.wav\n")
    with pytest.raises(UserError, match="'u1' is named a second time, in 2.scp"):
        find_audio(["1.scp", "2.scp"])


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["r/a.wav", "r/b.mp3"], ["a", "b"]),
        (["r/a.wav", "s/a.wav"], ["r/a", "s/a"]),
        (["r/a.wav", "r/A.flac"], ["r/a.wav", "r/A.flac"]),
        (["r/a.wav"], ["a"]),
        (["/x/r/a.wav", "/x/s/a.wav", "/x/s/b.wav"], ["r/a", "s/a", "b"]),
    ],
)
def test_short_ids_take_as_much_of_the_path_as_it_takes(names, ids):
    assert list(short_ids([Location(name, name) for name in names]).values()) == ids


def test_ids_that_were_given_stay():
    locations = [Location("u1", "r/a.wav"), Location("r/u1.wav", "r/u1.wav")]
    assert short_ids(locations) == {"u1": "u1", "r/u1.wav": "r/u1"}
    assert short_ids([]) == {}
