"""A table's durations were believed: a file that had been cut trained with its full text, twenty
utterances in milliseconds were 985 minutes, and NeMo's ``duration`` without ``offset`` took the
whole of a longer file."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.audio import files as audio
from asr_dro_plugin.audio.inputs import find_audio
from asr_dro_plugin.audio.read_ahead import load
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.bin.perturb_speed import perturb
from asr_dro_plugin.data import claims, corpus
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.data.dump import DumpSettings, dump_part, merge
from asr_dro_plugin.errors import UserError
from tests.sounds import data_dir, encode, noise, write_flac
from tests.tool_modules import load_local


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def cleaned(table: Path, rows: list[dict]) -> tuple[list[corpus.Utterance], DropLedger]:
    """Stage 1's utterances of a JSON manifest or a table of tabs."""
    if table.suffix == ".jsonl":
        table.write_text("\n".join(map(json.dumps, rows)))
    else:
        lines = ["\t".join(map(str, row.values())) for row in rows]
        table.write_text("\n".join(["\t".join(rows[0]), *lines]) + "\n")
    found = [utt for utt, _ in load_local("data_tsv").read_table(table, {}, one_lang="eng")]
    ledger = DropLedger()
    return corpus.clean(found, lambda text, lang: text, ledger), ledger


def dumped(max_drop: float = 1.0) -> dict[str, str]:
    settings = DumpSettings("data", "dump/set")
    dump_part(settings, 1)
    merge(settings, max_drop)
    return read_table("dump/set/wav.scp")


@pytest.mark.parametrize("ending", ["tsv", "jsonl"])
def test_a_file_shorter_than_declared_is_dropped_in_stage_1_by_its_header(tmp_path, ending):
    write_flac(tmp_path / "cut.flac", noise(0.79))
    write_flac(tmp_path / "whole.flac", noise(1.5))
    rows = [{"path": "cut.flac", "duration": 2.58, "text": "a b"},
            {"path": "whole.flac", "duration": 1.5, "text": "c"}]  # fmt: skip
    kept, ledger = cleaned(tmp_path / f"t.{ending}", rows)
    assert [utt.utt_id for utt in kept] == ["eng_whole"]
    (drop,) = ledger.drops
    assert drop.reason == "not as long as declared"
    assert "2.58 s declared, 0.79 s there" in drop.detail


@pytest.mark.parametrize("ending", ["mp3", "ogg", "flac"])
def test_what_decodes_is_compared_in_stage_3(tmp_path, ending):
    sounds = {f"eng_{n}": tmp_path / f"{n}.{ending}" for n in range(3)}
    for seconds, path in zip((0.79, 1.5, 3.0), sounds.values(), strict=True):
        soundfile.write(path, noise(seconds), 16000, format=ending.upper())
    data_dir(tmp_path / "data", sounds, utt2dur={"eng_0": "2.58", "eng_1": "1.5", "eng_2": "1.0"})
    assert set(dumped()) == {"eng_1"}
    listed = Path("dump/set/dropped.tsv").read_text()
    assert "eng_0\teng\tnot as long as declared" in listed and "2.58 s declared" in listed
    assert "eng_2\teng\tnot as long as declared" in listed
    with pytest.raises(UserError, match=r"would lose 2 of 3 eng.*not as long as declared"):
        dumped(0.5)


def test_the_claim_goes_with_a_change_of_speed(tmp_path):
    sounds = {"eng_a": write_flac(tmp_path / "a.flac", noise(0.6)),
              "eng_b": write_flac(tmp_path / "b.flac", noise(2.0))}  # fmt: skip
    data_dir(tmp_path / "first", sounds, utt2dur={"eng_a": "2.000", "eng_b": "2.000"})
    perturb("first", "data", ["0.8", "1.0"])
    assert read_table("data/utt2dur")["sp0.8-eng_b"] == "2.500"
    assert set(dumped()) == {"eng_b", "sp0.8-eng_b"}


@pytest.mark.parametrize(
    ("unit", "factor"), [("milliseconds", 1000), ("samples", 16000), ("minutes", 1 / 60)]
)
@pytest.mark.parametrize("ending", ["tsv", "jsonl"])
def test_a_unit_that_explains_it_is_named(tmp_path, unit, factor, ending):
    rows = []
    for n in range(3):
        write_flac(tmp_path / f"{n}.flac", noise(1.0 + n))
        rows.append({"path": f"{n}.flac", "duration": (1.0 + n) * factor, "text": "a"})
    if unit == "minutes" and ending == "jsonl":
        return  # a NeMo manifest says so: the beginning of the file
    kept, ledger = cleaned(tmp_path / f"t.{ending}", rows)
    assert not kept and all(f"{unit}" in drop.detail for drop in ledger.drops)
    with pytest.raises(UserError, match=f"would lose 3 of 3 eng.*{unit}"):
        ledger.conclude({"eng": 3}, tmp_path / "dropped.tsv", "corpus tsv")


def test_nemos_duration_without_offset_cuts_a_longer_file(tmp_path):
    sound = noise(4.0)
    write_flac(tmp_path / "long.flac", sound)
    encode(tmp_path / "long.mp3", sound, 16000, "libmp3lame")
    write_flac(tmp_path / "whole.flac", noise(1.0))
    rows = [
        {"audio_filepath": "long.flac", "duration": 1.25, "text": "a", "id": "f"},
        {"audio_filepath": "long.mp3", "duration": 1.25, "text": "a", "id": "m"},
        {"audio_filepath": "whole.flac", "duration": 1.0, "text": "b", "id": "w"},
    ]
    kept, ledger = cleaned(tmp_path / "m.jsonl", rows)
    ends = {utt.utt_id: utt.end for utt in kept}
    assert ends == {"eng_f": 1.25, "eng_m": 1.25, "eng_w": None} and not ledger.drops
    sets = {"train": (kept, ledger)}
    corpus.write_sets(tmp_path, "tsv", sets)
    Path("train_tsv").rename("data")
    scp = dumped(0.0)
    lengths = {utt: len(audio.read(path)[0]) / 16000 for utt, path in scp.items()}
    assert lengths == {"eng_f": 1.25, "eng_m": 1.25, "eng_w": 1.0}
    np.testing.assert_allclose(audio.read(scp["eng_f"])[0], sound[:20000], atol=4e-5)


def test_a_manifest_of_whole_files_stays_without_segments(tmp_path):
    for n in range(2):
        write_flac(tmp_path / f"{n}.flac", noise(1.234))
    rows = [{"path": f"{n}.flac", "duration": 1.23, "text": "a"} for n in range(2)]
    kept, ledger = cleaned(tmp_path / "m.jsonl", rows)
    corpus.write_sets(tmp_path, "tsv", {"train": (kept, ledger)})
    assert not Path("train_tsv/segments").exists()
    assert len(read_table("train_tsv/wav.scp")) == 2


def test_a_table_that_declares_less_than_is_there_is_no_instruction_to_cut(tmp_path):
    write_flac(tmp_path / "a.flac", noise(4.0))
    kept, ledger = cleaned(tmp_path / "t.tsv", [{"path": "a.flac", "duration": 1.1, "text": "a"}])
    assert not kept and "1.1 s declared, 4 s there" in ledger.drops[0].detail


def test_a_piece_beyond_its_file_is_told_in_stage_1(tmp_path):
    write_flac(tmp_path / "a.flac", noise(3.0))
    rows = [{"path": "a.flac", "offset": 1000, "duration": 1500, "text": "a"}]
    _, ledger = cleaned(tmp_path / "m.jsonl", rows)
    assert ledger.drops[0].reason == "segment ends after its recording"
    assert "milliseconds" in ledger.drops[0].detail


@given(st.floats(0.3, 600), st.floats(-0.004, 0.004))
def test_what_is_rounded_is_believed(seconds, error):
    assert not claims.fault(seconds + error, seconds, 16000)
    assert not claims.fault(round(seconds), seconds, 16000) or round(seconds) == 0


@given(st.floats(1.5, 600), st.floats(0.05, 0.6), st.sampled_from([8000, 16000, 44100]))
def test_what_lacks_two_fifths_and_more_is_not(seconds, share, rate):
    if seconds * (1 - share) > 1:
        assert "there" in claims.fault(seconds, seconds * share, rate)
    assert "milliseconds" in claims.fault(seconds * 1000, seconds, rate)


@pytest.mark.parametrize(("duration", "heard"), [(0.5, 0.5), (0, 2.0), (None, 2.0), (100000, 2.0)])
def test_transcribe_reads_a_manifest_as_nemo_does(tmp_path, duration, heard):
    """NeMo writes 0 or a large number for a duration that it does not know."""
    write_flac(tmp_path / "a.flac", noise(2.0))
    entry = {"audio_filepath": "a.flac", "duration": duration}
    (tmp_path / "m.jsonl").write_text(json.dumps(entry) + "\n")
    (location,) = find_audio([str(tmp_path / "m.jsonl")])
    assert load(location).duration == heard
