"""Damage in a user's data is found before training, named, and dropped only within the cap."""

import pytest

from tests.recipe.conftest import Recipe


@pytest.fixture(scope="module")
def filtered(tmp_path_factory) -> Recipe:
    """A recipe that has been run to stage 4."""
    made = Recipe(tmp_path_factory.mktemp("filtered"))
    made.run("--stop_stage", "4", "--nj", "1")
    return made


def rows(table) -> list[list[str]]:
    return [line.split("\t") for line in table.read_text().splitlines()]


def rewrite(table, change) -> None:
    """Apply ``change(number, fields)`` to the rows of English training utterances."""
    header, *body = rows(table)
    number = 0
    for fields in body:
        if fields[1] == "eng" and fields[2] == "train":
            change(number, fields)
            number += 1
    table.write_text("\n".join("\t".join(fields) for fields in [header, *body]) + "\n")


def break_audio(recipe, numbers) -> None:
    def change(number, fields):
        if number in numbers:
            (recipe.table.parent / fields[3]).write_bytes(b"no audio in here")

    rewrite(recipe.table, change)


def test_one_unreadable_file_within_the_cap_is_dropped_and_listed(fresh_recipe):
    break_audio(fresh_recipe, {0})
    output = fresh_recipe.run("--stop_stage", "10").stdout
    listed = (fresh_recipe.path / "dump/raw/org/train_tsv/dropped.tsv").read_text()
    assert "eng_engspktrain-000\teng\t" in listed
    assert "dropped 1 of 24 eng utterances" in output
    shapes = fresh_recipe.path / "exp/asr_stats_train_asr_tiny_raw_tsv_char/train/speech_shape"
    assert len(shapes.read_text().splitlines()) == 47


def test_a_loss_above_the_cap_stops_the_recipe_and_names_the_first_cases(fresh_recipe):
    break_audio(fresh_recipe, {0, 1, 2})
    done = fresh_recipe.run("--stop_stage", "10", check=False)
    assert done.returncode != 0
    assert "would lose 3 of 24 eng utterances" in done.stdout
    assert "eng_engspktrain-000" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (fresh_recipe.path / "dump/raw/train_tsv").exists()


def test_a_frame_shift_that_is_too_long_is_blamed_before_training(filtered):
    config = filtered.write_config(
        "slow.yaml", encoder_conf={"hidden_size": 8, "num_blocks": 1, "strides": [4, 4]}
    )
    words = ["--asr_config", str(config), "--stage", "5", "--stop_stage", "11"]
    done = filtered.run(*words, check=False)
    assert done.returncode != 0
    assert "160 ms" in done.stdout and "conv_ctc" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (filtered.path / "exp/asr_slow_raw_tsv_char").exists()


def test_twice_the_same_utterance_id_is_an_error_with_its_line(fresh_recipe):
    lines = fresh_recipe.table.read_text().splitlines()
    fresh_recipe.table.write_text("\n".join([*lines, lines[1]]) + "\n")
    done = fresh_recipe.run("--stop_stage", "1", check=False)
    assert done.returncode != 0
    assert f"utts.tsv:{len(lines) + 1}" in done.stdout
    assert not (fresh_recipe.path / "data/train_tsv").exists()


@pytest.mark.parametrize(
    ("limit", "lost"), [("--max_wav_duration", "0.2"), ("--min_wav_duration", "9.0")]
)
def test_over_long_and_too_short_audio_is_counted_in_stage_4(filtered, limit, lost):
    done = filtered.run(limit, lost, "--stage", "4", "--stop_stage", "4", check=False)
    assert done.returncode != 0
    assert "audio too" in done.stdout and "24 of 24" in done.stdout
