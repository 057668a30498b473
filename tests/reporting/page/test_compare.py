"""Differences are marked where they are real, and seldom where they are luck."""

import json
import random
from pathlib import Path

import pytest

from asr_dro_plugin.bin.score import main as score_command
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.page.build import compare
from asr_dro_plugin.reporting.read.utterances import ScoredUtterance, read_utterances


def decoding(langs, errors, seed, num=80, unit=None):
    """Utterances of 20 characters with binomial errors."""
    rng = random.Random(seed)
    return [
        ScoredUtterance(f"{lang}{number}", lang, unit or f"{lang}{number}",
                  sum(rng.random() < errors[lang] for _ in range(20)), 20, lang, "r", "h")
        for lang in langs
        for number in range(num)
    ]  # fmt: skip


def test_a_language_that_got_better_is_marked_and_the_others_are_not():
    langs = [f"l{number:02d}" for number in range(30)]
    before = dict.fromkeys(langs, 0.3)
    found = compare(decoding(langs, before, 0), decoding(langs, before | {"l07": 0.15}, 1))
    assert found.marked(better=True) == ["l07"]
    assert found.marked(better=False) == []
    assert found.groups["l07"].difference == pytest.approx(-0.15, abs=0.04)
    assert found.groups["l07"].low < found.groups["l07"].difference < found.groups["l07"].high
    assert found.utterances == 2400


def test_without_a_difference_hardly_any_run_marks_a_language():
    langs = [f"l{number:02d}" for number in range(20)]
    same = dict.fromkeys(langs, 0.3)
    false = [
        bool([name for name, each in compare(
            decoding(langs, same, 2 * seed, 30), decoding(langs, same, 2 * seed + 1, 30)
        ).groups.items() if each.significant])
        for seed in range(20)
    ]  # fmt: skip
    assert sum(false) <= 4  # 1 is expected; more than 4 of 20 has a chance of 0.003


def test_the_macro_shows_what_no_language_alone_does():
    langs = [f"l{number:02d}" for number in range(40)]
    found = compare(
        decoding(langs, dict.fromkeys(langs, 0.3), 0, 30),
        decoding(langs, dict.fromkeys(langs, 0.28), 1, 30),
    )
    assert found.macro.significant
    assert found.macro.difference == pytest.approx(-0.02, abs=0.01)


def test_the_same_decoding_twice_differs_nowhere():
    same = decoding(["eng", "rus"], {"eng": 0.3, "rus": 0.5}, 0)
    found = compare(same, same)
    assert not any(each.significant for each in (*found.groups.values(), found.macro))


def test_a_language_of_one_speaker_is_resampled_by_utterances():
    langs, errors = ["eng"], {"eng": 0.4}
    found = compare(decoding(langs, errors, 0, unit="s1"), decoding(langs, {"eng": 0.2}, 1))
    assert found.groups["eng"].significant
    assert found.groups["eng"].low is not None


def test_only_utterances_of_both_are_compared():
    one = decoding(["eng"], {"eng": 0.3}, 0)
    assert compare(one, one[:10]).utterances == 10


def test_other_references_cannot_be_compared():
    one = decoding(["eng"], {"eng": 0.3}, 0, 3)
    other = [ScoredUtterance(u.utt_id, "eng", "u", 1, 20, "eng", "another", "h") for u in one]
    with pytest.raises(UserError, match="references of 'eng0' differ"):
        compare(one, other)
    with pytest.raises(UserError, match="no utterance in common"):
        compare(one, [])


@pytest.mark.parametrize("speakers", [None, 3, 24])
def test_score_compare_and_the_report_give_one_answer(tmp_path, monkeypatch, capsys, speakers):
    """Forty languages, so that the correction decides; whatever the intervals are drawn by."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(speakers)
    utts = {f"l{lang:02d}-{number:02d}": "abcd efgh ijkl" for lang in range(40)
            for number in range(24)}  # fmt: skip
    tables = {"ref": utts, "utt2lang": {utt_id: utt_id[:3] for utt_id in utts}}
    if speakers:
        tables["utt2spk"] = {
            utt_id: f"{utt_id[:3]}s{number % speakers}" for number, utt_id in enumerate(utts)
        }
    for name, gain in (("one", 0.0), ("two", 0.25)):
        tables[name] = {
            utt_id: "".join(
                "x" if rng.random() < 0.3 - gain * (int(utt_id[1:3]) % 3) / 2 else letter
                for letter in text
            )
            for utt_id, text in utts.items()
        }
    for name, table in tables.items():
        Path(name).write_text("".join(f"{key} {value}\n" for key, value in table.items()))
    for name, more in (("one", ["--compare", "two", "--json", "s.json"]), ("two", [])):
        assert score_command(["ref", name, "--utts", f"{name}.tsv", *more]) == 0
    told = json.loads(Path("s.json").read_text())["comparison"]["cer"]
    found = compare(read_utterances("one.tsv"), read_utterances("two.tsv"))
    assert found.macro.significant
    by_language = any(each.significant for each in found.groups.values())
    assert by_language == (speakers != 3)  # three speakers cannot show a difference beyond chance
    for name, each in {**found.groups, "micro": found.micro, "macro": found.macro}.items():
        theirs = told["groups"].get(name) or told[name]
        assert each.difference == pytest.approx(theirs["difference"], abs=1e-12)
        interval = None if each.low is None else [each.low, each.high]
        assert interval == (theirs["ci"] and pytest.approx(theirs["ci"], abs=1e-12))
        assert (each.p_value, each.significant) == (theirs["p_value"], theirs["significant"])
        assert each.p_holm == theirs.get("p_holm")
