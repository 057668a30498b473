"""asr_dro_plugin/data/corpus.py: utterances -> Kaldi data directories."""

import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.data.corpus import (
    Utterance,
    clean,
    kaldi_ids,
    made_from_split,
    refuse_duplicates,
    write_sets,
)
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import lower_no_punct
from tests.sounds import noise, write_flac

NAMES = st.text(min_size=1, max_size=8)


@given(speaker=NAMES, utt_id=NAMES)
def test_ids_begin_with_language_and_speaker_and_have_no_white_space(speaker, utt_id):
    kaldi_speaker, kaldi_utt = kaldi_ids("eng", speaker, utt_id)
    assert kaldi_speaker.startswith("eng_")
    assert kaldi_utt.startswith(kaldi_speaker)
    assert kaldi_utt.split() == [kaldi_utt]
    assert "/" not in kaldi_utt
    assert kaldi_ids("eng", kaldi_speaker, kaldi_utt) == (kaldi_speaker, kaldi_utt)


@pytest.mark.parametrize(
    ("speaker", "utt_id", "expected"),
    [
        ("kerstin", "kerstin-0068", ("deu_kerstin", "deu_kerstin-0068")),
        ("anna", "0001", ("deu_anna", "deu_anna-0001")),
        ("so96", "so9649-1", ("deu_so96", "deu_so96-so9649-1")),
        ("deu_x", "deu_x_1", ("deu_x", "deu_x_1")),
        ("u1", "u1", ("deu_u1", "deu_u1")),
        ("a b", "digits/1 2", ("deu_a-b", "deu_a-b-digits-1-2")),
    ],
)
def test_ids_are_changed_no_more_than_kaldi_needs(speaker, utt_id, expected):
    assert kaldi_ids("deu", speaker, utt_id) == expected


def utterance(number, tmp_path, text="Hello, World!", seconds=0.5, **kwargs):
    path = write_flac(tmp_path / f"{number}.flac", noise(seconds))
    fields = {"lang": "eng", "speaker": "eng_a", "source": f"table:{number}", **kwargs}
    return Utterance(f"eng_a-{number}", str(path), text, **fields)


def test_unusable_utterances_are_dropped_by_reason(tmp_path, caplog):
    empty = tmp_path / "empty.wav"
    empty.touch()
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"this is no audio, whatever its name says")
    utterances = [
        utterance(1, tmp_path),
        utterance(2, tmp_path, text=" ...! "),
        utterance(3, tmp_path, duration=0.0),
        Utterance("eng_a-4", str(tmp_path / "nowhere.wav"), "x", "eng", "eng_a"),
        Utterance("eng_a-5", str(empty), "x", "eng", "eng_a"),
        Utterance("eng_a-6", str(noise), "x", "eng", "eng_a"),
        Utterance("eng_a-7", str(tmp_path / "gone.wav"), "x", "eng", "eng_a", duration=1.0),
    ]
    ledger = DropLedger()
    (kept,) = clean(utterances, lower_no_punct, ledger)
    assert (kept.text, kept.duration, kept.category) == ("hello world", 0.5, "eng")
    assert {drop.utt_id[-1]: drop.reason for drop in ledger.drops} == {
        "2": "empty text",
        "3": "zero length",
        "4": "missing audio",
        "5": "zero length",
        "6": "unreadable audio",
        "7": "missing audio",
    }


def test_a_tag_that_the_text_has_already_is_not_doubled(tmp_path):
    (kept,) = clean([utterance(1, tmp_path, "[eng] Yes.")], lower_no_punct, DropLedger())
    assert kept.text == "yes"
    (other,) = clean([utterance(1, tmp_path, "[fra] Yes.")], lower_no_punct, DropLedger())
    assert other.text == "fra yes"  # not this language's tag, so it is text


def test_a_second_utterance_of_the_same_id_is_an_error_that_names_both(tmp_path):
    with pytest.raises(UserError, match=r"table:2 gives utterance .*first: table:1"):
        refuse_duplicates(
            [
                utterance(1, tmp_path),
                Utterance("eng_a-1", "x", "", "eng", "eng_a", source="table:2"),
            ]
        )


def three_sets(tmp_path, count=2, **kwargs):
    made = {}
    for name in ("train", "dev", "test"):
        ledger = DropLedger()
        made[name] = (
            clean(
                [utterance(f"{name}{n}", tmp_path, **kwargs) for n in range(count)],
                lower_no_punct, ledger,
            ),
            ledger,
        )  # fmt: skip
    return made


def test_a_set_is_a_valid_kaldi_directory(tmp_path):
    write_sets(tmp_path / "data", "toy", three_sets(tmp_path))
    folder = tmp_path / "data" / "train_toy"
    assert read_table(folder / "text") == {
        "eng_a-train0": "[eng] hello world",
        "eng_a-train1": "[eng] hello world",
    }
    ids = list(read_table(folder / "text"))
    for name in ("wav.scp", "utt2spk", "utt2lang", "utt2category", "utt2dur", "utt2corpus"):
        assert list(read_table(folder / name)) == ids
    assert read_table(folder / "spk2utt") == {"eng_a": "eng_a-train0 eng_a-train1"}
    assert read_table(folder / "utt2dur")["eng_a-train0"] == "0.500"
    assert (folder / "dropped.tsv").read_text() == "utt_id\tlang\treason\tdetail\n"
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == [
        "dev_toy", "test_toy", "train_toy",
    ]  # fmt: skip


def test_without_lid_the_text_has_no_tag(tmp_path):
    write_sets(tmp_path, "toy", three_sets(tmp_path), lid=False)
    assert set(read_table(tmp_path / "dev_toy" / "text").values()) == {"hello world"}


def test_stretches_of_a_recording_become_segments(tmp_path):
    sets = three_sets(tmp_path)
    cut = [utterance("0", tmp_path, start=0.1, end=0.3), utterance("1", tmp_path, start=0.4)]
    ledger = DropLedger()
    sets["train"] = clean(cut, lower_no_punct, ledger), ledger
    write_sets(tmp_path, "toy", sets)
    folder = tmp_path / "train_toy"
    assert read_table(folder / "segments") == {
        "eng_a-0": "rec-0000001 0.100 0.300",
        "eng_a-1": "rec-0000002 0.400 0.500",
    }
    assert list(read_table(folder / "wav.scp")) == ["rec-0000001", "rec-0000002"]


def test_sets_that_are_not_whole_leave_the_old_ones_in_place(tmp_path):
    write_sets(tmp_path, "toy", three_sets(tmp_path))
    before = (tmp_path / "train_toy" / "text").read_text()
    broken = three_sets(tmp_path, text="other")
    broken["test"] = [], DropLedger()
    with pytest.raises(UserError, match="test_toy would be empty"):
        write_sets(tmp_path, "toy", broken)
    assert (tmp_path / "train_toy" / "text").read_text() == before
    assert not list(tmp_path.glob(".new*"))


def test_a_language_that_loses_too_much_is_an_error_and_the_list_stays(tmp_path):
    sets = three_sets(tmp_path, count=5)
    sets["test"][1].add("eng_a-x", "eng", "missing audio", "x.wav")
    write_sets(tmp_path, "toy", sets, cap=0.07)  # 1 of 16
    with pytest.raises(UserError, match=r"1 of 16 eng utterances .*eng_a-x: missing audio"):
        write_sets(tmp_path, "toy", sets, cap=0.05)
    assert "eng_a-x" in (tmp_path / "dropped_toy.tsv").read_text()


def test_sets_keep_a_copy_of_the_split_they_were_made_from(tmp_path):
    write_sets(tmp_path, "toy", three_sets(tmp_path))
    assert not made_from_split(tmp_path, "toy")
    (tmp_path / "split").write_text("x")
    write_sets(tmp_path, "toy", three_sets(tmp_path), split_file=tmp_path / "split")
    assert made_from_split(tmp_path, "toy")


def test_counts_are_said_for_every_set_and_language(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        write_sets(tmp_path, "toy", three_sets(tmp_path))
    assert f"{tmp_path}/dev_toy eng: 2 utterances, 0.0 min, 0 dropped" in caplog.text


def test_a_language_that_a_set_lacks_is_said(tmp_path, caplog):
    sets = three_sets(tmp_path)
    other = utterance("0", tmp_path, lang="fra")
    sets["dev"][0].extend(clean([other], lower_no_punct, DropLedger()))
    write_sets(tmp_path, "toy", sets)
    lacking = [r.message for r in caplog.records if "has no fra" in r.message]
    assert lacking == [f"{tmp_path}/{name}_toy has no fra utterances" for name in ("train", "test")]


def test_each_utterance_names_its_corpus_in_one_word(tmp_path):
    sets = three_sets(tmp_path)
    named = [replace(utt, corpus="Common Voice") for utt in sets["dev"][0]]
    write_sets(tmp_path, "toy", {**sets, "dev": (named, sets["dev"][1])})
    assert set(read_table(tmp_path / "dev_toy" / "utt2corpus").values()) == {"Common-Voice"}
    assert set(read_table(tmp_path / "train_toy" / "utt2corpus").values()) == {"toy"}
