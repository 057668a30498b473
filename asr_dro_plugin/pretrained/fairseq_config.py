"""What network a fairseq checkpoint describes, as a Hugging Face ``config.json`` would say it.

fairseq keeps the settings of a wav2vec 2.0 or HuBERT in ``cfg.model`` (since 0.10) or flat in
``args``; one that was trained for ASR keeps those of the network inside it in ``w2v_args``.  Only
what shapes the network is taken; the task's settings, which newer releases extend and older ones
refuse, are not looked at but for ``normalize``.
"""

import ast
from collections.abc import Mapping

from asr_dro_plugin.errors import UserError

Layer = tuple[int, int, int]  # channels, kernel, stride

# fairseq's defaults (``Wav2Vec2Config``) of what older files leave out.
DEFAULTS = {
    "extractor_mode": "default", "encoder_layers": 12, "encoder_embed_dim": 768,
    "encoder_ffn_embed_dim": 3072, "encoder_attention_heads": 12, "activation_fn": "gelu",
    "dropout": 0.1, "attention_dropout": 0.1, "activation_dropout": 0.0, "encoder_layerdrop": 0.0,
    "dropout_input": 0.0, "final_dropout": 0.0, "layer_norm_first": False, "conv_bias": False,
    "conv_feature_layers": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512, 2, 2)] * 2",
    "conv_pos": 128, "conv_pos_groups": 16, "mask_prob": 0.65, "mask_length": 10,
    "mask_channel_prob": 0.0, "mask_channel_length": 10,
}  # fmt: skip
# Hugging Face's key <- fairseq's, where the value is the same.
KEYS = {
    "hidden_size": "encoder_embed_dim", "num_hidden_layers": "encoder_layers",
    "num_attention_heads": "encoder_attention_heads", "intermediate_size": "encoder_ffn_embed_dim",
    "hidden_dropout": "dropout", "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout", "feat_proj_dropout": "dropout_input",
    "final_dropout": "final_dropout", "layerdrop": "encoder_layerdrop",
    "do_stable_layer_norm": "layer_norm_first", "conv_bias": "conv_bias",
    "num_conv_pos_embeddings": "conv_pos", "num_conv_pos_embedding_groups": "conv_pos_groups",
    "mask_time_prob": "mask_prob", "mask_time_length": "mask_length",
    "mask_feature_prob": "mask_channel_prob", "mask_feature_length": "mask_channel_length",
}  # fmt: skip
ACTIVATIONS = {
    "gelu": "gelu", "relu": "relu", "gelu_accurate": "gelu_new", "gelu_fast": "gelu_new",
    "swish": "silu", "tanh": "tanh",
}  # fmt: skip
NORMS = {"default": "group", "layer_norm": "layer"}

# What fine-tuning says anew about the network inside: its key there, in the network's settings.
FINE_TUNED = {
    "dropout": "dropout", "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout", "dropout_input": "dropout_input",
    "final_dropout": "final_dropout", "layerdrop": "encoder_layerdrop", "mask_prob": "mask_prob",
    "mask_length": "mask_length", "mask_channel_prob": "mask_channel_prob",
    "mask_channel_length": "mask_channel_length",
}  # fmt: skip
# Settings of other networks under the same names, and the value that means plain wav2vec 2.0.
PLAIN = {
    "layer_type": "transformer", "pos_conv_depth": 1, "quantize_input": False,
    "conv_pos_batch_norm": False, "crop_seq_to_multiple": 1, "relative_position_embedding": False,
}  # fmt: skip
KINDS = ("wav2vec2", "hubert")
MAX_TEXT, MAX_LAYERS = 1000, 64


def network_settings(state: Mapping, where: str) -> tuple[dict, dict]:
    """(settings of the network, settings of the task) of a checkpoint as plain containers.

    Raises:
        UserError: neither fairseq's nor s3prl's sections are in it, or only a wrapper's.
    """
    if isinstance(state.get("model_cfg"), dict):  # s3prl's layout
        return dict(state["model_cfg"]), dict(state.get("task_cfg") or {})
    model, task = _sections(state.get("cfg") or state.get("args"))
    if not model:
        raise UserError(
            f"{where} has no settings of its network (cfg or args). Give a fairseq checkpoint."
        )
    if not model.get("w2v_args"):
        if "w2v_path" in model:
            raise UserError(
                f"{where} was trained for speech recognition from {model['w2v_path']}, and does "
                "not hold that network's settings (w2v_args). Give the pretrained checkpoint."
            )
        return model, task
    inner, inner_task = _sections(model["w2v_args"])
    changed = {name: model[key] for key, name in FINE_TUNED.items() if model.get(key) is not None}
    if model.get("apply_mask") is False:
        changed |= {"mask_prob": 0.0, "mask_channel_prob": 0.0}
    return {**inner, **changed}, {**inner_task, **task}


def _sections(settings: object) -> tuple[dict, dict]:
    """(model, task) of a ``cfg`` with sections; of old flat ``args`` the same for both."""
    if not isinstance(settings, dict):
        return {}, {}
    if isinstance(settings.get("model"), dict):
        task = settings.get("task")
        return dict(settings["model"]), dict(task) if isinstance(task, dict) else {}
    return dict(settings), dict(settings)


def model_config(settings: Mapping, where: str) -> dict:
    """The network as a Hugging Face configuration of ``wav2vec2`` or ``hubert``.

    Args:
        settings: of the network, as ``network_settings`` gives them.
        where: the file, for messages.

    Raises:
        UserError: another architecture, or settings that make no sense; names the key.
    """
    given = {key: value for key, value in settings.items() if value is not None}
    name = str(given.get("_name") or given.get("arch") or KINDS[0])
    _refuse_other_networks(name, given, where)
    known = {**DEFAULTS, **given}
    try:
        layers = convolutions(known["conv_feature_layers"])
        config = {ours: _cast(known[key], DEFAULTS[key]) for ours, key in KEYS.items()}
        config["hidden_act"] = ACTIVATIONS[known["activation_fn"]]
        config["feat_extract_norm"] = NORMS[known["extractor_mode"]]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{where}: the network's settings hold {error}. Give another file."
        ) from None
    channels, kernels, strides = (list(numbers) for numbers in zip(*layers, strict=True))
    is_hubert = name.startswith("hubert") or "label_rate" in given  # it computes the same
    return {
        "model_type": "hubert" if is_hubert else "wav2vec2", **config, "conv_dim": channels,
        "conv_kernel": kernels, "conv_stride": strides, "feat_extract_activation": "gelu",
        "layer_norm_eps": 1e-5,
    }  # fmt: skip


def _refuse_other_networks(name: str, settings: Mapping, where: str) -> None:
    if not name.startswith(KINDS):
        raise UserError(
            f"{where} holds a {name}, which is no wav2vec 2.0 or HuBERT of fairseq's. Legal: "
            f"{', '.join(KINDS)}."
        )
    for key, plain in PLAIN.items():
        if settings.get(key, plain) != plain:
            raise UserError(
                f"{where} has {key} {settings[key]!r}, another network than wav2vec 2.0 "
                f"({key} {plain!r}). Use encoder hf_wav2vec2 with the model's Hugging Face folder."
            )


def _cast(value: object, like: object) -> object:
    """``value`` as a number or a truth of the default's kind; YAMLs and enums hold words too."""
    if isinstance(like, bool):
        if value in (True, False):
            return bool(value)
        raise ValueError(f"{value!r} where true or false is meant")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} where a number is meant")
    if isinstance(like, int) and (value != int(value) or value < 1):
        raise ValueError(f"{value!r} where a size is meant")
    return type(like)(value)


def convolutions(text: str) -> list[Layer]:
    """Layers of ``conv_feature_layers``, which fairseq writes as Python and evaluates.

    Read as a sum of lists of three whole numbers, each once or times a number, nothing else:
    ``"[(512, 10, 5)] + [(512, 3, 2)] * 4"`` are five layers.

    Raises:
        ValueError: anything else is in it.
    """
    try:
        if len(text) > MAX_TEXT:
            raise ValueError
        layers = [layer for term in text.split("+") for layer in _repeated(term)]
        if not 0 < len(layers) <= MAX_LAYERS:
            raise ValueError
        return [_layer(*numbers) for numbers in layers]
    except (TypeError, AttributeError, ValueError, SyntaxError, RecursionError, MemoryError):
        words = f"conv_feature_layers {str(text)[:60]!r}, which is no list of layers"
        raise ValueError(words) from None


def _repeated(term: str) -> list:
    """``[...]``, ``[...] * 4`` or ``4 * [...]``."""
    parts = [ast.literal_eval(part.strip()) for part in term.split("*")]
    lists = [part for part in parts if isinstance(part, list)]
    times = [part for part in parts if isinstance(part, int)]
    if len(lists) != 1 or len(times) > 1 or len(parts) > 2:
        raise ValueError
    return lists[0] * min([*times, MAX_LAYERS + 1]) if times else lists[0]


def _layer(channels: int, kernel: int, stride: int) -> Layer:
    if not all(type(size) is int and 0 < size < 2**16 for size in (channels, kernel, stride)):
        raise ValueError
    return channels, kernel, stride
