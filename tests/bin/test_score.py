"""`score` prints and writes the score of a set, collects an experiment, and exits as it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr_dro_plugin.bin.score import main
from asr_dro_plugin.errors import SomeLeftOut, UserError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe folder with one decoded experiment over a development and a test set."""
    monkeypatch.chdir(tmp_path)
    for set_name, hyp in (("dev_x", "[eng] ab"), ("test_x", "[eng] abd")):
        write(f"dump/raw/{set_name}/text", "u1 [eng] abcd", "u2 [rus] где")
        write(f"dump/raw/{set_name}/utt2lang", "u1 eng", "u2 rus")
        write(f"dump/raw/{set_name}/utt2num_samples", "u1 960000", "u2 960000")
        write(f"exp/asr_a/greedy/{set_name}/text", f"u1 {hyp}", "u2 [eng] где")
    return tmp_path


def write(path, *lines):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def options(set_name="test_x", exp="exp/asr_a/greedy"):
    hyp = f"{exp}/{set_name}"
    return ["--ref", f"dump/raw/{set_name}/text", "--hyp", f"{hyp}/text",
            "--json", f"{hyp}/score.json"]  # fmt: skip


def test_it_prints_the_table_and_writes_the_score(recipe, capsys):
    assert main([*options(), "--model_file", "exp/asr_a/valid.ave.pth"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Set test_x,")
    assert "worst: eng" in printed
    report = json.loads((recipe / "exp/asr_a/greedy/test_x/score.json").read_text())
    assert report["total"]["cer"]["errors"] == 1
    assert report["total"]["duration"] == 120.0
    assert report["total"]["lid"]["rate"] == 0.5
    assert report["run"] == {"model_file": "exp/asr_a/valid.ave.pth"}


def test_the_target_of_a_linked_model_is_named(recipe):
    Path("exp/asr_a/best.pth").symlink_to("3epoch.pth")
    main([*options(), "--model_file", "exp/asr_a/best.pth"])
    report = json.loads(Path("exp/asr_a/greedy/test_x/score.json").read_text())
    assert report["run"]["model_file"] == "exp/asr_a/best.pth -> 3epoch.pth"


def test_given_files_and_name_go_before_those_beside_the_reference(recipe, capsys):
    write("langs", "u1 spa", "u2 rus")
    write("text", "u1 abcd", "u2 где")
    write("dur", "u1 30", "u2 30")
    main(["--ref", "text", "--hyp", "text", "--utt2lang", "langs", "--utt2dur", "dur",
          "--name", "mine", "--normalizer", "none"])  # fmt: skip
    printed = capsys.readouterr().out
    assert "Set mine, text normalised by 'none'" in printed
    assert "spa" in printed
    total = next(line for line in printed.splitlines() if line.startswith("total"))
    assert total.split()[4] == "1.0"  # minutes


def test_ids_that_differ_end_in_3_and_under_strict_in_1_after_the_score_is_written(recipe):
    write("exp/asr_a/greedy/test_x/text", "u1 [eng] abcd", "u3 [eng] ab")
    for words, kind in (
        ([], SomeLeftOut),
        (["--strict"], UserError),
        (["--strict", "true"], UserError),
    ):
        with pytest.raises(kind, match="lacks 1 and adds 1") as raised:
            main([*options(), *words])
        assert raised.value.exit_code == (1 if words else 3)
        Path("exp/asr_a/greedy/test_x/score.json").unlink()


def test_a_reference_that_normalising_empties_ends_in_3_and_under_strict_in_1(recipe):
    write("set/text", "u1 ...", "u2 ab")
    for words, kind in (([], SomeLeftOut), (["--strict"], UserError)):
        with pytest.raises(kind, match=r"1 references without text .*first: u1") as raised:
            main(["set/text", "set/text", "--compare", "set/text", "--json", "s.json", *words])
        assert raised.value.exit_code == (1 if words else 3)
        assert json.loads(Path("s.json").read_text())["empty_refs"]["utt_ids"] == ["u1"]
        Path("s.json").unlink()


def test_an_empty_hypothesis_file_is_all_deletions(recipe):
    write("exp/asr_a/greedy/test_x/text")
    with pytest.raises(SomeLeftOut, match="lacks 2"):
        main(options())
    report = json.loads(Path("exp/asr_a/greedy/test_x/score.json").read_text())
    assert report["total"]["cer"]["rate"] == 1.0
    assert report["missing"]["count"] == 2


def test_odd_hypotheses_are_defined_counted_and_listed(recipe, capsys):
    ids = [f"u{number}" for number in range(6)]
    write("set/text", "u0 ab", "u1 ab", "u2 ab", "u3", "u4 ...", "u5 ab")
    write("set/utt2lang", *(f"{utt_id} eng" for utt_id in ids))
    Path("hyp").write_text("u1\nu2 ab\nu2 xx\nu3\nu4 x\nx9 ab\nu5 a")  # u5 is cut
    with pytest.raises(SomeLeftOut, match=r"gives 1 twice, has 1 lines .*first: hyp:7"):
        main(["set/text", "hyp", "--json", "score.json"])
    report = json.loads(Path("score.json").read_text())
    assert report["missing"]["utt_ids"] == ["u0", "u5"]
    assert report["extra"]["utt_ids"] == ["x9"]
    assert report["duplicates"]["utt_ids"] == ["u2"]
    assert report["cut"] == {"count": 1, "lines": ["hyp:7"]}
    assert report["empty"]["utt_ids"] == ["u1"]
    assert report["empty_refs"]["utt_ids"] == ["u3", "u4"]
    cer = report["total"]["cer"]
    assert (cer["substitutions"], cer["deletions"], cer["insertions"], cer["ref"]) == (0, 6, 1, 8)
    printed = capsys.readouterr().out
    for word in ("missing: 2", "extra: 1", "duplicates: 1", "cut: 1", "empty: 1", "empty_refs: 2"):
        assert word in printed


@pytest.mark.parametrize(
    ("path", "lines", "words"),
    [
        ("dump/raw/test_x/text", ["u1 a", "u1 b"], "text gives 'u1' a second time"),
        ("dump/raw/test_x/utt2lang", ["u1 eng"], "utt2lang lacks 1 of 2"),
        ("dump/raw/test_x/utt2lang", ["u1 eng", "u2"], "utt2lang:2 has no value"),
        ("dump/raw/test_x/utt2num_samples", ["u1 1", "u2 x"], "utt2num_samples holds something"),
        ("dump/raw/test_x/utt2spk", ["u1 s1"], "table of speakers lacks 1 of 2"),
        ("dump/raw/test_x/text", [], "no utterance"),
    ],
)
def test_damage_is_one_line_that_names_the_file(recipe, path, lines, words):
    write("dump/raw/test_x/utt2spk", "u1 s", "u2 s")
    if path.endswith("utt2spk"):
        lines = ["u1 s", "u3 s"]
    write(path, *lines)
    with pytest.raises(UserError, match=words):
        main(options())


def test_two_folders_of_five_files_give_the_worked_example(tmp_path, monkeypatch, capsys):
    """Utterance means .094444 (WER) and .028023 (CER); the headline is of the corpus."""
    monkeypatch.chdir(tmp_path)
    for utt_id, words, chars, wrong in (
        ("f1", 8, 41, (0, 9)), ("f2", 9, 41, (0, 1)), ("f3", 9, 47, (0, 1)),
        ("f4", 11, 90, ()), ("f5", 12, 98, ()),
    ):  # fmt: skip
        ref = sentence(words, chars)
        write(f"A/{utt_id}.txt", ref)
        write(f"B/{utt_id}.txt", "".join("z" if i in wrong else c for i, c in enumerate(ref)))
    assert (
        main(["--transcriptions_dir", "A", "--predictions_dir", "B", "--json", "new/s.json"]) == 0
    )
    report = json.loads(Path("new/s.json").read_text())
    total = report["total"]
    assert round(total["wer"]["utterance_mean"], 6) == 0.094444
    assert round(total["cer"]["utterance_mean"], 6) == 0.028023
    assert (total["wer"]["errors"], total["wer"]["ref"]) == (4, 49)
    assert (total["cer"]["errors"], total["cer"]["ref"]) == (6, 317)
    assert list(report["groups"]) == ["all"]
    printed = capsys.readouterr().out
    wer = next(line.split() for line in printed.splitlines() if line.startswith("WER "))
    assert wer[1] == "8.16" and wer[-1] == "9.44"


def sentence(num_words, num_chars):
    """``num_words`` words of letters, ``num_chars`` characters with the spaces."""
    letters = num_chars - num_words + 1
    lengths = [letters // num_words + (i < letters % num_words) for i in range(num_words)]
    return " ".join("a" * length for length in lengths)


def test_every_form_gives_the_same_score(recipe, capsys):
    write("ref/u1.txt", "[eng] abcd")
    write("ref/rec%2Fa 1.txt", "где ты")
    write("a/text", "u1 [eng] abcd", "rec/a_1 где ты")
    printed = set()
    forms = {
        "hyp.jsonl": [
            '{"utt_id": "u1", "text": "[eng] abc"}',
            '{"id": "rec/a 1", "text": "где ты", "pred_text": "где"}',
        ],
        "hyp.trn": ["[eng] abc (u1)", "где (rec/a_1)"],
        "hyp": ["u1 [eng] abc", "rec/a_1 где"],
    }  # fmt: skip
    for name, lines in forms.items():
        write(name, *lines)
        main(["ref" if name == "hyp.jsonl" else "a/text", name, "--name", "x"])
        printed.add(capsys.readouterr().out)
    assert len(printed) == 1


def test_scripts_without_spaces_lose_them_and_count_characters_as_words(recipe, capsys):
    write("set/text", "u1 [cmn] 你好 世界", "u2 [eng] ab cd")
    write("set/utt2lang", "u1 cmn", "u2 eng")
    write("hyp", "u1 [cmn] 你好世 间", "u2 [eng] abcd")
    write("local/languages.tsv", "cmn\tMandarin\tHans\t0\t1\t", "eng\tEnglish\tLatn\t0\t0\t")
    main(["set/text", "hyp", "--json", "s.json"])
    report = json.loads(Path("s.json").read_text())
    for metric in ("cer", "wer"):
        found = report["groups"]["cmn"][metric]
        assert (found["errors"], found["ref"]) == (1, 4)
    assert report["groups"]["eng"]["wer"]["errors"] == 2
    assert report["groups"]["eng"]["cer"]["errors"] == 1
    assert "no spaces: compared without them, WER counts characters: cmn" in capsys.readouterr().out
    main(["set/text", "hyp", "--json", "none.json", "--languages", "none"])
    assert json.loads(Path("none.json").read_text())["groups"]["cmn"]["wer"]["ref"] == 2


def test_comparing_marks_what_differs_and_says_which_is_better(recipe, capsys):
    utts = [f"{lang}{number:02d}" for lang in ("eng", "rus") for number in range(40)]
    write("set/text", *(f"{utt_id} abcd efgh" for utt_id in utts))
    write("set/utt2lang", *(f"{utt_id} {utt_id[:3]}" for utt_id in utts))
    write("one", *(f"{utt_id} abxd efxh" for utt_id in utts))
    write("two", *(f"{utt_id} {'abxd efgh' if utt_id < 'f' else 'abxd efxh'}" for utt_id in utts))
    assert main(["set/text", "one", "--compare", "two", "--json", "s.json"]) == 0
    found = json.loads(Path("s.json").read_text())["comparison"]["cer"]
    assert found["groups"]["eng"]["significant"] and not found["groups"]["rus"]["significant"]
    assert found["groups"]["eng"]["rates"] == [2 / 9, 1 / 9]
    assert found["groups"]["eng"]["difference"] == pytest.approx(-1 / 9)
    assert found["groups"]["rus"]["p_holm"] == 1.0
    assert found["macro"]["difference"] == pytest.approx(-1 / 18)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[-1] for row in rows if row[:1] == ["eng"]][1] == "*"


def test_files_beside_the_score_are_written_on_request(recipe, capsys):
    write("dump/raw/test_x/utt2spk", "u1 s1", "u2 s1")
    main([*options(), "--utts", "new/utts.tsv", "--alignments", "new/pra", "--details"])
    lines = [line.split("\t") for line in Path("new/utts.tsv").read_text().splitlines()]
    row = dict(zip(lines[0], lines[1], strict=True))
    assert row == {
        "utt_id": "u1", "group": "eng", "unit": "s1", "cer_errors": "1", "cer_sub": "0",
        "cer_del": "1", "cer_ins": "0", "cer_ref": "4", "wer_errors": "1", "wer_sub": "1",
        "wer_del": "0", "wer_ins": "0", "wer_ref": "1", "lid": "eng", "ref": "abcd", "hyp": "abd",
    }  # fmt: skip
    assert "REF:  ABCD\nHYP:  ABD\nEval: S" in Path("new/pra").read_text()
    printed = capsys.readouterr().out
    assert "Characters taken for others:" in printed
    assert "Language recognised, a row for each true one:" in printed


def test_what_is_not_there_is_wrong_usage_and_a_cut_reference_bad_input(recipe):
    for words in (["absent", "set"], ["dump/raw/test_x/text", "absent"]):
        with pytest.raises(UserError, match="absent does not exist") as raised:
            main(words)
        assert raised.value.exit_code == 2
    write("ref.jsonl", '{"utt_id": "u1", "text": "a"}', '{"utt_id": "u2", "te')
    with pytest.raises(UserError, match=r"ref.jsonl:2 is no line") as raised:
        main(["ref.jsonl", "ref.jsonl"])
    assert raised.value.exit_code == 1


def test_results_collects_what_was_scored(recipe, capsys):
    for set_name in ("dev_x", "test_x"):
        main(options(set_name))
    assert main(["--results", "exp/asr_a"]) == 0
    text = Path("exp/asr_a/RESULTS.md").read_text()
    assert text.index("### test_x, decoded by greedy") < text.index("### dev_x")


def test_spread_compares_experiments_and_asks_which_decoding(recipe, capsys):
    main(options())
    Path("exp/asr_b").symlink_to("asr_a")
    capsys.readouterr()
    assert main(["--spread", "exp/asr_a", "exp/asr_b", "--set", "test_x"]) == 0
    assert "mean over 2 experiments" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"no score of dev_x \(there are: greedy/test_x\)"):
        main(["--spread", "exp/asr_a", "--set", "dev_x"])
    with pytest.raises(UserError, match="needs the set's name"):
        main(["--spread", "exp/asr_a"])
    write("exp/asr_a/beam/test_x/text", "u1 [eng] abcd", "u2 [rus] где")
    main(options(exp="exp/asr_a/beam"))
    with pytest.raises(UserError, match="several scores"):
        main(["--spread", "exp/asr_a", "--set", "test_x"])
    assert main(["--spread", "exp/asr_a", "--set", "test_x", "--inference_tag", "beam"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rfe", "x"], "unknown option --rfe. Did you mean '--ref'?"),
        ([], "give REF and HYP"),
        (["x"], "give REF and HYP"),
        (["x", "y", "z"], "give REF and HYP"),
        (["--ref", "x"], "give REF and HYP"),
        (["x", "y", "--best_k", "0"], "must be at least 1"),
        (["--ref", "x", "--results", "y"], "not allowed with"),
        (["--ref", "x", "--hyp", "y", "--strict", "yes"], "neither true nor false"),
    ],
)
def test_wrong_options_exit_2_with_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


def run_module(*arguments):
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    command = [sys.executable, "-m", "asr_dro_plugin.bin.score", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_exit_codes_of_the_command(recipe):
    assert run_module(*options()).returncode == 0
    absent = run_module("--ref", "absent/text", "--hyp", "absent/text")
    assert absent.returncode == 2
    assert absent.stderr.count("\n") == 1
    assert absent.stderr.startswith("ERROR: ")
    assert run_module("--typo").returncode == 2
    write("exp/asr_a/greedy/test_x/text", "u1 [eng] abcd")
    again = [*options(), "--overwrite", "true"]
    assert run_module(*again).returncode == 3
    assert run_module(*again, "--strict", "true").returncode == 1


def test_help_names_what_is_written(recipe):
    assert "RESULTS.md" in run_module("--help").stdout


def test_the_causes_of_the_errors_are_printed_and_written(recipe, capsys):
    write("told", "u1 [eng] abxd", "u2 [rus] где")
    write("train/text", "u9 [eng] abd")
    more = ["--forced", "told", "--train_text", "train/text"]
    assert main([*options(), *more]) == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert ["why", "CER", "%", "=", "naming", "unseen", "text", "rest"] in rows
    assert ["eng", "25.0", "=", "0.0", "25.0", "0.0", "0.0"] in rows
    assert max(map(len, printed.splitlines())) <= 100
    report = json.loads((recipe / "exp/asr_a/greedy/test_x/score.json").read_text())
    assert report["groups"]["eng"]["causes"]["unseen"] == {"errors": 1, "rate": 0.25}
    assert report["causes"]["unseen"] == {"eng": {"c": 1}, "rus": {"г": 1, "д": 1, "е": 1}}


def test_of_a_pair_of_texts_alone_no_cause_is_printed(recipe, capsys):
    assert main(options()) == 0
    assert "why" not in capsys.readouterr().out
    report = json.loads((recipe / "exp/asr_a/greedy/test_x/score.json").read_text())
    assert report["groups"]["eng"]["causes"] == {
        "lid": None, "unseen": None, "text": {"errors": 0, "rate": 0.0},
        "rest": {"errors": 1, "rate": 0.25},
    }  # fmt: skip
