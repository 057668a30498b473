"""What adapters add, and what of the pretrained model learns: told from names and sizes alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack.adapter_settings import Houlsby, LoRA, linear_sizes, settings_of, still_of

PROJECTIONS = ("k_proj", "v_proj", "q_proj", "out_proj")
NET = "encoder.net.model"


def wav2vec2(num_layers=3, width=16, inner=40, channels=8):
    """Numbers of elements by parameter, as transformers names them."""
    sizes = {f"{NET}.masked_spec_embed": width}
    sizes |= {f"{NET}.feature_extractor.conv_layers.0.conv.weight": 10 * channels}
    sizes |= linear(f"{NET}.feature_projection.projection", channels, width)
    sizes |= {f"{NET}.encoder.pos_conv_embed.conv.{p}": width for p in ("weight", "bias")}
    for number in range(num_layers):
        layer = f"{NET}.encoder.layers.{number}"
        for name in PROJECTIONS:
            sizes |= linear(f"{layer}.attention.{name}", width, width)
        for norm in ("layer_norm", "final_layer_norm"):
            sizes |= {f"{layer}.{norm}.{part}": width for part in ("weight", "bias")}
        sizes |= linear(f"{layer}.feed_forward.intermediate_dense", width, inner)
        sizes |= linear(f"{layer}.feed_forward.output_dense", inner, width)
    return sizes


def linear(name, num_in, num_out):
    return {f"{name}.weight": num_in * num_out, f"{name}.bias": num_out}


@settings(max_examples=20, deadline=None)
@given(
    num_layers=st.integers(1, 4), width=st.integers(2, 20), inner=st.integers(2, 40),
    rank=st.integers(1, 9),
)  # fmt: skip
def test_lora_adds_rank_times_in_and_out_of_each_adapted_layer(num_layers, width, inner, rank):
    sizes = wav2vec2(num_layers, width, inner)
    attention = LoRA(rank=rank, target_modules=["q_proj", "v_proj"]).added(sizes)
    assert sum(attention.values()) == num_layers * 2 * rank * 2 * width
    everywhere = LoRA(rank=rank, target_modules="all-linear").added(sizes)
    assert sum(everywhere.values()) == num_layers * rank * (4 * 2 * width + 2 * (width + inner))


@settings(max_examples=20, deadline=None)
@given(num_layers=st.integers(1, 4), width=st.integers(2, 20), bottleneck=st.integers(1, 9))
def test_houlsby_adds_two_bottlenecks_to_each_layer(num_layers, width, bottleneck):
    added = Houlsby(bottleneck=bottleneck).added(wav2vec2(num_layers, width))
    one = 2 * width * bottleneck + bottleneck + width
    assert sum(added.values()) == num_layers * 2 * one


def test_only_the_layers_that_are_named_are_adapted():
    for kind in (LoRA(target_layers=[0, 2]), Houlsby(target_layers=[0, 2])):
        found = {name.split(".layers.")[1][0] for name in kind.added(wav2vec2())}
        assert found == {"0", "2"}


def test_a_target_may_be_one_module_of_one_layer_or_outside_the_layers():
    targets = ["layers.1.attention.k_proj", "feature_projection.projection"]
    found = LoRA(target_modules=targets).targets(linear_sizes(wav2vec2()))
    stem = f"{NET}.encoder.layers.1.attention.k_proj"
    assert set(found) == {f"{NET}.feature_projection.projection", stem}


def test_a_layer_without_bias_is_square():
    sizes = wav2vec2(width=6)
    del sizes[f"{NET}.encoder.layers.0.attention.k_proj.bias"]
    assert linear_sizes(sizes)[f"{NET}.encoder.layers.0.attention.k_proj"] == (6, 6)


def test_norms_convolutions_and_embeddings_are_no_linear_layers():
    found = {name.rsplit(".", 1)[-1] for name in linear_sizes(wav2vec2())}
    assert found == {*PROJECTIONS, "intermediate_dense", "output_dense", "projection"}


def test_all_else_stands_still_unless_it_is_named():
    sizes = wav2vec2()
    assert still_of(Houlsby(), sizes) == set(sizes)
    still = still_of(LoRA(also_train=["*.final_layer_norm"]), sizes)
    norms = {name for name in sizes if "final_layer_norm" in name}
    assert set(sizes) - still == norms
    assert still_of(LoRA(freeze=False), sizes) == set()


@pytest.mark.parametrize("bias_type, number", [("none", 0), ("lora_only", 6), ("all", 26)])
def test_biases_learn_as_bias_type_says(bias_type, number):
    sizes = wav2vec2()
    still = still_of(LoRA(bias_type=bias_type), sizes)
    learned = set(sizes) - still
    assert len(learned) == number
    assert all(name.endswith("bias") for name in learned)


@pytest.mark.parametrize(
    "conf, words",
    [
        ({"rank": 0}, "rank must be at least 1, not 0"),
        ({"alpha": 0}, "alpha must be above 0, not 0"),
        ({"dropout_rate": 1.0}, "dropout_rate must be .* below 1, not 1.0"),
        ({"bias_type": "some"}, "bias_type is 'some', .*Legal: none, lora_only, all"),
        ({"target_modules": []}, "target_modules is empty"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_setting_that_cannot_be_is_refused(conf, words):
    with pytest.raises(UserError, match=words):
        settings_of({"use_adapter": True, "adapter": "lora", "adapter_conf": conf})


def test_a_target_that_is_not_there_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match="Did you mean 'q_proj'"):
        LoRA(target_modules=["q_projj"]).added(wav2vec2())


def test_a_layer_that_is_not_there_is_refused():
    for kind in (LoRA(target_layers=[3]), Houlsby(target_layers=[3])):
        with pytest.raises(UserError, match="target_layers has 3, .* are 0 to 2"):
            kind.added(wav2vec2(num_layers=3))


def test_an_entry_that_matches_nothing_is_refused():
    with pytest.raises(UserError, match="also_train 'norm' matches no parameter"):
        still_of(LoRA(also_train=["norm"]), wav2vec2())
