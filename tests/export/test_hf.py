"""export/hf.py: transformers loads the folder, computes the same, and spells with the same ids."""

import json
import shutil

import pytest
import torch
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.hf import export_hf
from tests import hf_models
from tests.importing.reading import everything_below, imported, log_probs, read

# Lists as they are made here (blank first), as NeMo has them (last), and with neighbours' names.
LISTS = {
    "ours": ["<blank>", "<unk>", "[deu]", "<space>", "a", "b", "<sos/eos>"],
    "blank last": ["<space>", "a", "b", "c", "d", "<unk>", "<blank>"],
    "fairseq's": ["<blank>", "<pad>", "</s>", "<unk>", "<space>", "E", "T"],
    "no unknown": ["a", "b", "<space>", "c", "d", "e", "<blank>"],
}
FILES = {
    "config.json", "model.safetensors", "vocab.json", "tokenizer_config.json",
    "special_tokens_map.json", "preprocessor_config.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """An imported experiment and the model that it was."""
    folder = tmp_path_factory.mktemp("source")
    model = hf_models.write_folder(folder / "hf")
    return imported("hf", folder / "hf", folder / "exp"), model


@pytest.fixture
def exp(source, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(source[0], tmp_path / "exp")
    return tmp_path / "exp"


def rewrite(exp, **changes):
    config = read(exp)[0]
    (exp / "config.yaml").write_text(yaml.safe_dump({**config, **changes}, sort_keys=False))


def relabelled(exp, tokens):
    """The same network with another vocabulary, as if it had been trained here."""
    rewrite(exp, token_list=tokens)
    (exp / "import.json").unlink()


def loaded(folder):
    from transformers import AutoModelForCTC

    return AutoModelForCTC.from_pretrained(folder).eval()


def tokenizer_of(folder):
    from transformers import Wav2Vec2CTCTokenizer

    return Wav2Vec2CTCTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
def test_transformers_computes_the_same(kind, tmp_path):
    changes = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
    model = hf_models.write_folder(tmp_path / "hf", kind, **changes)
    exp = imported("hf", tmp_path / "hf", tmp_path / "exp")
    assert export_hf(exp, tmp_path / "out") == type(model).__name__
    again = loaded(tmp_path / "out")
    assert type(again) is type(model)
    samples = hf_models.speech()
    expected, found = (hf_models.log_probs(each, samples) for each in (model, again))
    assert torch.equal(found, expected)


def test_what_we_compute_and_what_transformers_computes_are_one(exp, tmp_path):
    export_hf(exp, tmp_path / "out")
    samples = hf_models.speech()
    found = hf_models.log_probs(loaded(tmp_path / "out"), samples)
    torch.testing.assert_close(found, log_probs(exp, samples), rtol=0, atol=1e-5)
    assert everything_below(tmp_path / "out") == FILES


@pytest.mark.parametrize("name", LISTS)
def test_its_tokenizer_has_our_ids_and_the_blank_is_its_pad(name, exp, tmp_path):
    tokens = LISTS[name]
    relabelled(exp, tokens)
    export_hf(exp, tmp_path / "out")
    tokenizer, model = tokenizer_of(tmp_path / "out"), loaded(tmp_path / "out")
    blank = tokens.index("<blank>")
    assert tokenizer.pad_token_id == model.config.pad_token_id == blank
    assert len(tokenizer) == model.config.vocab_size == len(tokens)
    back = {tokenizer.pad_token: "<blank>", tokenizer.word_delimiter_token: "<space>"}
    spelled = {back.get(token, token): row for token, row in tokenizer.get_vocab().items()}
    assert spelled == {token: row for row, token in enumerate(tokens)}
    letters = [token for token in tokens if len(token) == 1 and token.isalpha()]
    text = f"{letters[0]} {letters[1]}"
    expected = [tokens.index(token) for token in (letters[0], "<space>", letters[1])]
    assert tokenizer(text).input_ids == expected
    spelled = [expected[0], expected[0], blank, expected[1], blank, expected[2]]
    assert tokenizer.decode(spelled) == text


def test_its_feature_extractor_prepares_speech_as_the_encoder_does(exp, tmp_path):
    from transformers import Wav2Vec2Processor

    export_hf(exp, tmp_path / "out")
    processor = Wav2Vec2Processor.from_pretrained(tmp_path / "out")
    samples = hf_models.speech()
    values = processor(samples[0].numpy(), sampling_rate=16000, return_tensors="pt").input_values
    with torch.no_grad():
        found = loaded(tmp_path / "out")(values).logits.log_softmax(-1)
    torch.testing.assert_close(found, log_probs(exp, samples), rtol=0, atol=1e-5)


def test_import_export_import_is_the_identity(exp, tmp_path):
    export_hf(exp, tmp_path / "out")
    again = imported("hf", tmp_path / "out", tmp_path / "again")
    first, second = read(exp), read(again)
    assert first[3] == second[3] and first[1].keys() == second[1].keys()
    assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])
    for config in (first[0], second[0]):
        config["encoder_conf"]["model_config"].pop("_name_or_path")
    differing = {
        key
        for key in first[0]["encoder_conf"]["model_config"]
        | second[0]["encoder_conf"]["model_config"]
        if first[0]["encoder_conf"]["model_config"].get(key)
        != second[0]["encoder_conf"]["model_config"].get(key)
    }
    assert differing <= {"bos_token_id", "eos_token_id", "ctc_zero_infinity"}  # the tokenizer's
    vocab = [json.loads((f / "vocab.json").read_text()) for f in (tmp_path / "out",)]
    assert vocab == [hf_models.LETTERS]


@pytest.mark.parametrize(("changes", "words"), [
    ({"encoder": "conv_ctc", "encoder_conf": {}}, "its encoder is conv_ctc. Legal: hf_wav2vec2"),
    ({"preencoder": "linear", "preencoder_conf": {"output_size": 8}}, "it has preencoder linear"),
    ({"normalize": "utterance_mvn"}, "it has normalize utterance_mvn"),
    ({"model_conf": {"ctc_weight": 0.0}}, "trained without CTC"),
    ({"token_list": ["a"] * 7}, "its token list has no <blank>"),
])  # fmt: skip
def test_another_stack_is_refused_with_what_is_possible(changes, words, exp, tmp_path):
    rewrite(exp, **changes)
    with pytest.raises(UserError, match=words):
        export_hf(exp, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_symbol_that_would_be_taken_for_the_space_is_refused(exp, tmp_path):
    relabelled(exp, ["|", "<blank>", "<unk>", "<space>", "a", "b", "c"])
    with pytest.raises(UserError, match=r"have \| beside <space>"):
        export_hf(exp, tmp_path / "out")


def test_a_weighted_sum_of_layers_is_refused(exp, tmp_path):
    conf = read(exp)[0]["encoder_conf"]
    rewrite(exp, encoder_conf={**conf, "layers": "weighted"})
    with pytest.raises(UserError, match=r"weighted sum of all layers.*asr-dro pack"):
        export_hf(exp, tmp_path / "out")


def test_a_network_that_ends_at_a_layer_is_exported_as_that(exp, source, tmp_path):
    config, state, _, _ = read(exp)
    rewrite(exp, encoder_conf={**config["encoder_conf"], "layers": 1})
    kept = {name: value for name, value in state.items() if ".layers.1." not in name}
    torch.save(kept, exp / "model.pth")
    export_hf(exp, tmp_path / "out")
    model = loaded(tmp_path / "out")
    assert model.config.num_hidden_layers == 1
    samples = hf_models.speech()
    found = hf_models.log_probs(model, samples)
    torch.testing.assert_close(found, log_probs(exp, samples), rtol=0, atol=1e-5)


def test_lora_is_merged_into_the_weights(exp, tmp_path):
    from asr_dro_plugin.nets.adapters import add_lora
    from asr_dro_plugin.nets.hf_wav2vec2 import HFWav2Vec2Net

    config, state, _, _ = read(exp)
    net = HFWav2Vec2Net(**config["encoder_conf"]).eval()
    prefix = "encoder.net."
    net.load_state_dict(
        {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    )
    targets = [name for name, _ in net.model.named_modules() if name.endswith("q_proj")]
    add_lora(net.model, targets, rank=2, alpha=4)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
        hidden, _ = net(samples := hf_models.speech(), torch.tensor([samples.shape[1]]))
    adapted = {f"{prefix}{k}": v for k, v in net.state_dict().items()}
    head = {k: v for k, v in state.items() if k.startswith("ctc.")}
    torch.save({**adapted, **head}, exp / "model.pth")
    rewrite(exp, use_adapter=True, adapter="lora", adapter_conf={"rank": 2, "alpha": 4})
    export_hf(exp, tmp_path / "out")
    expected = torch.nn.functional.linear(
        hidden, state["ctc.ctc_lo.weight"], state["ctc.ctc_lo.bias"]
    ).log_softmax(-1)
    found = hf_models.log_probs(loaded(tmp_path / "out"), samples)
    assert (log_probs_of(state, config, samples) - expected).abs().max() > 1e-3  # it does adapt
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@torch.no_grad()
def log_probs_of(state, config, samples):
    """Without adapters."""
    from asr_dro_plugin.nets.hf_wav2vec2 import HFWav2Vec2Net

    net = HFWav2Vec2Net(**config["encoder_conf"]).eval()
    net.load_state_dict({
        k.removeprefix("encoder.net."): v for k, v in state.items() if k.startswith("encoder.")
    })  # fmt: skip
    hidden, _ = net(samples, torch.tensor([samples.shape[1]]))
    head = (state["ctc.ctc_lo.weight"], state["ctc.ctc_lo.bias"])
    return torch.nn.functional.linear(hidden, *head).log_softmax(-1)


def test_adapters_that_cannot_be_merged_are_refused(exp, tmp_path):
    rewrite(exp, use_adapter=True, adapter="houlsby", adapter_conf={"bottleneck": 4})
    with pytest.raises(UserError, match="adapters of kind houlsby, and only lora"):
        export_hf(exp, tmp_path / "out")


def test_a_folder_that_is_there_is_not_touched(exp, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="out is there already"):
        export_hf(exp, tmp_path / "out")
    assert everything_below(tmp_path / "out") == set()
