"""asr_dro_plugin/data/debian/selection.py: which recordings are plain speech, and in which set."""

from dataclasses import replace
from pathlib import Path

import pytest

from asr_dro_plugin.data.debian.selection import (
    refuse_silent_languages,
    select,
    without_shared_texts,
)
from asr_dro_plugin.data.debian.spoken import Spoken
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.errors import UserError
from tests.sounds import noise, write_flac


def spoken(text, audio="x.flac", name="dog", lang="fra", fault=""):
    audio = Path(audio)
    return Spoken(lang, "tuxpaint", "tuxpaint", name, "u", text, audio, "x.txt:1", fault)


def reasons(*lines):
    ledger, durations = DropLedger(), {}
    kept = list(select(lines, ledger, durations))
    return [drop.reason for drop in ledger.drops], kept, durations


@pytest.mark.parametrize(
    ("text", "seconds", "reason"),
    [
        ("Un chien de la maison.", 2, ""),
        ("La lettre β.", 2, ""),
        ("Voilà un chien", 0.39, "under 0.4 s"),
        ("Voilà un chien " * 4, 20.1, "over 20 s"),
        ("Un 2 CV", 1, "has digits"),
        ("Un <b>chien</b>", 1, "has brackets"),
        ("Sel &amp; poivre", 1, "has markup"),
        ("Konkrétně %x hodin", 1, "has markup"),
        ("Vois http://x.fr", 1, "has markup"),
        ("Un сhien", 1, "mixes scripts in a word"),  # its c is Cyrillic
        ("...", 1, "no text"),
        ("Un chien de la maison", 0.5, "implausible rate"),
        ("Ah", 2, "implausible rate"),
    ],
)
def test_what_is_no_plain_speech_is_left_out_with_its_reason(tmp_path, text, seconds, reason):
    path = write_flac(tmp_path / "x.flac", noise(seconds))
    got, kept, durations = reasons(spoken(text, path))
    assert got == ([reason] if reason else [])
    assert len(kept) == (not reason)
    assert durations == ({} if reason else {path: pytest.approx(seconds)})


def test_faults_of_the_reader_and_ids_that_are_there_already_are_left_out(tmp_path):
    write_flac(tmp_path / "x.flac", noise(1))
    line = spoken("Un chien.", tmp_path / "x.flac", name="a/dog")
    got, kept, _ = reasons(replace(line, fault="no text"), line, replace(line, name="a-dog"))
    assert got == ["no text", "its id is another's too"] and kept == [line]


def test_a_damaged_recording_is_left_to_the_count_of_damage(tmp_path):
    (tmp_path / "x.flac").write_bytes(b"no sound")
    got, kept, durations = reasons(spoken("Un chien.", tmp_path / "x.flac"))
    assert not got and len(kept) == 1 and not durations


def test_a_sentence_of_train_leaves_dev_and_test_and_one_of_test_leaves_dev():
    one, two, other = spoken("Un chien!"), spoken("Un chat"), spoken("Un chien", lang="ron")
    sets = {"train": [one, one], "dev": [two, spoken("un CHIEN"), other], "test": [two]}
    ledger = DropLedger()
    kept = without_shared_texts(sets, ledger)
    assert kept == {"train": [one, one], "dev": [other], "test": [two]}
    assert [drop.reason for drop in ledger.drops] == [
        "dev: its text is in test",
        "dev: its text is in train",
    ]


def test_a_language_without_speech_is_refused():
    with pytest.raises(UserError, match="/x has no speech of dan that can be used"):
        refuse_silent_languages([spoken("Un chien")], ["dan", "fra"], Path("/x"))
