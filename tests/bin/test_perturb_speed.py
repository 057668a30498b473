import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.bin.perturb_speed import main, parse_factors
from asr_dro_plugin.errors import UserError
from tests.sounds import data_dir


def test_copies_have_their_own_ids_and_speakers_and_the_same_text(tmp_path):
    source = data_dir(tmp_path / "data", {"eng_a": "a.flac", "deu_b": "b.flac"})
    out = tmp_path / "data_sp"
    main(["--data_dir", str(source), "--out_dir", str(out), "--factors", "0.9 1.0 1.1"])
    speeds = read_table(out / "utt2speed")
    assert speeds == {
        "eng_a": "1.0", "sp0.9-eng_a": "0.9", "sp1.1-eng_a": "1.1",
        "deu_b": "1.0", "sp0.9-deu_b": "0.9", "sp1.1-deu_b": "1.1",
    }  # fmt: skip
    assert read_table(out / "utt2spk")["sp0.9-eng_a"] == "sp0.9-eng_spk"
    assert read_table(out / "spk2utt")["eng_spk"] == "eng_a"
    for name in ("wav.scp", "text", "utt2lang", "utt2category"):
        made, original = read_table(out / name), read_table(source / name)
        assert set(made) == set(speeds)
        assert all(value == original[utt.split("-")[-1]] for utt, value in made.items())


def test_with_segments_the_recordings_stay_single(tmp_path):
    source = data_dir(tmp_path / "data", {"eng_a": "x", "eng_b": "x"})
    (source / "wav.scp").write_text("rec a.flac\n")
    (source / "segments").write_text("eng_a rec 0 1\neng_b rec 1 2\n")
    out = tmp_path / "data_sp"
    main(["--data_dir", str(source), "--out_dir", str(out), "--factors", "0.9"])
    assert read_table(out / "wav.scp") == {"rec": "a.flac"}
    assert read_table(out / "segments") == {
        "sp0.9-eng_a": "rec 0 1", "sp0.9-eng_b": "rec 1 2",
    }  # fmt: skip


@pytest.mark.parametrize("words", ["", "fast", "0.9 0.90", "0", "-1", "5", "nan", "inf"])
def test_factors_that_make_no_sense_are_refused(words):
    with pytest.raises(UserError, match="--factors"):
        parse_factors(words)
