"""The recipe's other ways, each to the table: tokens, formats, speeds, new languages."""

import json
import shutil
import subprocess

import pytest
import yaml

from tests import toy
from tests.recipe.conftest import Recipe

pytest_plugins = ["tests.fixtures_whisper"]

SHORT = {"max_epoch": 1, "num_iters_per_epoch": 3}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Recipe:
    """A recipe with one short training behind it."""
    made = Recipe(tmp_path_factory.mktemp("variants"))
    made.config = made.write_config("short.yaml", **SHORT)
    made.run("--stop_stage", "11", "--nj", "1")
    return made


def score(recipe: Recipe, exp: str) -> dict:
    """The score of the dev set, the only one that is decoded here."""
    (path,) = (recipe.path / "exp" / exp).glob("*/dev_*/score.json")
    return json.loads(path.read_text())


def test_bpe_without_language_tags_on_audio_left_in_place_by_beam_search(base):
    words = ["--lid", "false", "--token_type", "bpe", "--nbpe", "12", "--feats_type", "raw_copy"]
    words += ["--inference_config", "conf/decode_asr_espnet_beam.yaml", "--nj", "1"]
    words += ["--test_sets", "dev_tsv_nolid"]
    base.run(*words, "--stop_stage", "4", "--dumpdir", "away/dump")
    text = base.path / "away/dump/raw_copy/train_tsv_nolid/text"
    assert "[eng]" not in text.read_text()
    lines = text.read_text().splitlines(keepends=True)
    (base.path / "pieces").write_text("".join(lines[:40]))
    words += ["--expdir", "away/exp", "--dumpdir", "away/dump", "--bpe_train_text", "pieces"]
    words += ["--inference_args", "--beam_size 3", "--inference_nj", "2"]
    words += ["--skip_data_prep", "false"]
    before = set((base.path / "exp").rglob("*"))
    base.run(*words, "--stage", "5", "--gpu_inference", "false")
    exp = base.path / "away/exp/asr_short_raw_copy_tsv_nolid_bpe12"
    (decoded,) = exp.glob("decode_asr_espnet_beam_beam_size_3_*/dev_tsv_nolid")
    assert json.loads((decoded / "score.json").read_text())["total"]["cer"]["ref"] > 0
    assert (decoded / "logs/decode.2.log").exists()  # --inference_nj
    assert not list((base.path / "away/dump/raw_copy").rglob("*.ark"))
    assert "▁" in (exp / "tokens.txt").read_text()
    assert set((base.path / "exp").rglob("*")) == before


def test_words_at_three_speeds_with_the_mean_of_the_training_set(base):
    words = ["--speed_perturb_factors", "0.9 1.0 1.1", "--token_type", "word", "--nj", "1"]
    base.run(*words, "--asr_args", "--normalize global_mvn", "--test_sets", "dev_tsv")
    exp = base.path / "exp/asr_short_raw_tsv_word_sp_normalizeglobal_mvn"
    assert score(base, exp.name)["total"]["wer"]["ref"] > 0
    assert len((base.path / "dump/raw/train_tsv_sp/text").read_text().splitlines()) == 3 * 48
    config = yaml.safe_load((exp / "config.yaml").read_text())
    assert config["normalize"] == "global_mvn"
    assert config["normalize_conf"]["stats_file"].startswith("/")


def test_one_language_of_two_gets_sets_of_its_own(base):
    base.run("--langs", "eng", "--stop_stage", "10")
    langs = {line.split()[1] for line in (base.path / "data/train_tsv_eng/utt2lang").open()}
    assert langs == {"eng"}
    assert (base.path / "data/train_tsv").exists()


def test_a_trained_model_goes_on_with_a_new_language(base):
    table = toy.write_table(base.path / "three", num=24, langs=("deu", "eng", "fra"))
    words = ["--data_source", str(table), "--data_tag", "three", "--nj", "1"]
    words += ["--init_exp", "exp/asr_short_raw_tsv_char"]
    refused = base.run(*words, "--stop_stage", "11", check=False)
    assert refused.returncode != 0
    assert "fra" in refused.stdout and "--extend_groups true" in refused.stdout
    words += ["--test_sets", "dev_three"]
    output = base.run(*words, "--extend_groups", "true").stdout
    exp = base.path / "exp/asr_short_raw_three_char_from_short_raw_tsv_char"
    assert (exp / "groups.txt").read_text().split() == ["deu", "eng", "fra"]
    log = (exp / "train.log").read_text()
    assert "Groups kept: deu eng. New groups: fra." in log
    assert set(score(base, exp.name)["groups"]) == {"deu", "eng", "fra"}
    assert "fra" in output


def test_skip_train_and_skip_eval_leave_out_what_espnets_do(base):
    plan = base.run("--skip_train", "true", "--stop_stage", "14", "--dry_run", "true").stdout
    assert "Stage 12" in plan and "Stage 14" in plan
    assert not any(word in plan for word in ("Stage 5", "Stage 10", "Stage 11", "org/train_tsv"))
    plan = base.run("--skip_eval", "true", "--dry_run", "true").stdout
    assert "Stage 11" in plan and "Stage 12" not in plan and "Stage 13" not in plan


def test_the_number_of_parts_and_gpus_changes_nothing_that_is_done(base):
    plan = base.run("--nj", "7", "--stop_stage", "11", "--dry_run", "true").stdout
    assert "would run" not in plan


def test_a_checkpoint_cut_off_by_a_kill_is_named_in_one_line(base):
    exp = base.path / "exp/asr_cut"
    shutil.copytree(base.path / "exp/asr_short_raw_tsv_char", exp, symlinks=True)
    with (exp / "checkpoint.pth").open("r+b") as stream:
        stream.truncate(5000)
    done = base.run("--asr_exp", "exp/asr_cut", "--stage", "10", "--stop_stage", "10", check=False)
    assert done.returncode == 0
    script = (exp / "run.sh").read_text().replace("asr_short_raw_tsv_char", "asr_cut")
    (exp / "run.sh").write_text(script)
    failed = subprocess.run(["bash", exp / "run.sh"], cwd=base.path, text=True, capture_output=True)
    assert failed.returncode == 1
    assert "No checkpoint in exp/asr_cut can be read" in failed.stderr
    assert "Move them away to train anew" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_stage_that_cannot_begin_stops_the_recipe(base):
    mark = base.path / "exp/.done/4_raw_dev_tsv.json"
    mark.unlink()
    mark.mkdir()
    try:
        done = base.run("--stage", "4", "--stop_stage", "5", check=False)
    finally:
        mark.rmdir()
    assert done.returncode != 0
    assert "Stage 5" not in done.stdout


def test_a_training_from_features_of_a_frozen_whisper(base, make_tiny_whisper):
    """Its audio is that of raw; stage 4 is done once, and the decoder hears the audio."""
    whisper = make_tiny_whisper(hidden=16, seconds=4, max_tokens=40)
    transformer = {"attention_heads": 2, "linear_units": 16, "num_blocks": 1, "output_size": 16}
    config = base.write_config(
        "whisper.yaml", **SHORT, frontend="hf_whisper", frontend_conf={"pool": 2},
        freeze_param=["frontend.net.model"], ssl_checkpoint=str(whisper), normalize="none",
        encoder="transformer", encoder_conf={**transformer, "input_layer": "linear"},
    )  # fmt: skip
    words = ["--feats_type", "extracted", "--asr_config", str(config), "--nj", "1"]
    said = base.run(*words, "--stop_stage", "11").stdout
    assert "Stage 4: dump/raw/org/train_tsv -> dump/raw/train_tsv: nothing to do." in said
    (folder,) = (base.path / "dump/extracted").iterdir()
    assert {path.name for path in folder.iterdir()} == {"train_tsv", "dev_tsv", "logs"}
    shutil.rmtree(base.path / "dump/extracted")
    said = base.run(*words, "--stage", "11", "--stop_stage", "11", check=False).stdout
    assert f"{folder.name}/train_tsv/extracted.json is missing or empty. Run stages 4 to 10" in said
    exp = "asr_whisper_extracted_tsv_char"
    base.run(*words, "--stage", "12")
    assert score(base, exp)["total"]["cer"]["ref"] > 0
