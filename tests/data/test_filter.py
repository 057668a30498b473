import pytest

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.data.filter import FilterLimits, filter_dir, unfit
from asr_dro_plugin.errors import UserError
from tests.sounds import data_dir


def dump(path, texts: dict[str, str], samples: dict[str, int] | None = None):
    """A dump of stage 3 as its tables say; the archive itself is not needed here."""
    num = {utt_id: str((samples or {}).get(utt_id, 16000)) for utt_id in texts}
    sounds = {utt_id: f"dump/raw/org/x/data/wav_ark.1.ark:{i}" for i, utt_id in enumerate(texts)}
    data_dir(path, sounds, text=texts, utt2num_samples=num)
    (path / "feats_type").write_text("raw\n")
    (path / "audio_format").write_text("flac.ark\n")
    return path


def kept(out) -> set[str]:
    return set(read_table(out / "wav.scp"))


@pytest.mark.parametrize("role", ["train", "valid"])
@pytest.mark.parametrize(("seconds", "stays"), [
    (0.3, False), (0.49994, False), (0.5, True), (10, True), (20, True), (20.01, False),
])  # fmt: skip
def test_both_bounds_of_the_duration_are_kept(role, seconds, stays):
    limits = FilterLimits(min_duration=0.5, max_duration=20)
    assert (unfit("[eng] a", round(seconds * 16000), role, limits) is None) is stays


@pytest.mark.parametrize(("text", "least", "stays"), [
    ("[eng] a", 1, True), ("[eng] a", 2, False), ("[eng] ab", 2, True), ("[eng]", 1, False),
    ("[eng] ", 1, False), ("", 1, False), ("ab", 2, True),
])  # fmt: skip
def test_text_is_measured_beside_the_tag(text, least, stays):
    assert (unfit(text, 16000, "train", FilterLimits(min_num_chars=least)) is None) is stays


def test_a_test_set_loses_only_what_has_no_sound(tmp_path):
    texts = {f"eng_{i}": "[eng] a" for i in range(20)}
    texts["eng_empty"] = "[eng]"
    samples = {"eng_0": 0, "eng_1": 1, "eng_2": 16000 * 100}
    dump(tmp_path / "in", texts, samples)
    filter_dir(str(tmp_path / "in"), str(tmp_path / "out"), "test", FilterLimits(), 0.05)
    assert kept(tmp_path / "out") == set(texts) - {"eng_0"}
    assert read_table(tmp_path / "out/text")["eng_empty"] == "[eng]"


def test_what_is_dropped_is_listed_and_capped_by_language(tmp_path):
    texts = {f"eng_{i}": "[eng] a" for i in range(20)} | {f"deu_{i}": "[deu] b" for i in range(4)}
    dump(tmp_path / "in", {**texts, "deu_0": "[deu]"}, {"eng_0": 100, "eng_1": 16000 * 21})
    args = str(tmp_path / "in"), str(tmp_path / "out"), "train", FilterLimits()
    with pytest.raises(UserError, match=r"lose 1 of 4 deu .*25.0 %, allowed 10 %.*deu_0: empty"):
        filter_dir(*args, max_drop=0.1)
    assert not (tmp_path / "out/wav.scp").exists()
    filter_dir(*args, max_drop=0.25)
    assert kept(tmp_path / "out") == set(texts) - {"deu_0", "eng_0", "eng_1"}
    assert (tmp_path / "out/dropped.tsv").read_text() == (
        "utt_id\tlang\treason\tdetail\n"
        "deu_0\tdeu\tempty text\t\n"
        "eng_0\teng\taudio too short\t0.006 s < 0.1 s\n"
        "eng_1\teng\taudio too long\t21.00 s > 20 s\n"
    )


def test_the_tables_still_point_into_the_dump(tmp_path):
    dump(tmp_path / "in", {"eng_a": "[eng] a", "eng_b": "[eng] b"})
    filter_dir(str(tmp_path / "in"), str(tmp_path / "out"), "train", FilterLimits(), 0.0)
    for name in ("wav.scp", "text", "utt2num_samples", "spk2utt", "feats_type", "audio_format"):
        assert (tmp_path / "out" / name).read_text() == (tmp_path / "in" / name).read_text()


def test_characters_that_training_lacks_are_listed_in_dev_and_stay(tmp_path, caplog):
    dump(tmp_path / "train", {"eng_a": "[eng] abc", "deu_a": "[deu] bcd"})
    dump(tmp_path / "dev", {"eng_b": "[eng] ab xyx", "deu_b": "[deu] abcd", "fra_b": "[fra] xa"})
    train, dev, out = (str(tmp_path / name) for name in ("train", "dev", "out"))
    filter_dir(dev, out, "valid", FilterLimits(), 0.0, train_dir=train)
    assert kept(tmp_path / "out") == {"eng_b", "deu_b", "fra_b"}
    assert (tmp_path / "out/unseen_characters.tsv").read_text().splitlines()[1:] == [
        "eng\tx\tU+0078\tLATIN SMALL LETTER X\t2\t1\teng_b",
        "eng\ty\tU+0079\tLATIN SMALL LETTER Y\t1\t1\teng_b",
        "fra\t[fra]\ttag\tlanguage tag\t1\t1\tfra_b",
        "fra\tx\tU+0078\tLATIN SMALL LETTER X\t1\t1\tfra_b",
    ]
    assert "3 unseen characters in eng" in caplog.text


def test_characters_outside_a_given_token_list_drop_training_utterances_within_the_cap(tmp_path):
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("<blank>\n<unk>\n[eng]\n<space>\na\nb\n<sos/eos>\n")
    texts = {f"eng_{i}": "[eng] a b" for i in range(9)} | {"eng_z": "[eng] añb"}
    dump(tmp_path / "in", texts)
    given = {"token_list": str(tokens)}
    args = str(tmp_path / "in"), str(tmp_path / "out")
    with pytest.raises(UserError, match=r"eng_z: characters outside the token list \(ñ U\+00F1\)"):
        filter_dir(*args, "train", FilterLimits(), 0.05, **given)
    filter_dir(*args, "train", FilterLimits(), 0.1, **given)
    assert kept(tmp_path / "out") == set(texts) - {"eng_z"}
    filter_dir(*args, "valid", FilterLimits(), 0.0, **given)
    assert kept(tmp_path / "out") == set(texts)
    assert "\tñ\t" in (tmp_path / "out/unseen_characters.tsv").read_text()
