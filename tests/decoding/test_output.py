"""Recordings' transcripts on the terminal: what was ended early is named, and counted."""

from asr_dro_plugin.audio.read_ahead import Location
from asr_dro_plugin.decoding.output import write_transcripts
from asr_dro_plugin.decoding.runaway import REPEATS, TOO_LONG
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript


def told(caplog, *reasons):
    """Warnings of recordings with these reasons."""
    made = [
        Transcript(f"r{n}.wav", (Hypothesis("ja", 0.0),), ended_early=why)
        for n, why in enumerate(reasons)
    ]
    locations = [Location(each.utt_id, each.utt_id) for each in made]
    assert write_transcripts(iter(made), None, ["text"], locations, strict=True) == 0
    return caplog.messages


def test_each_is_named_and_several_are_counted(caplog, capsys):
    found = told(caplog, REPEATS, "", TOO_LONG)
    assert found[:2] == [
        f"r0.wav was ended early: {REPEATS}.",
        f"r2.wav was ended early: {TOO_LONG}.",
    ]
    assert found[2].startswith("2 of 3 texts were ended early (r0.wav: it repeats itself; r2.wav:")
    assert capsys.readouterr().out.splitlines()[1] == "r1.wav\tja"


def test_of_one_nothing_is_said_twice(caplog):
    assert told(caplog, REPEATS) == [f"r0.wav was ended early: {REPEATS}."]
