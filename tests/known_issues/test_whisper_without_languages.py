"""New rows of an embedding were NaN, a mean of none, where a Whisper has no language tokens."""

import torch

pytest_plugins = ["tests.fixtures_whisper"]


def test_new_tokens_of_a_whisper_without_languages_begin_as_numbers(make_tiny_whisper):
    from asr_dro_plugin.espnet.parts.hf_whisper import EMBEDDING, with_new_rows
    from asr_dro_plugin.pretrained.hf_folders import read_weights

    folder = make_tiny_whisper(languages="")
    table = read_weights(folder)[f"model.decoder.{EMBEDDING}"]
    longer = with_new_rows(table, len(table) + 3, folder)
    assert torch.equal(longer[: len(table)], table)
    assert longer.isfinite().all()
