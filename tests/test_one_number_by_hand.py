"""One number followed by hand: from wav.scp through every stage's own code to RESULTS.md.

Italian has two test utterances.  Each letter is a frame of the emission; ``_`` is the blank:

    it_1  "ciao a te"  is heard as  c i i a _ a o   a   b e   -> "ciaao a be"
          against "ciao a te": an inserted a, and b for t         2 errors of 9 characters
    it_2  "no"         is heard as  n o _ o                   -> "noo"
          against "no": an inserted o                             1 error  of 2 characters

CER of Italian: (2 + 1) / (9 + 2) = 3 / 11 = 27.27 %.  Russian lacks 1 of 3 letters, 33.33 %.
macro = (27.27 + 33.33) / 2 = 30.3 %.  WER of Italian: (ciao, te, no wrong) 3 of 4 words = 75 %.
A third Italian utterance is empty audio, which is left out of every figure.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.bin import dump_audio, filter_data, report, score
from asr_dro_plugin.decoding.build import build_decoder
from asr_dro_plugin.decoding.greedy import tokens_to_text
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.transcripts.files import TranscriptFiles
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript
from tests.sounds import data_dir, noise, write_flac

TOKENS = ["<blank>", "[ita]", "[rus]", " ", *"abceinotгде", "<sos/eos>"]
TEXTS = {"ita_1": "[ita] Ciao, a te!", "ita_2": "[ita] no", "ita_3": "[ita] via",
         "rus_1": "[rus] Где?"}  # fmt: skip
HEARD = {"ita_1": ["[ita]", *"ciia_ao a be"], "ita_2": ["[ita]", *"no_o"],
         "rus_1": ["[rus]", *"гге"]}  # fmt: skip
FOLDER = Path("exp/asr_x/decode_greedy/test_x")


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """Stages 3, 4, 12 and 13 of a set that lies in data/test_x."""
    monkeypatch.chdir(tmp_path)
    seconds = {"ita_1": 1.0, "ita_2": 0.5, "ita_3": 0.0, "rus_1": 0.5}
    sounds = {
        utt_id: write_flac(tmp_path / f"{utt_id}.flac", noise(length, 44100), 44100)
        for utt_id, length in seconds.items()
    }
    data_dir(tmp_path / "data/test_x", sounds, text=TEXTS)
    dump = ["--data_dir", "data/test_x", "--out_dir", "dump/raw/org/test_x", "--num_parts", "1"]
    dump_audio.main([*dump, "--part", "1", "--max_drop", "0.5"])
    dump_audio.main([*dump, "--merge", "true", "--max_drop", "0.5"])
    filter_data.main(["--in_dir", "dump/raw/org/test_x", "--out_dir", "dump/raw/test_x",
                      "--role", "test", "--max_drop", "0.5"])  # fmt: skip
    decode(read_table("dump/raw/test_x/wav.scp"))
    score.main(["dump/raw/test_x/text", str(FOLDER / "text"), "--json", str(FOLDER / "score.json"),
                "--utts", str(FOLDER / "utts.tsv")])  # fmt: skip
    score.main(["--results", "exp/asr_x"])
    report.main(["exp/asr_x", "--dump", "dump/raw"])
    return tmp_path


def decode(utt_ids):
    """Greedy decoding of made emissions, written as stage 12 writes it."""
    decoder = build_decoder(read_decode_config({"mode": "greedy"}), TOKENS, "char", blank_id=0)
    with TranscriptFiles(FOLDER, ["text", "jsonl"], list(utt_ids)) as files:
        for utt_id in utt_ids:
            names = ["<blank>" if name == "_" else name for name in HEARD[utt_id]]
            log_probs = np.full((1, len(names), len(TOKENS)), -9.0, dtype=np.float32)
            log_probs[0, range(len(names)), list(map(TOKENS.index, names))] = -0.01
            emission = Emission(log_probs, np.array([len(names)]), 0.02, 0, TOKENS)
            [[path, *_]] = decoder(emission)
            text = tokens_to_text(path.ids, TOKENS, "char")
            files.add(Transcript(utt_id, (Hypothesis(text, path.score),)))


def test_the_cer_of_a_language_is_the_one_counted_by_hand_in_every_file(scored):
    assert set(read_table("dump/raw/test_x/text")) == {"ita_1", "ita_2", "rus_1"}
    assert read_table(FOLDER / "text")["ita_1"] == "[ita] ciaao a be"
    found = json.loads((FOLDER / "score.json").read_text())
    cer = found["groups"]["ita"]["cer"]
    assert (cer["errors"], cer["insertions"], cer["substitutions"], cer["ref"]) == (3, 2, 1, 11)
    assert cer["rate"] == 3 / 11 and found["groups"]["rus"]["cer"]["rate"] == 1 / 3
    assert found["macro"]["cer"] == pytest.approx((3 / 11 + 1 / 3) / 2)
    assert found["groups"]["ita"]["wer"]["rate"] == 3 / 4
    rows = [line.split("\t") for line in (FOLDER / "utts.tsv").read_text().splitlines()]
    column = rows[0].index("cer_errors")
    assert [(row[0], row[column]) for row in rows[1:]] == [
        ("ita_1", "2"), ("ita_2", "1"), ("rus_1", "1")
    ]  # fmt: skip
    results = Path("exp/asr_x/RESULTS.md").read_text()
    [line] = [line for line in results.splitlines() if re.match(r"\|\s*ita\b", line)]
    assert "27.3" in line and "75.0" in line
    assert "30.3" in results
    page = Path("exp/asr_x/report.html").read_text()
    assert "27.3" in page and "30.3" in page
