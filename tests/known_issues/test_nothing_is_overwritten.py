"""What an earlier command has written stays, unless --overwrite true says that it may go.

``pack`` replaced another model's archive without a word, and so did the other commands that write
to a place of the user's choice.
"""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr_dro_plugin.bin import (
    align,
    convert_checkpoint,
    decode,
    lm,
    pack,
    report,
    score,
    segment,
    tune_lm,
    vocab,
)
from asr_dro_plugin.decoding.output import check_output
from asr_dro_plugin.errors import UserError
from tests.packs import MODEL, weights, write_experiment

ROOT = Path(__file__).resolve().parents[2]
THERE = "is there already. Give another place, or --overwrite true."


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(run, *kept: Path, match: str = THERE):
    """``run`` ends in one line, and the files are what they were."""
    before = [path.read_bytes() for path in kept]
    with pytest.raises(UserError, match=re.escape(match)):
        run()
    assert [path.read_bytes() for path in kept] == before


def test_a_packed_model_is_replaced_by_the_same_model_alone(here):
    exp, archive = write_experiment(here), here / "m.zip"
    again = [str(exp), "--out", "m.zip"]
    pack.main(again)
    pack.main(again)
    pack.main([*again, "--licence", "cc-by-4.0"])  # another card of the same model
    assert b"cc-by-4.0" in archive.read_bytes()
    other = {**weights(), "encoder.net.weight": torch.zeros(4, 4)}
    torch.save(other, (exp / MODEL).resolve())
    refused(lambda: pack.main(again), archive)
    pack.main([*again, "--overwrite", "true"])
    archive.write_bytes(b"a photograph")
    refused(lambda: pack.main(again), archive)


@pytest.mark.parametrize(
    ("script", "command"),
    [
        ("egs2/asr_dro/asr1/asr.sh", '--run "${pack[@]}"'),
        ("egs2/asr_dro/asr1/asr.sh", '--ngpu "${inference_ngpu}"'),  # stage 12
        ("local/lm.sh", '"${estimate[@]}"'),
        ("local/lm.sh", '--json "${lm_dir}/perplexity.json"'),
        ("local/score.sh", '--utts "${folder}/utts.tsv"'),
    ],
)
def test_the_recipe_replaces_what_its_marks_say_is_old(script, command):
    assert f"{command} --overwrite true" in (ROOT / script).read_text("utf-8")


def test_a_list_of_tokens_is_replaced_by_the_same_list_alone(here):
    text, out = here / "corpus.txt", here / "tokens.txt"
    command = ["corpus.txt", "--out", "tokens.txt"]
    text.write_text("abc\n" * 3)
    vocab.main(command)
    vocab.main(command)
    text.write_text("abcd\n" * 3)
    refused(lambda: vocab.main(command), out)
    vocab.main([*command, "--overwrite", "true"])
    assert "d" in out.read_text().split()


def test_language_models_of_another_name_stay_and_one_of_the_same_name_is_not_replaced(here):
    (here / "corpus.txt").write_text("a b c\na b d\n" * 3)
    lm.main(["build", "--order", "2", "corpus.txt"])
    kept = here / "lm/joint/lm.arpa.gz"
    refused(lambda: lm.main(["build", "--order", "1", "corpus.txt"]), kept)
    shutil.move(here / "lm/joint", here / "lm/eng")
    lm.main(["build", "--order", "1", "corpus.txt"])
    before = kept.read_bytes()
    lm.main(["build", "--order", "2", "corpus.txt", "--overwrite", "true"])
    assert kept.read_bytes() != before and (here / "lm/eng/lm.json").is_file()


def test_another_decodings_texts_are_refused_before_and_after_the_decoding(here):
    (here / "data").mkdir()
    (here / "data/utt2num_samples").write_text("a 16000\n")
    (here / "out").mkdir()
    (here / "out/text").write_text("a mine\n")
    command = [
        "--exp",
        "nowhere",
        "--config",
        "none.yaml",
        "--data_dir",
        "data",
        "--out_dir",
        "out",
    ]
    for more in ([], ["--merge", "true"]):
        refused(lambda more=more: decode.main([*command, *more]), here / "out/text")
    refused(lambda: decode.main([*command, "--overwrite", "true"]), match="nowhere")
    refused(lambda: decode.main([*command, "--formats", "ctm"]), match="nowhere")  # not text


@pytest.mark.parametrize("option", ["--json", "--utts", "--alignments"])
def test_another_score_is_refused_before_anything_is_read(here, option):
    (here / "mine").write_text("my own\n")
    refused(lambda: score.main(["nowhere", "nothing", option, "mine"]), here / "mine")
    (here / "ref").write_text("a one two\n")
    score.main(["ref", "ref", option, "mine", "--overwrite", "true"])
    assert (here / "mine").read_text() != "my own\n"


def test_another_measure_of_a_language_model_is_not_replaced(here):
    (here / "corpus.txt").write_text("a b c\na b d\n" * 3)
    (here / "p.json").write_text("my own\n")
    lm.main(["build", "--order", "2", "corpus.txt"])
    command = ["perplexity", "lm", "corpus.txt", "--json", "p.json"]
    refused(lambda: lm.main(command), here / "p.json")
    lm.main([*command, "--overwrite", "true"])
    assert "text_norm" in (here / "p.json").read_text()


def test_a_converted_checkpoint_is_not_replaced(here):
    state = {"model": {"w": torch.zeros(2)}, "cfg": {"task": {}, "model": {}}}
    torch.save(state, here / "in.pt")
    convert_checkpoint.main(["in.pt", "out.pt"])
    refused(lambda: convert_checkpoint.main(["in.pt", "out.pt"]), here / "out.pt")
    convert_checkpoint.main(["in.pt", "out.pt", "--layout", "s3prl", "--overwrite", "true"])
    assert "model_weight" in torch.load(here / "out.pt")


def test_transcripts_are_refused_before_a_model_is_loaded(here):
    from asr_dro_plugin.audio.read_ahead import Location

    (here / "out").mkdir()
    (here / "out/talk.srt").write_text("1\n")
    talk, other = Location("talk.wav", "talk.wav"), Location("b.wav", "b.wav")
    refused(lambda: check_output("out", ("srt",), [talk]), here / "out/talk.srt")
    check_output("out", ("srt",), [other])
    check_output("out", ("text", "vtt"), [talk])
    check_output("out", ("srt",), [talk], overwrite=True)


def test_times_of_words_are_refused_before_a_model_is_loaded(here):
    for name in ("a.wav", "a.txt", "out/ctm"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text("a")
    command = ["a.wav", "a.txt", "--exp", "nowhere", "--out", "out"]
    refused(lambda: align.main(command), here / "out/ctm")


def test_recordings_are_not_cut_into_a_corpus_that_is_there(here):
    pytest.importorskip("silero_vad")
    soundfile.write(here / "talk.wav", np.zeros(16000, "float32"), 16000)
    (here / "data/train").mkdir(parents=True)
    (here / "data/train/wav.scp").write_text("a a.wav\n")
    command = ["talk.wav", "--out", "data/train"]
    refused(lambda: segment.main(command), here / "data/train/wav.scp")


def test_a_tuning_does_not_replace_the_configuration_that_it_began_with(here):
    config = here / "decode.yaml"
    config.write_text("mode: lm\n")
    command = ["--exp", "e", "--config", "decode.yaml", "--data_dir", "d", "--lm_dir", "lm"]
    refused(lambda: tune_lm.main([*command, "--out", "decode.yaml"]), config)


def test_a_report_replaces_a_page_and_nothing_else(here):
    exp = write_experiment(here)
    table, command = here / "results.tsv", [str(exp), "--audio", "0", "--results", "false"]
    table.write_text("my own\n")
    again = [*command, "--out", "results.tsv"]
    refused(lambda: report.main(again), table, match="is no page. Give another --out.")
    report.main([*command, "--out", "r.html"])
    report.main([*command, "--out", "r.html"])
