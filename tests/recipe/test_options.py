"""Each SSL option goes through the recipe, from statistics to the table, on a tiny checkpoint."""

import pytest

pytest_plugins = ["tests.fixtures_ssl", "tests.fixtures_whisper"]

FEW_STEPS = (
    "--max_epoch 1 --num_iters_per_epoch 3 --accum_grad 1 --batch_type sorted --batch_size 4 "
    "--num_workers 0 --use_tensorboard false --num_att_plot 0 --keep_nbest_models 1"
)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("s3prl_identity", "hf"),
        ("wav2vec2", "fairseq"),
        ("s3prl_linear_transformer", "s3prl"),
    ],
)
def test_an_ssl_option_ends_in_a_table(recipe, tiny_ssl, name, layout):
    words = ["--asr_config", f"conf/train_asr_{name}.yaml", "--asr_args", FEW_STEPS]
    words += ["--ssl_checkpoint", str(getattr(tiny_ssl, layout)), "--nj", "1"]
    words += ["--test_sets", "dev_tsv", "--stage", "10", "--asr_tag", name]
    output = recipe.run(*words).stdout
    exp = recipe.path / f"exp/asr_{name}"
    assert "dev_tsv" in (exp / "RESULTS.md").read_text()
    assert "deu" in output and "eng" in output
    log = (exp / "train.log").read_text()
    assert "1epoch results" in log
    if layout == "fairseq":
        assert "multiple_train_files" in log  # the keys that were dropped are named


def test_adapters_that_are_saved_alone_end_in_a_table_and_a_pack(recipe, tiny_ssl):
    """Stages 5 to 14 with adapters, saved alone, on the body of a Hugging Face folder."""
    words = ["--asr_config", "conf/train_asr_xlsr_lora_tiny.yaml", "--nj", "1", "--stage", "5"]
    words += ["--ssl_checkpoint", str(tiny_ssl.hf), "--stop_stage", "14"]
    few = "--max_epoch 1 --num_iters_per_epoch 3 --save_strategy adapter_only"
    recipe.run(*words, "--test_sets", "dev_tsv", "--asr_args", few, "--asr_tag", "lora")
    exp = recipe.path / "exp/asr_lora"
    assert "dev_tsv" in (exp / "RESULTS.md").read_text()
    assert (exp / f"{exp.name}.zip").stat().st_size > 0


def test_a_whisper_ends_in_a_table_and_a_pack(recipe, make_tiny_whisper):
    """Its own tokens from stage 5 on, cross entropy, greedy decoding of its decoder."""
    folder = make_tiny_whisper(hidden=16)
    words = ["--asr_config", "conf/train_asr_whisper_small_ce_tiny.yaml", "--nj", "1"]
    words += ["--ssl_checkpoint", str(folder), "--stage", "5", "--stop_stage", "14"]
    few = "--max_epoch 1 --num_iters_per_epoch 3"
    recipe.run(*words, "--test_sets", "dev_tsv", "--asr_args", few, "--asr_tag", "whisper")
    exp = recipe.path / "exp/asr_whisper"
    assert "dev_tsv" in (exp / "RESULTS.md").read_text()
    assert (exp / f"{exp.name}.zip").stat().st_size > 0


def test_a_checkpoint_of_the_wrong_layout_is_refused_before_training(recipe, tiny_ssl):
    words = ["--asr_config", "conf/train_asr_wav2vec2.yaml", "--ssl_checkpoint", str(tiny_ssl.hf)]
    done = recipe.run(*words, "--stage", "10", check=False)
    assert done.returncode != 0
    assert "fairseq" in done.stdout
    assert "Traceback" not in done.stdout
