"""Every form of transcripts is read; damaged hypotheses are noted and the rest is read."""

import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.read_texts import form_of, read_hypotheses, read_reference
from asr_dro_plugin.transcripts.file_names import file_names
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, to_json

BOTH = {"u1": "a b", "u2": ""}


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text", "u1 a b\nu2\n"),
        ("text", "\ufeffu1 a b\r\nu2 \r\n"),
        ("hyp.trn", "a b (u1)\n(u2)\n"),
        ("hyp", "a b (u1)\n (u2)\n"),
        ("x.jsonl", '{"utt_id": "u1", "text": "a b"}\n{"id": "u2", "text": ""}\n'),
        ("x", '{"audio_filepath": "wav/u1.flac", "text": "a b"}\n{"id": "u2", "text": ""}'),
        ("x", '\n{"id": "u1", "text": "R", "pred_text": "a b"}\n{"id": "u2", "pred_text": ""}\n'),
    ],
)
def test_a_file_is_read_by_its_ending_or_first_line(tmp_path, name, content):
    found = read_hypotheses(put(tmp_path / name, content))
    assert (found.texts, found.duplicates, found.cut) == (BOTH, [], [])


def test_a_text_that_ends_in_a_bracket_makes_no_trn_of_a_kaldi_file(tmp_path):
    path = put(tmp_path / "text", "u1 yes (laughs)\nu2 no\nu3\n")
    assert read_reference(path) == {"u1": "yes (laughs)", "u2": "no", "u3": ""}
    cut = put(tmp_path / "hyp", "yes (u1)\nno (u2)\nwell (u")
    assert read_hypotheses(cut).cut == [f"{cut}:3"]


def test_our_transcripts_are_read(tmp_path):
    lines = [
        to_json(Transcript(utt_id, (Hypothesis(text, -1.0), Hypothesis("other", -2.0))))
        for utt_id, text in BOTH.items()
    ]
    path = put(tmp_path / "hyp.jsonl", "\n".join(lines) + "\n")
    assert read_hypotheses(path).texts == read_reference(path) == BOTH


def test_references_of_a_manifest_are_its_text_and_hypotheses_its_pred_text(tmp_path):
    path = put(tmp_path / "m.jsonl", '{"id": "u", "text": "a", "pred_text": "b"}\n')
    assert read_reference(path) == {"u": "a"}
    assert read_hypotheses(path).texts == {"u": "b"}


def test_a_folder_gives_back_the_ids_that_its_files_were_named_for(tmp_path):
    ids = ["u1", "rec/a 1", "100%", "Ä", "x.y"]
    for utt_id, name in file_names(ids).items():
        put(tmp_path / "hyps" / name, f"text of\n{utt_id}\n")
    put(tmp_path / "hyps" / "notes.md", "none")
    found = read_hypotheses(tmp_path / "hyps")
    assert found.texts == {utt_id: f"text of {utt_id}" for utt_id in ids}
    assert form_of(tmp_path / "hyps") == "folder"


@pytest.mark.parametrize(
    ("name", "content", "texts", "cut"),
    [
        ("text", "u1 a b\nu2 c", {"u1": "a b"}, 2),
        ("text", "u1 a b\nu2 \u00e9".encode()[:-1], {"u1": "a b"}, 2),
        ("t.trn", "a b (u1)\nc d (u", {"u1": "a b"}, 2),
        ("t.trn", "a b (u1)\nc (u2)", {"u1": "a b", "u2": "c"}, None),
        ("j.jsonl", '{"id": "u1", "text": "a b"}\n{"id": "u2", "te', {"u1": "a b"}, 2),
        ("j.jsonl", '{"id": "u0"}\n{"id": "u1", "text": "a b"}\n', {"u1": "a b"}, 1),
        ("j.jsonl", '[1]\n{"id": "u1", "text": "a b"}\n', {"u1": "a b"}, 1),
        ("j.jsonl", '{"id": "u", "hypotheses": []}\n{"id": "u1", "text": "a"}\n', {"u1": "a"}, 1),
    ],
)
def test_lines_that_are_not_whole_are_noted_and_the_rest_is_read(
    tmp_path, name, content, texts, cut
):
    path = put(tmp_path / name, content)
    found = read_hypotheses(path)
    assert found.texts == texts
    assert found.cut == ([f"{path}:{cut}"] if cut else [])


def test_of_an_id_given_again_the_first_text_counts(tmp_path):
    found = read_hypotheses(put(tmp_path / "text", "u1 a\nu1 b\nu2 c\nu1 d\n"))
    assert (found.texts, found.duplicates) == ({"u1": "a", "u2": "c"}, ["u1"])


def test_a_reference_may_lack_its_last_newline_but_nothing_else(tmp_path):
    assert read_reference(put(tmp_path / "text", "u1 a b\nu2")) == BOTH
    with pytest.raises(UserError, match="gives 'u1' a second time"):
        read_reference(put(tmp_path / "text", "u1 a\nu1 b\n"))
    with pytest.raises(UserError, match=r"ref\.trn:2 is no line"):
        read_reference(put(tmp_path / "ref.trn", "a (u1)\nb\n"))


def test_the_form_can_be_given(tmp_path):
    path = put(tmp_path / "text", "word (u1)\nu2 x\n")
    assert read_hypotheses(path).cut == [f"{path}:2"]
    assert read_hypotheses(path, "kaldi").texts == {"word": "(u1)", "u2": "x"}
    with pytest.raises(UserError, match="--format folder does not read"):
        read_hypotheses(path, "folder")


def test_what_is_not_there_or_not_text_is_one_line(tmp_path):
    with pytest.raises(UserError, match="does not exist") as raised:
        read_hypotheses(tmp_path / "absent")
    assert raised.value.exit_code == 2
    with pytest.raises(UserError, match=r"text:1 is not UTF-8"):
        read_hypotheses(put(tmp_path / "text", b"u1 \xff\nu2 a\nu3 \xff"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"holds no \.txt file"):
        read_hypotheses(tmp_path / "empty")
