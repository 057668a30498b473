"""``asr-dro export --to hf``: a trained model as a folder that transformers loads.

A folder of ``Wav2Vec2ForCTC``, ``HubertForCTC`` or ``WavLMForCTC`` with its tokenizer and feature
extractor: the same logits, the same ids, ``pad_token_id`` the blank.  Only what such a model is can
be one: a raw-audio encoder ``hf_wav2vec2`` or ``fairseq_wav2vec2`` and CTC on its last layer.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.files import share
from asr_dro_plugin.base.new_folder import new_folder
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import IMPORTED, OBJECTIVE_STATE, model_files
from asr_dro_plugin.experiment.adapter_files import leaves_out_base, without_adapters
from asr_dro_plugin.export.merging import merged
from asr_dro_plugin.packing.weights import read_model
from asr_dro_plugin.pretrained.hf_folders import CONFIG, PREPROCESSOR, WEIGHTS
from asr_dro_plugin.pretrained.hf_vocabulary import tokenizer_files
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.pretrained.regularisation import MASK_LENGTHS, WAV2VEC2_SHARES
from asr_dro_plugin.stack.adapter_settings import uses_adapter
from asr_dro_plugin.stack.combinations import ctc_weight_of
from asr_dro_plugin.stack.components import OURS, facts_of
from asr_dro_plugin.stack.names import SLOTS, component_of
from asr_dro_plugin.text.tokens import BLANK

ENCODERS = [name for name in OURS["encoder"] if "hf" in facts_of("encoder", name).exports_to]
BODY, HEAD = "encoder.net.model.", "ctc.ctc_lo."
ARCHITECTURES = {"wav2vec2": "Wav2Vec2ForCTC", "hubert": "HubertForCTC", "wavlm": "WavLMForCTC"}
# Arguments of the encoder that its config.json has under the same names.
OF_CONFIG = (*WAV2VEC2_SHARES, *MASK_LENGTHS)


def export_hf(exp: str | os.PathLike, out: str | os.PathLike, model_file: str | None = None) -> str:
    """Write the folder ``out``; returns the name of its architecture.

    Args:
        exp: a trained or imported experiment.
        out: a folder that is not there yet.
        model_file: of ``exp``; by default its best.

    Raises:
        UserError: another stack, no such model, ``out`` is there already.
    """
    from safetensors.torch import save_file

    exp = Path(exp)
    config = model_files.read_experiment_config(exp)
    for problem in obstacles(config):
        raise UserError(f"{exp} cannot be a Hugging Face CTC model: {problem}")
    path = model_files.find_model_file(exp, model_file or model_files.best_model_file(exp))
    if leaves_out_base(config):
        with merged(exp, path.name, config) as (whole, _):
            state = {name: tensor.clone() for name, tensor in load_plain(whole).items()}
    else:
        state = without_adapters(read_model(path, config), config, path)
    network = network_of(config)
    with new_folder(out) as folder:
        for name, content in _files(exp, config, network).items():
            (folder / name).write_bytes(content)
        save_file(_theirs(state, network, path), folder / WEIGHTS[0], metadata={"format": "pt"})
        share(folder / WEIGHTS[0])
    return network["architectures"][0]


def obstacles(config: Mapping) -> Iterator[str]:
    """Why a stack is none of Hugging Face's, each with what could be done."""
    encoder, conf = component_of(config, "encoder"), config.get("encoder_conf") or {}
    if encoder not in ENCODERS:
        yield (
            f"its encoder is {encoder}. Legal: {', '.join(ENCODERS)}; other stacks can be given "
            "away with asr-dro pack."
        )
    empty = [slot for slot in SLOTS if slot not in ("frontend", "specaug", "encoder", "decoder")]
    for slot in empty:
        if component_of(config, slot):
            yield f"it has {slot} {component_of(config, slot)}, which has no place there."
    if ctc_weight_of(config) == 0:
        yield "it was trained without CTC."
    if conf.get("layers", "last") == "weighted":
        yield (
            "its output is a weighted sum of all layers, which has no place there. Train with "
            "encoder_conf.layers: last, or give it away with asr-dro pack."
        )
    if uses_adapter(config) and config.get("adapter") != "lora":
        yield f"it has adapters of kind {config.get('adapter')}, and only lora can be merged."
    tokens = config.get("token_list")
    if not isinstance(tokens, list) or BLANK not in tokens:
        yield f"its token list has no {BLANK}."


def network_of(config: Mapping) -> dict[str, Any]:
    """Content of ``config.json``."""
    conf, tokens = config["encoder_conf"], config["token_list"]
    network = {k: v for k, v in conf["model_config"].items() if not k.startswith("_")}
    network |= {key: conf[key] for key in OF_CONFIG if conf.get(key) is not None}
    if isinstance(conf.get("layers"), int):
        network["num_hidden_layers"] = conf["layers"]
    ctc = config.get("ctc_conf") or {}
    specials = {
        f"{name}_token_id": tokens.index(token) if token in tokens else None
        for name, token in (("bos", "<s>"), ("eos", "</s>"))
    }
    return {
        **network, **specials,
        "architectures": [ARCHITECTURES[network["model_type"]]],
        "vocab_size": len(tokens),
        "pad_token_id": tokens.index(BLANK),
        "final_dropout": float(ctc.get("dropout_rate", 0.0)),
        "ctc_zero_infinity": bool(ctc.get("zero_infinity", True)),
    }  # fmt: skip


def _theirs(state: Mapping[str, Any], network: Mapping, path: Path) -> dict[str, Any]:
    """Tensors by Hugging Face's names."""
    prefix = f"{network['model_type']}."
    made, strange = {}, []
    for name, tensor in state.items():
        if name.startswith(HEAD):
            made[f"lm_head.{name.removeprefix(HEAD)}"] = tensor
        elif name.startswith(BODY):
            made[prefix + name.removeprefix(BODY)] = tensor
        elif not name.startswith((OBJECTIVE_STATE, "decoder.")):
            strange.append(name)
    if strange:
        raise UserError(f"{path} has {strange[0]}, which has no place in a Hugging Face model.")
    return {name: tensor.detach().clone().contiguous() for name, tensor in made.items()}


def _files(exp: Path, config: Mapping, network: Mapping) -> dict[str, bytes]:
    """The JSON files by name."""
    conf, imported = config["encoder_conf"], exp / IMPORTED
    origin = json.loads(imported.read_text("utf-8")) if imported.is_file() else {}
    extractor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1,
        "padding_side": "right", "padding_value": 0.0, "sampling_rate": SAMPLE_RATE,
        "do_normalize": bool(conf.get("do_normalize", True)),
        "return_attention_mask": bool(conf.get("attention_mask", True)),
    }  # fmt: skip
    tokenizer = tokenizer_files(
        config["token_list"], origin.get("special_tokens"), bool(origin.get("do_lower_case"))
    )
    return {CONFIG: _json(network), PREPROCESSOR: _json(extractor), **tokenizer}


def _json(content: Mapping) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
