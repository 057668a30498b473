"""From a table of recordings to a table of error rates, as a user runs it."""

import json
import os
import subprocess
import zipfile

import pytest

from asr_dro_plugin.base.kaldi_io import read_table

EXP = "exp/asr_train_asr_tiny_raw_tsv_char"
TEST = "decode_asr_greedy_valid.cer_ctc.ave/test_tsv"


def test_the_recipe_ends_in_a_table_of_every_language(recipe):
    results = (recipe.path / EXP / "RESULTS.md").read_text()
    for word in ("test_tsv", "dev_tsv", "deu", "eng", "macro", "CER", "WER", "LID"):
        assert word in results
    assert "deu" in recipe.output and "eng" in recipe.output


def test_the_toy_languages_are_learnt(recipe):
    score = json.loads((recipe.path / EXP / TEST / "score.json").read_text())
    assert score["total"]["cer"]["rate"] < 0.25
    assert score["total"]["cer"]["ref"] > 0


def test_each_set_is_decoded_whole(recipe):
    for name in ("dev_tsv", "test_tsv"):
        hyp = read_table(recipe.path / EXP / TEST.replace("test_tsv", name) / "text")
        ref = read_table(recipe.path / "dump/raw" / name / "text")
        assert set(hyp) == set(ref)


def test_running_again_does_nothing(recipe):
    before = recipe.files()
    output = recipe.run("--stop_stage", "14").stdout
    assert "would run" not in output and output.count("nothing to do") == 14
    assert "macro" in output  # the tables are shown all the same
    assert recipe.files() == before


def test_the_packed_model_holds_the_model_and_its_configuration(recipe):
    packed = next((recipe.path / EXP).glob("*.zip"))
    names = zipfile.ZipFile(packed).namelist()
    assert any(name.endswith("config.yaml") for name in names)
    assert any(name.endswith(".pth") for name in names)


def test_a_language_model_is_built_tuned_and_decoded_with(recipe):
    options = ("--inference_config", "conf/decode_asr_lm_char.yaml", "--tune_lm", "true")
    before = {name for name in recipe.files() if "_lm_" not in name}
    output = recipe.run(*options).stdout
    folder = recipe.path / EXP / "decode_asr_lm_char_tuned_valid.cer_ctc.ave"
    assert "ppl" in output and (recipe.path / "exp/lm_train_tsv_char_6gram/deu/lm.arpa.gz").exists()
    assert "differs from decode_asr_lm_char.yaml" in (folder / "decode.yaml").read_text()
    greedy = json.loads((recipe.path / EXP / TEST / "score.json").read_text())
    with_lm = json.loads((folder / "test_tsv/score.json").read_text())
    assert with_lm["total"]["cer"]["rate"] <= greedy["total"]["cer"]["rate"]
    assert "decode_asr_lm_char_tuned" in (recipe.path / EXP / "RESULTS.md").read_text()
    assert "lm_char_tuned" in (recipe.path / EXP / "report.html").read_text()
    assert before <= set(recipe.files())
    again = recipe.run(*options).stdout
    assert again.count("nothing to do") >= 16 and "would run" not in again


def test_the_exact_commands_are_kept_beside_their_results(recipe):
    for script in (recipe.path / EXP / "run.sh", recipe.path / EXP / TEST / "run.sh"):
        assert os.access(script, os.X_OK)
        subprocess.run(["bash", "-n", script], check=True)
        assert "asr_dro_plugin.bin." in script.read_text()


def test_transcribe_gives_the_text_of_one_file(recipe):
    audio = next(recipe.table.parent.glob("audio/engspktest-*.flac"))
    command = ["python", "-m", "asr_dro_plugin.bin.main", "transcribe", str(audio)]
    command += ["--exp", EXP]
    script = f". ./path.sh; {' '.join(command)}"
    done = subprocess.run(["bash", "-c", script], cwd=recipe.path, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    tag, *words = done.stdout.split()
    assert tag in ("[eng]", "[deu]") and words
    assert set("".join(words)) <= set("abcd")


def test_the_dry_run_prints_plan_and_stack_and_writes_nothing(recipe):
    before = recipe.files()
    output = recipe.run("--dry_run", "true", "--stop_stage", "14").stdout
    assert recipe.files() == before
    for word in ("Stage 1:", "Stage 11:", "Stage 13:", "frontend", "conv_ctc", "trainable"):
        assert word in output


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--asr_confg", "x"), "asr_config"),
        (("--lm_exp", "x"), "Give --lm_dir."),
        (("--corpus", "tvs"), "tsv"),
        (("--asr_config", "conf/absent.yaml"), "absent.yaml"),
        (("--asr_args", "--encoder_conf hiden_size=8"), "hidden_size"),
    ],
)
def test_a_mistake_is_refused_with_a_hint_before_anything_is_made(recipe, words, hint):
    before = recipe.files()
    done = recipe.run(*words, check=False)
    assert done.returncode != 0
    assert done.stdout.startswith("ERROR: ") and done.stdout.count("\n") == 1
    assert hint in done.stdout
    assert recipe.files() == before


def test_a_changed_yaml_runs_what_depends_on_it_and_keeps_the_old_run(recipe):
    config = recipe.write_config("train_asr_short.yaml", max_epoch=1, num_iters_per_epoch=2)
    words = ["--asr_config", str(config), "--test_sets", "dev_tsv"]
    words += ["--stage", "3", "--stop_stage", "12"]
    recipe.run(*words)
    recipe.write_config("train_asr_short.yaml", max_epoch=1, num_iters_per_epoch=3)
    plan = recipe.run(*words, "--dry_run", "true").stdout
    assert "would be moved aside" in plan
    output = recipe.run(*words).stdout
    for number, again in ((3, False), (4, False), (5, False), (10, True), (11, True), (12, True)):
        lines = [line for line in output.splitlines() if f"Stage {number}:" in line]
        assert lines
        first = lines[:1] if again else lines  # the dev set is the test set: done the second time
        assert all(("nothing to do" in line) != again for line in first), (number, lines)
    assert list((recipe.path / "exp").glob("asr_train_asr_short_raw_tsv_char.before_*"))
