"""Parameters of each slot by name, counted without memory and without downloads.

Single modules are built on torch's meta device (shapes alone); the parameters of a pretrained model
come from its file, or from ``local/ssl_checkpoints.tsv`` while it is not here.
"""

from collections.abc import Mapping

from asr_dro_plugin.pretrained.layouts import PretrainedModel, layout_and_sizes
from asr_dro_plugin.stack import names
from asr_dro_plugin.stack.chosen import argument, chosen, frontend_of
from asr_dro_plugin.stack.combinations import ctc_weight_of
from asr_dro_plugin.stack.components import Chosen, facts_of
from asr_dro_plugin.stack.construct import construct, construct_part
from asr_dro_plugin.stack.names import COMPONENTS, CTC_CLASS, component_of

# Parameters of wav2vec 2.0's convolutions in the checkpoints of the table: 512 channels, kernels
# 10 3 3 3 3 2 2, each with bias and layer norm.
TABLE_FEATURE_EXTRACTOR = 512 * (10 + 512 * (4 * 3 + 2 * 2)) + 7 * 3 * 512

# And of their heads for pretraining, which only fairseq's files hold: quantizer (2 groups of 320
# vectors of 384, and a linear layer that chooses them), project_q and final_proj.
TABLE_HEADS = 2 * 320 * (384 + 512 + 1) + (768 + 1) * 768 + (1024 + 1) * 768

Tensors = dict[str, int]  # parameter name in the whole model -> number of elements


def built_component(config: Mapping, slot: str) -> str | None:
    """What the model really holds in a slot: ESPnet drops what the loss does not need."""
    weight = ctc_weight_of(config)
    if slot == "ctc":
        return (config.get("ctc_conf") or {}).get("ctc_type", "builtin") if weight > 0 else None
    name = frontend_of(config) if slot == "frontend" else component_of(config, slot)
    if slot == "decoder" and weight == 1 and name not in ("transducer", "linear_decoder"):
        return None
    return name


def slot_tensors(
    config: Mapping,
    slot: str,
    sizes: Mapping[str, int | None],
    checkpoint: PretrainedModel | None,
    vocab_size: int | None,
) -> tuple[Tensors | None, str]:
    """Parameters of a slot, and where they were read; None where they are not known.

    Raises:
        UserError: the component refuses its arguments.
    """
    name = built_component(config, slot)
    if name is None:
        return {}, ""
    part = None if slot == "ctc" else chosen(config, slot, checkpoint=checkpoint)
    if part and part.facts.no_parameters:
        return {}, "meta"
    if part and part.facts.loads_weights:
        return _pretrained(part)
    if part and part.facts.own_weights and not part["model_config"]:
        return _not_here(part)
    given = given_by_task(slot, sizes, vocab_size or 2)  # enough to see what is accepted
    if slot == "preencoder" and name == "linear":
        given = {"input_size": sizes["frontend"], **part.conf}
    if None in given.values():
        return None, ""
    module, attribute = build_module(slot, name, {**(config.get(f"{slot}_conf") or {}), **given})
    head = f"{slot}.{attribute}." if attribute else f"{slot}."
    tensors = {f"{head}{key}": p.numel() for key, p in module.named_parameters()}
    if name == "transducer":
        tensors |= _joint_network(config, sizes["encoder"], given["vocab_size"])
    return (None if slot in ("decoder", "ctc") and vocab_size is None else tensors), "meta"


def given_by_task(slot: str, sizes: Mapping[str, int | None], vocab_size: int) -> dict:
    """What the task passes to a constructor beside the slot's own arguments."""
    return {
        "encoder": {"input_size": sizes["preencoder"]},
        "postencoder": {"input_size": sizes["encoder"]},
        "decoder": {"vocab_size": vocab_size, "encoder_output_size": sizes["postencoder"]},
        "ctc": {"odim": vocab_size, "encoder_output_size": sizes["postencoder"]},
    }.get(slot, {})


def build_module(slot: str, name: str, arguments: Mapping):
    """One component without memory, and the attribute under which its adapter keeps it.

    Raises:
        UserError: it refuses its arguments.
    """
    path, attribute = module_of(slot, name)
    arguments = dict(arguments)
    if name == "transducer":  # meets the encoder in the joint network only
        del arguments["encoder_output_size"]
        arguments["embed_pad"] = 0
    return construct_part(slot, name, path, arguments), attribute


def module_of(slot: str, name: str) -> tuple[str, str]:
    """The class that holds a component's tensors, and the attribute under which ESPnet's has it."""
    facts = facts_of(slot, name)
    if facts.attribute:
        return facts.plain, facts.attribute
    return (CTC_CLASS if slot == "ctc" else COMPONENTS[slot][name]), ""


def built_encoder(config: Mapping, input_size: int | None):
    """The encoder of a stack without memory; None where only its pretrained model could tell."""
    encoder = chosen(config, "encoder")
    unknown = encoder.facts.loads_weights or encoder.facts.no_parameters
    if unknown or input_size is None:
        return None
    if encoder.facts.own_weights and not encoder["model_config"]:
        return None
    return build_module("encoder", encoder.name, {**encoder.conf, "input_size": input_size})[0]


def _joint_network(config: Mapping, encoder_size: int | None, vocab_size: int) -> Tensors:
    """Parameters of the joint network, which the model keeps beside the decoder."""
    sizes = {"output_size": vocab_size, "encoder_size": encoder_size}
    sizes["decoder_size"] = argument(config, "decoder", "hidden_size")
    module = construct(names.JOINT_NETWORK_CLASS, {**sizes, **(config.get("joint_net_conf") or {})})
    return {f"joint_network.{key}": p.numel() for key, p in module.named_parameters()}


def _pretrained(part: Chosen) -> tuple[Tensors | None, str]:
    """Parameters of an SSL model: from its file if it is here, else from the table."""
    checkpoint = part.checkpoint
    if checkpoint is None or checkpoint.num_params is None or not part.facts.network:
        return None, ""  # of a hub's model nothing is known before it is here
    body = f"{part.slot}.{part.facts.network}"
    beside = part.facts.beside_network(part)
    extra = {f"{part.slot}.{name}": numel for name, numel in beside.items()}
    if checkpoint.path.exists():
        sizes = _tensor_sizes(checkpoint)
        return {**{f"{body}.{key}": numel for key, numel in sizes.items()}, **extra}, "file"
    return _of_table(body, checkpoint.num_params) | extra, "table"


def _not_here(part: Chosen) -> tuple[Tensors | None, str]:
    """Parameters of a model that has not been fetched yet, as the table counts them."""
    checkpoint = part.checkpoint
    if checkpoint is None or checkpoint.num_params is None:
        return None, ""
    total = checkpoint.num_params - (TABLE_HEADS if checkpoint.layout == "fairseq" else 0)
    return _of_table(f"{part.slot}.{part.facts.network}", total), "table"


def _of_table(body: str, total: int) -> Tensors:
    front = TABLE_FEATURE_EXTRACTOR
    return {f"{body}.feature_extractor": front, body: total - front}


def _tensor_sizes(checkpoint: PretrainedModel) -> Tensors:
    """Elements of each tensor of a local checkpoint, named as in the wav2vec 2.0 model."""
    _, sizes = layout_and_sizes(checkpoint.path)
    outer = "w2v_encoder.w2v_model."  # fairseq wraps a model that was trained for ASR
    inner = {name.removeprefix(outer): n for name, n in sizes.items() if name.startswith(outer)}
    return inner or sizes
