"""`score --partial` scores what a decoding has written so far, and says how much that is."""

from pathlib import Path

import pytest

from asr_dro_plugin.bin.score import main
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.transcripts.partial import GrowingHypotheses
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript

WORDS = ["--ref", "dump/test_x/text", "--hyp", "exp/test_x/text", "--partial"]
IDS = ["u1", "u2", "u3"]


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Three references in two languages; nothing is decoded yet."""
    monkeypatch.chdir(tmp_path)
    folder = Path("dump/test_x")
    folder.mkdir(parents=True)
    (folder / "text").write_text("u1 [eng] abcd\nu2 [deu] ab\nu3 [deu] cd\n")
    (folder / "utt2lang").write_text("u1 eng\nu2 deu\nu3 deu\n")
    return tmp_path


def decode(texts, part="1of1"):
    with GrowingHypotheses(
        Path("exp/test_x/parts") / f"hyp.{part}.jsonl", {"m": "1"}, IDS
    ) as growing:
        growing.add(Transcript(utt_id, (Hypothesis(text, 0.0),)) for utt_id, text in texts.items())


def test_only_what_is_decoded_counts(recipe, capsys):
    decode({"u1": "[eng] abcd"}, "1of2")
    decode({"u2": "[deu] ax"}, "2of2")
    with open("exp/test_x/parts/hyp.2of2.jsonl.partial", "a") as stream:
        stream.write('{"utt_id": "u3", "hypoth')  # a kill's last line
    assert main(WORDS) == 0
    first, *table = capsys.readouterr().out.splitlines()
    assert first.startswith("Partial: 2 of 3 utterances are decoded")
    rows = {line.split()[0]: line.split() for line in table if line}
    assert rows["eng"][5] == "0.0" and rows["deu"][5] == "50.0"
    assert rows["total"][2:4] == ["2", "6"]
    assert not any(line.startswith("missing") for line in table)


def test_a_set_that_is_decoded_whole_is_scored_whole(recipe, capsys):
    Path("exp/test_x").mkdir(parents=True)
    Path("exp/test_x/text").write_text("u1 [eng] abcd\nu2 [deu] ab\nu3 [deu] cd\n")
    assert main([*WORDS, "true"]) == 0
    assert capsys.readouterr().out.startswith("Partial: 3 of 3 utterances")


def test_parts_go_before_the_text_of_an_earlier_decoding(recipe, capsys):
    test_a_set_that_is_decoded_whole_is_scored_whole(recipe, capsys)
    decode({"u1": "[eng] ab"})
    main(WORDS)
    assert capsys.readouterr().out.startswith("Partial: 1 of 3 utterances")


def test_nothing_yet_is_said_in_one_line(recipe):
    with pytest.raises(UserError, match="holds none of the 3 hypotheses yet. Run stage 12"):
        main(WORDS)
    decode({"u9": "[eng] of another set"})
    with pytest.raises(UserError, match="holds none of the 3"):
        main(WORDS)


def test_a_score_that_is_not_final_is_not_written(recipe):
    decode({"u1": "[eng] ab"})
    with pytest.raises(UserError, match="Leave --json away"):
        main([*WORDS, "--json", "score.json"])
    assert not Path("score.json").exists()
