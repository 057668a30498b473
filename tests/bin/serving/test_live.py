"""``asr-dro live``: sound from standard input, a line an item."""

import pytest

from asr_dro_plugin.bin.serving import live
from asr_dro_plugin.errors import UserError
from tests.runtime.live.tones import ToneRecogniser, pcm, says


def run(sound, tmp_path, monkeypatch, capsys, *options):
    """(exit code, stdout) with these bytes as standard input."""
    (tmp_path / "sound").write_bytes(sound)
    monkeypatch.setattr("asr_dro_plugin.runtime.recogniser.Recogniser",
                        lambda path, threads: ToneRecogniser())  # fmt: skip
    with (tmp_path / "sound").open() as source:
        monkeypatch.setattr("sys.stdin", source)
        return live.main(["m", *options]), capsys.readouterr().out


def test_each_item_is_a_line(tmp_path, monkeypatch, capsys):
    sound = pcm(says("abc de__fa__hg"))
    assert run(sound, tmp_path, monkeypatch, capsys) == (0, "abc de\nfa\nhg\n")


def test_no_sound_is_no_line(tmp_path, monkeypatch, capsys):
    assert run(b"", tmp_path, monkeypatch, capsys) == (0, "")


def test_a_rate_that_is_not_taken_is_refused(tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match="44100 Hz"):
        run(b"", tmp_path, monkeypatch, capsys, "--rate", "44100")
