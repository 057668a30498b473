"""What is known of our components is what their classes are and do."""

import inspect
import subprocess
import sys

import pytest

from asr_dro_plugin.stack.check import signature_for
from asr_dro_plugin.stack.chosen import chosen
from asr_dro_plugin.stack.components import OURS, facts_of, names_with
from asr_dro_plugin.stack.construct import load_class

WAV2VEC2 = {
    "model_type": "wav2vec2", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 8, "conv_dim": [4] * 7, "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
WHISPER = {"d_model": 12, "encoder_layers": 1, "decoder_layers": 1}
CONFS = {
    "quartznet": {"width": 0.02},
    "hf_wav2vec2": {"model_config": WAV2VEC2},
    "fairseq_wav2vec2": {"model_config": WAV2VEC2},
    "hf_whisper": {"model_config": WHISPER},
}
PARTS = [(slot, name) for slot in ("frontend", "encoder", "decoder") for name in OURS[slot]]
WITH_NETS = [part for part in PARTS if facts_of(*part).attribute]
GIVEN = {
    "frontend": {},
    "encoder": {"input_size": 40},
    "decoder": {"vocab_size": 9, "encoder_output_size": 12},
}


def test_the_table_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'espnet2', 'transformers'}"
    program = f"import sys, asr_dro_plugin.stack.components; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize(("slot", "name"), PARTS)
def test_an_adapter_shows_espnet_the_arguments_of_its_plain_class(slot, name):
    from espnet2.utils.get_default_kwargs import get_default_kwargs

    facts = facts_of(slot, name)
    adapter, plain = load_class(facts.path), load_class(facts.plain or facts.path)
    assert inspect.signature(adapter) == inspect.signature(plain)
    assert get_default_kwargs(adapter) == get_default_kwargs(plain)
    assert list(inspect.signature(adapter).parameters) == list(signature_for(slot, name).parameters)


@pytest.mark.parametrize(("slot", "name"), WITH_NETS)
def test_an_adapter_has_the_parameters_of_its_plain_class(slot, name):
    facts, conf = facts_of(slot, name), CONFS.get(name, {})
    adapter, plain = (load_class(path)(**GIVEN[slot], **conf) for path in (facts.path, facts.plain))
    names = [name for name, _ in adapter.named_parameters()]
    assert names == [f"{facts.attribute}.{name}" for name, _ in plain.named_parameters()]


@pytest.mark.parametrize("name", OURS["encoder"])
def test_an_encoder_is_as_wide_as_its_component_says(name):
    conf = CONFS.get(name, {})
    part = chosen({"encoder": name, "encoder_conf": conf}, "encoder", input_size=40)
    encoder = load_class(part.facts.path)(input_size=40, **conf)
    assert part.output_size == encoder.output_size()


@pytest.mark.parametrize(("slot", "name"), PARTS)
def test_a_wrong_keyword_is_no_argument_of_an_adapter(slot, name):
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        load_class(facts_of(slot, name).path)(**GIVEN[slot], **CONFS.get(name, {}), nonsense=1)


def test_a_class_that_hands_its_keywords_on_has_its_bases_arguments():
    signature = signature_for("model", "dro")
    assert {"groups", "ctc_weight", "lsm_weight"} <= set(signature.parameters)
    assert not signature.open
    whisper = signature_for("preprocessor", "whisper").parameters
    assert {"whisper_language", "short_noise_thres"} <= set(whisper)


def test_what_takes_a_checkpoint_says_where_its_network_is():
    for slot in ("frontend", "encoder"):
        for name in names_with("checkpoints", slot):
            facts = facts_of(slot, name)
            assert facts.network and facts.has_cnn
            assert facts.own_weights != facts.loads_weights
