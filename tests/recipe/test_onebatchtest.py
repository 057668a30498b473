"""``--onebatchtest true`` says whether a stack can learn, and trains nothing."""

import json


def test_a_configuration_is_tried_on_one_batch_and_no_experiment_is_made(recipe):
    recipe.run("--stop_stage", "10", "--nj", "1")
    before = recipe.files()
    output = recipe.run("--stage", "11", "--onebatchtest", "true").stdout
    assert "WER 0 reached after" in output
    made = {name for name in recipe.files() if name not in before}
    out = "exp/asr_train_asr_tiny_raw_tsv_char_onebatchtest"
    assert {f"{out}/onebatchtest.json", f"{out}/onebatchtest.png"} <= made
    assert {name for name in made if not name.startswith(out)} == set()
    assert json.loads((recipe.path / out / "onebatchtest.json").read_text())


def test_a_configuration_that_cannot_learn_ends_with_an_error(recipe):
    recipe.run("--stop_stage", "10", "--nj", "1")
    config = recipe.write_config("train_asr_still.yaml", optim_conf={"lr": 0.0})
    words = ["--stage", "10", "--stop_stage", "11", "--onebatchtest", "true"]
    done = recipe.run("--asr_config", str(config), *words, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert "did not learn one batch" in done.stdout
