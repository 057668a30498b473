"""Marks were no part of a name: the speakers कि and कु became one, क-, and so did é and è where a
file's name was decomposed; and "a b" and "a-b" were one speaker in silence."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.data import corpus
from asr_dro_plugin.data.kaldi_names import NamesApart, as_id
from asr_dro_plugin.data.scan import is_legal_id
from asr_dro_plugin.data.segments_dir import recording_ids
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.transcripts.file_names import file_names, unescape_id
from asr_dro_plugin.transcripts.files import TranscriptFiles, kaldi_id, refuse_alike_ids
from tests.local.conftest import refusal
from tests.sounds import noise, write_flac

PAIRS = [
    ("कि", "कु"),
    ("e\u0301", "e\u0300"),
    ("بَ", "بُ"),
    ("é", "e\u0301"),
    ("ခေါ", "ခို"),
    ("กี่", "กี้"),
]
NAMES = st.text(st.sampled_from("aéकिकु\u0301\u0300بَبُ.-_ /\u200d\ufe0f|Aж"), min_size=1, max_size=6)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_names_that_differ_in_a_mark_are_two(one, other):
    assert corpus.kaldi_ids("hin", one, one) != corpus.kaldi_ids("hin", other, other)
    assert corpus.kaldi_ids("hin", one, one) == (f"hin_{one}", f"hin_{one}")
    assert len(recording_ids([f"{one}.wav", f"{other}.wav"])) == 2
    assert len(set(file_names([one, other]).values())) == 2


def test_names_of_before_are_as_they_were():
    assert corpus.kaldi_ids("deu", "kerstin", "kerstin-0068") == ("deu_kerstin", "deu_kerstin-0068")
    assert corpus.kaldi_ids("rus", "Анна К.", "a/1") == ("rus_Анна-К.", "rus_Анна-К.-a-1")
    assert list(recording_ids(["x y/été 1.wav"])) == ["été_1"]


@given(NAMES)
def test_a_name_becomes_an_id_that_kaldi_takes_and_again_itself(name):
    made = as_id(name)
    assert (is_legal_id(made) or not name.strip()) and as_id(made) == made
    visible = {c for c in unicodedata.normalize("NFC", name) if c.isalnum()}
    assert visible <= set(unicodedata.normalize("NFC", made))


@given(st.lists(NAMES, max_size=6))
def test_two_names_are_two_ids_or_refused(names):
    apart, ids = NamesApart(), {}
    try:
        for number, name in enumerate(filter(str.strip, names)):
            ids[name] = as_id(name)
            apart.note("speaker", name, ids[name], f"t.tsv:{number}")
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert len(set(ids.values())) == len(ids)


@given(st.lists(NAMES, unique=True, max_size=6))
def test_files_are_named_apart_and_back(ids):
    names = file_names(ids, "")
    assert len({name.casefold() for name in names.values()}) == len(ids)
    forms = {unicodedata.normalize("NFD", name) for name in names.values()}
    assert len(forms) == len(ids)
    assert [unescape_id(names[utt_id]) for utt_id in ids] == ids


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [("a b", "a-b", "eng_a-b"), ("x/1", "x 1", "eng_x-1"), ("eng_ana", "ana", "eng_ana"),
     ("na\u200cma", "na-ma", "eng_na-ma")],
)  # fmt: skip
def test_two_speakers_that_would_be_one_are_refused_with_both_places(
    prepare,
    tmp_path,
    one,
    other,
    name,
):
    write_flac(tmp_path / "a.flac", noise(0.3))
    rows = [
        {"path": "a.flac", "text": "hi", "lang": "eng", "id": str(n), "speaker": speaker}
        for n, speaker in enumerate((one, other, one))
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    line = refusal(prepare("--corpus", "tsv", "--source", tmp_path / "m.jsonl"))
    assert f"m.jsonl:2 has the speaker {other!r}" in line and f"m.jsonl:1 has {one!r}" in line
    assert f"both would be '{name}'" in line


@given(st.lists(NAMES | st.sampled_from(["a 1", "a%201", " ", "%20"]), unique=True, max_size=5))
def test_ids_are_apart_in_a_kaldi_table_too_or_refused(ids):
    try:
        refuse_alike_ids(ids)
    except UserError as error:
        assert "Rename one" in str(error)
    else:
        assert len({kaldi_id(utt_id) for utt_id in ids}) == len(ids)


def test_two_ids_that_would_be_one_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="'a 1' and 'a%201' would both be written 'a%201'"):
        TranscriptFiles(tmp_path, ["text"], ["b", "a 1", "a%201"])
