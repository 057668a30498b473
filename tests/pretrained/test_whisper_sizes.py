"""A plan knows the sizes of OpenAI's Whispers before one is fetched."""

import pytest

from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.pretrained.whisper_sizes import published_config
from asr_dro_plugin.stack.summary import describe


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("openai/whisper-tiny", 37.8),
        ("openai/whisper-base", 72.6),
        ("openai/whisper-small@main", 241.7),
        ("openai/whisper-medium", 763.9),
        ("openai/whisper-large-v3", 1543.5),
        ("openai/whisper-large-v3-turbo", 808.9),
    ],
)
def test_a_published_whisper_has_the_parameters_that_transformers_counts(name, millions):
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    with torch.device("meta"):
        model = WhisperForConditionalGeneration(WhisperConfig(**published_config(name)))
    assert round(model.num_parameters() / 1e6, 1) == millions


@pytest.mark.parametrize("name", ["openai/whisper-huge", "me/whisper-small", "openai/clip"])
def test_other_names_tell_nothing(name):
    assert published_config(name) is None


def test_the_plan_of_the_shipped_stack_counts_what_learns():
    slots = describe(load_config("conf/train_asr_whisper_small_ce.yaml"), vocab_size=51865)
    assert sum(slot.trainable for slot in slots) == 240_582_912
