"""Stage 12 as a command: formats, faults and exit codes, one bad file never stops the rest."""

import json
import shutil

import pytest

from asr_dro_plugin.base.kaldi_io import read_table, write_table
from asr_dro_plugin.bin import decode, score
from asr_dro_plugin.decoding.parts import LEFT_OUT, read_durations
from asr_dro_plugin.errors import SomeLeftOut, UserError
from asr_dro_plugin.transcripts.files import FORMATS
from asr_dro_plugin.transcripts.partial import read_so_far
from asr_dro_plugin.transcripts.transcript import from_json
from tests.espnet import decoding


@pytest.fixture
def data(dump, tmp_path):
    """The test set with five utterances more, none of which can be decoded."""
    folder = tmp_path / "data"
    shutil.copytree(dump / "test", folder)
    (folder / "empty.wav").touch()
    (folder / "noise.wav").write_bytes(b"no sound at all" * 100)
    whole = next((folder / "audio").iterdir()).read_bytes()
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    bad = {name: str(folder / f"{name}.wav") for name in ("empty", "noise", "cut", "gone")}
    write_table(folder / "wav.scp", read_table(folder / "wav.scp") | bad)
    lengths = read_table(folder / "utt2num_samples")
    write_table(folder / "utt2num_samples", lengths | dict.fromkeys([*bad, "unknown"], "16000"))
    return folder


def test_what_cannot_be_read_is_listed_and_the_rest_is_done(trained, dump, data, tmp_path, caplog):
    out = tmp_path / "out"
    words = decoding.words(trained, data, out)
    assert decode.main(words) == 0  # so that the other parts go on
    with pytest.raises(SomeLeftOut) as error:
        decode.main([*words, "--merge", "true"])
    assert str(error.value).startswith("5 of 21 utterances have no text (cut: ")
    assert error.value.exit_code == 3
    rows = [line.split("\t") for line in (out / LEFT_OUT).read_text().splitlines()[1:]]
    assert [utt_id for utt_id, _ in rows] == ["cut", "empty", "gone", "noise", "unknown"]
    for (_, fault), said in zip(
        rows, ("cut off", "empty file", "does not exist", "cannot be decoded", "no line for"),
        strict=True,
    ):  # fmt: skip
        assert said in fault
    assert all(any(utt_id in message for message in caplog.messages) for utt_id, _ in rows)

    straight = tmp_path / "straight"
    good = decoding.words(trained, dump / "test", straight)
    decode.main(good)
    decode.main([*good, "--merge", "true"])
    texts = read_table(out / "text")
    assert texts == read_table(straight / "text") | dict.fromkeys(bad_ids(rows), "")
    assert not (straight / LEFT_OUT).exists()


def bad_ids(rows):
    return [utt_id for utt_id, _ in rows]


def test_strict_ends_at_the_first_with_exit_code_1(trained, data, tmp_path):
    words = decoding.words(trained, data, tmp_path / "out")
    with pytest.raises(UserError, match="--strict true") as error:
        decode.main([*words, "--strict", "true"])
    assert error.value.exit_code == 1


def test_every_format_comes_from_one_decoding(trained, dump, tmp_path):
    out = tmp_path / "out"
    words = [*decoding.words(trained, dump / "test", out), "--formats", " ".join(FORMATS)]
    decode.main(words)
    decode.main([*words, "--merge", "true"])
    ids = list(read_table(dump / "test/wav.scp"))
    lines = (out / "hyp.jsonl").read_text(encoding="utf-8").splitlines()
    transcripts = [from_json(line) for line in lines]
    assert [each.utt_id for each in transcripts] == ids == list(read_table(out / "text"))
    assert {path.name for path in out.iterdir()} == {
        "text", "hyp.jsonl", "ctm", "hyp.trn", "nbest", "nbest.tsv", "srt", "vtt", "txt", "parts",
    }  # fmt: skip
    for ending in ("srt", "vtt", "txt"):
        assert {path.name for path in (out / ending).iterdir()} == {f"{u}.{ending}" for u in ids}
    said = sum(len(each.best.words) for each in transcripts)
    assert len((out / "ctm").read_text().splitlines()) == said


def test_the_folder_of_texts_is_scored_as_the_table_is(trained, dump, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(dump / "test", data)
    lengths = list(read_table(data / "utt2num_samples").items())[:7]
    write_table(data / "utt2num_samples", dict(lengths))
    words = [*decoding.words(trained, data, out, seconds=3.0), "--formats", "text txt"]
    decode.main(words)
    decode.main([*words, "--merge", "true"])
    assert {path.name for path in (out / "txt").iterdir()} == {f"{u}.txt" for u, _ in lengths}
    texts = read_table(data / "text")
    write_table(data / "ref", {utt_id: texts[utt_id] for utt_id, _ in lengths})
    reports = []
    for hyp in (out / "text", out / "txt"):
        report = tmp_path / f"{hyp.name}.json"
        assert score.main([str(data / "ref"), str(hyp), "--json", str(report)]) == 0
        found = json.loads(report.read_text())
        assert found["missing"]["count"] == found["extra"]["count"] == 0
        reports.append(found["total"])
    assert reports[0] == reports[1]


def test_a_subtitle_is_asked_for_before_decoding_as_its_times_are(trained, dump, tmp_path):
    words = decoding.words(trained, dump / "test", tmp_path / "out")
    decode.main([*words, "--formats", "srt"])
    note = json.loads((tmp_path / "out/parts/hyp.1of1.jsonl.source").read_text())
    assert json.loads(note["decoding configuration"])["times"] is True


def test_parts_without_times_are_not_joined_into_empty_subtitles(trained, dump, tmp_path):
    words = decoding.words(trained, dump / "test", tmp_path / "out")
    decode.main(words)
    with pytest.raises(UserError, match="--formats ctm srt needs times, and .* holds none"):
        decode.main([*words, "--merge", "true", "--formats", "text ctm srt"])
    assert not (tmp_path / "out/text").exists()
    decode.main([*words, "--merge", "true"])  # what was decoded is still there
    assert (tmp_path / "out/text").exists()


@pytest.mark.parametrize("words", [["--part", "0"], ["--part", "3", "--num_parts", "2"]])
def test_a_part_that_is_none_is_wrong_usage(trained, dump, tmp_path, words):
    with pytest.raises(SystemExit) as ended:
        decode.main([*decoding.words(trained, dump / "test", tmp_path / "out"), *words])
    assert ended.value.code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("yaml", "words", "fault"),
    [
        ("mode: gredy", [], "mode is 'gredy', which is unknown. Did you mean 'greedy'"),
        ("beam_sise: 3", [], "'beam_sise' is no option"),
        ("mode: lm", [], "mode lm needs a language model"),
        ("mode: lm", ["--lm_dir", "nowhere"], "--lm_dir nowhere does not exist"),
        ("mode: greedy", ["--lm_dir", "nowhere"], "mode greedy does not use --lm_dir"),
        ("mode: greedy", ["--nbest", "3"], "mode greedy does not use nbest"),
        ("mode: greedy", ["--stride", "1"], "stride needs chunk_length"),
        ("mode: greedy", ["--formats", "subtitles"], "--formats subtitles is not known"),
        ("mode: greedy", ["--lang", "forced"], "lang is forced, but .* has neither utt2lang nor"),
        ("mode: espnet\nlm_file: nowhere.pth", [], "lm_file .* nowhere.pth, does not exist"),
    ],
)
def test_wrong_settings_are_one_line_before_anything_is_loaded(
    trained, dump, tmp_path, yaml, words, fault
):
    config, data = tmp_path / "decode.yaml", tmp_path / "data"
    config.write_text(yaml)
    shutil.copytree(dump / "test", data, ignore=shutil.ignore_patterns("utt2category"))
    where = ["--exp", str(trained), "--data_dir", str(data), "--out_dir", str(tmp_path / "out")]
    with pytest.raises(UserError, match=fault):
        decode.main([*where, "--config", str(config), *words])
    assert not (tmp_path / "out").exists()


def test_a_damaged_length_is_named(tmp_path):
    (tmp_path / "utt2num_samples").write_text("u1 160\nu2 1.5\n")
    with pytest.raises(UserError, match="utt2num_samples gives 'u2' 1.5 samples"):
        read_durations(tmp_path)


def test_another_language_model_begins_anew(tmp_path, trained, dump):
    from asr_dro_plugin.decoding.parts import source_of

    lm_dir = tmp_path / "lm"
    (lm_dir / "joint").mkdir(parents=True)
    (lm_dir / "joint/lm.arpa").write_text("one")
    given = (trained, "1epoch.pth", {"mode": "lm", "lang": "free"}, dump / "test", str(lm_dir))
    before = source_of(*given)
    moved = lm_dir.rename(tmp_path / "moved")
    assert source_of(*given[:-1], str(moved)) == before
    (moved / "joint/lm.arpa").write_text("two")
    changed = source_of(*given[:-1], str(moved))
    assert {key for key in before if before[key] != changed[key]} == {
        "language model joint/lm.arpa"
    }


def test_a_part_under_way_is_read_as_text(trained, dump, tmp_path):
    words = [*decoding.words(trained, dump / "test", tmp_path / "out"), "--num_parts", "2"]
    decode.main([*words, "--part", "2"])
    found = read_so_far(tmp_path / "out/parts")
    assert len(found) == 8 and set(found) < set(read_table(dump / "test/wav.scp"))
