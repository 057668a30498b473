"""``asr-dro align``: words with times of a given text; what cannot be aligned is named."""

import shutil
from pathlib import Path

import pytest

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.bin.align import main
from asr_dro_plugin.errors import SomeLeftOut, UserError
from asr_dro_plugin.transcripts.transcript import from_json


@pytest.fixture
def data_dir(dump, tmp_path) -> Path:
    """The toy test set, whose recordings are some seconds long."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("wav.scp", "text"):
        shutil.copy(dump / "test" / name, folder)
    return folder


def change(table: Path, **entries: str) -> None:
    write_table(table, {**read_table(table), **entries})


def lines_of(ctm: str) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for line in ctm.splitlines():
        found.setdefault(line.split()[0], []).append(line.split()[1:])
    return found


def test_every_word_gets_a_time_inside_its_audio(trained, data_dir, tmp_path):
    out = tmp_path / "out"
    options = ["--exp", str(trained), "--out", str(out), "--low_score", "-99"]
    assert main(["--data_dir", str(data_dir), *options]) == 0
    texts = read_table(data_dir / "text")
    words = lines_of((out / "ctm").read_text())
    for utt_id, text in texts.items():
        assert [line[3] for line in words[utt_id]] == text.split()[1:]  # without the tag
    assert set(read_table(out / "scores")) == set(texts)
    options += ["--format", "json", "--overwrite", "true"]
    assert main(["--data_dir", str(data_dir), *options]) == 0
    results = [from_json(line) for line in (out / "align.jsonl").read_text().splitlines()]
    for result in results:
        bounds = [edge for word in result.best.words for edge in (word.start, word.end)]
        assert bounds == sorted(bounds)
        assert bounds[0] >= 0 and bounds[-1] <= result.duration
        assert "".join(char.text for char in result.best.chars) == texts[result.utt_id][5:].replace(
            " ", ""
        )


def test_what_does_not_fit_is_named_and_the_rest_is_done(trained, data_dir, tmp_path, capsys):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF no audio")
    bad = list(read_table(data_dir / "text"))[:3]
    change(data_dir / "wav.scp", **{bad[0]: str(broken)})
    change(data_dir / "text", **{bad[1]: "[eng] жaba", bad[2]: "[eng] " + "abba " * 200})
    out, options = tmp_path / "out", ["--exp", str(trained), "--data_dir", str(data_dir)]
    with pytest.raises(SomeLeftOut, match="3 of 16 utterances are not aligned, see .*left_out"):
        main([*options, "--out", str(out), "--low_score", "0"])
    errors = capsys.readouterr().err
    assert f"{bad[1]}: The model has tokens for no word of the text, which has 'ж'" in errors
    assert f"{bad[2]}: " in errors and "frames are too few" in errors
    assert "fits badly: score -" in errors and "... and 3 more\n" in errors
    assert set(read_table(out / "left_out")) == set(bad)
    assert len(read_table(out / "scores")) == 13
    with pytest.raises(UserError, match=bad[0]) as stopped:
        main([*options, "--strict", "true"])
    assert stopped.value.exit_code == 1


def test_one_recording_and_its_text_go_to_the_terminal(trained, data_dir, tmp_path, capsys):
    audio = next(iter(read_table(data_dir / "wav.scp").values()))
    text = tmp_path / "text.txt"
    text.write_text("Abba,\ncab\n")
    options = ["--exp", str(trained), "--lang", "eng", "--text_norm", "lower_no_punct"]
    assert main([audio, str(text), *options]) == 0
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[4] for line in words] == ["Abba,", "cab"]
    assert all(line[:2] == [audio, "1"] for line in words)


@pytest.mark.parametrize("words", [[], ["a.wav"], ["a.wav", "a.txt", "--data_dir", "data"]])
def test_either_a_data_directory_or_a_pair_is_given(words):
    with pytest.raises(UserError, match="Give --data_dir DIR, or one AUDIO and one TEXTFILE"):
        main([*words, "--exp", "nowhere"])


def test_options_are_looked_at_before_a_model_is_loaded(tmp_path):
    (tmp_path / "a.wav").touch()
    pair = [str(tmp_path / "a.wav")] * 2
    with pytest.raises(UserError, match="--text_norm lower is not known"):
        main([*pair, "--exp", str(tmp_path), "--text_norm", "lower"])
    with pytest.raises(UserError, match="holds no config.yaml"):
        main([*pair, "--exp", str(tmp_path)])


def test_an_empty_text_and_ids_without_a_partner_are_listed(trained, data_dir, tmp_path):
    bad = list(read_table(data_dir / "text"))[:3]
    change(data_dir / "text", **{bad[0]: "[eng]", bad[1]: "[eng] \u2026", "ghost": "[eng] abba"})
    text = read_table(data_dir / "text")
    write_table(data_dir / "text", {u: value for u, value in text.items() if u != bad[2]})
    out, options = tmp_path / "out", ["--exp", str(trained), "--data_dir", str(data_dir)]
    options += ["--text_norm", "lower_no_punct", "--low_score", "-99"]
    with pytest.raises(SomeLeftOut, match="4 of 17 utterances are not aligned"):
        main([*options, "--out", str(out)])
    left_out = read_table(out / "left_out")
    assert left_out["ghost"] == "It has a text, but no audio."
    assert left_out[bad[2]] == "It has audio, but no text."
    assert "The text is empty" in left_out[bad[0]] and "The text is empty" in left_out[bad[1]]
    assert len(read_table(out / "scores")) == 13
    with pytest.raises(UserError, match="ghost: It has a text") as stopped:
        main([*options, "--strict", "true"])
    assert stopped.value.exit_code == 1


def test_a_language_that_the_model_has_not_is_said(trained, data_dir, tmp_path, capsys):
    pair = [next(iter(read_table(data_dir / "wav.scp").values())), str(tmp_path / "text")]
    (tmp_path / "text").write_text("abba")
    with pytest.raises(SystemExit) as stopped:
        main([*pair, "--exp", str(trained), "--lang", "english"])
    assert stopped.value.code == 2
    assert "'english' is no ISO 639-3 code" in capsys.readouterr().err
    assert main([*pair, "--exp", str(trained), "--lang", "fin"]) == 0
    assert "WARNING: the model has no [fin], only [" in capsys.readouterr().err
