"""Transcripts as files: what each format says, and that no utterance overwrites another."""

import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.transcripts import files as transcript_files
from asr_dro_plugin.transcripts.file_names import unescape_id
from asr_dro_plugin.transcripts.files import FORMATS, TranscriptFiles, parse_formats
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, Unit, from_json

WORDS = (Unit("hello", 0.5, 0.75, 0.875), Unit("wörld", 1.0, 1.5, 1.0))
BEST = Hypothesis("[eng] hello wörld", -2.5, am_score=-1.25, words=WORDS)
SECOND = Hypothesis("[eng] hello", -3.0, am_score=-2.0, lm_score=-7.5)
TRANSCRIPT = Transcript("u1", (BEST, SECOND), "eng", 2.0)
EMPTY = Transcript("u2", (Hypothesis("", 0.0),), duration=0.0, fault="zero-length audio")


def written(folder, transcripts, formats, folders=True):
    with TranscriptFiles(folder, formats, [each.utt_id for each in transcripts], folders) as files:
        for transcript in transcripts:
            files.add(transcript)
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_every_format_says_it_in_its_own_way(tmp_path):
    files = written(tmp_path, [TRANSCRIPT, EMPTY], FORMATS)
    assert [from_json(line) for line in files.pop("hyp.jsonl").splitlines()] == [TRANSCRIPT, EMPTY]
    assert files == {
        "text": "u1 [eng] hello wörld\nu2\n",
        "ctm": "u1 1 0.500 0.250 hello 0.8750\nu1 1 1.000 0.500 wörld 1.0000\n",
        "hyp.trn": "[eng] hello wörld (u1)\n(u2)\n",
        "nbest": "u1-1 [eng] hello wörld\nu1-2 [eng] hello\nu2-1\n",
        "nbest.tsv": "utt_id\trank\tscore\tam_score\tlm_score\ttext\n"
        "u1\t1\t-2.5\t-1.25\t\t[eng] hello wörld\n"
        "u1\t2\t-3\t-2\t-7.5\t[eng] hello\n"
        "u2\t1\t0\t\t\t\n",
        "srt/u1.srt": "1\n00:00:00,500 --> 00:00:01,500\nhello wörld\n\n",
        "srt/u2.srt": "",
        "vtt/u1.vtt": "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nhello wörld\n\n",
        "vtt/u2.vtt": "WEBVTT\n\n",
        "txt/u1.txt": "[eng] hello wörld\n",
        "txt/u2.txt": "\n",
    }


def test_the_table_of_the_docstring_has_every_format():
    for name in FORMATS:
        assert f"| {name}" in transcript_files.__doc__ or f", {name} |" in transcript_files.__doc__


def test_nasty_ids_have_a_file_each_whose_name_gives_the_id_back(tmp_path):
    utt_ids = ["a/x", "b/x", "x", "X", "a x", "..", "../up", "где", "100%", ".x"]
    hypotheses = {utt_id: f"text {number}" for number, utt_id in enumerate(utt_ids)}
    transcripts = [Transcript(k, (Hypothesis(v, 0.0),)) for k, v in hypotheses.items()]
    files = written(tmp_path / "out", transcripts, ["txt"], folders=False)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    found = {unescape_id(name.removesuffix(".txt")): text for name, text in files.items()}
    assert found == {utt_id: text + "\n" for utt_id, text in hypotheses.items()}


def test_an_id_with_spaces_stays_one_word_in_a_table(tmp_path):
    written(tmp_path, [Transcript("my file.wav", (Hypothesis("a b", 0.0),))], ["text", "trn"])
    assert read_table(tmp_path / "text") == {"my%20file.wav": "a b"}
    assert (tmp_path / "hyp.trn").read_text() == "a b (my%20file.wav)\n"


def test_after_a_failure_the_earlier_file_stays(tmp_path):
    written(tmp_path, [TRANSCRIPT], ["text"])
    with pytest.raises(ZeroDivisionError), TranscriptFiles(tmp_path, ["text"], ["u2"]) as files:
        files.add(EMPTY)
        raise ZeroDivisionError
    assert list(read_table(tmp_path / "text")) == ["u1"]
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_folder_of_files_holds_nothing_of_an_earlier_decoding(tmp_path):
    written(tmp_path, [TRANSCRIPT, EMPTY], ["txt"])
    assert list(written(tmp_path, [EMPTY], ["txt"])) == ["txt/u2.txt"]


def test_formats_are_named_with_commas_or_spaces():
    assert parse_formats("ctm, srt ctm", "--formats") == ("ctm", "srt")
    with pytest.raises(UserError, match="--format json is not known. Did you mean 'jsonl'"):
        parse_formats("json", "--format")
    with pytest.raises(UserError, match="names no format"):
        parse_formats(" ", "--format")
