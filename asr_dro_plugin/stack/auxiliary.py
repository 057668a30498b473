"""Auxiliary targets of a YAML: CTC between the encoder's layers, and what must be there for it.

ESPnet's keys: ``encoder_conf.interctc_layer_idx`` names the depths, ``model_conf.interctc_weight``
their share of the loss, ``model_conf.aux_ctc`` what is learnt there in place of the text.
"""

from collections.abc import Iterator, Mapping

from asr_dro_plugin.stack.chosen import argument, chosen
from asr_dro_plugin.stack.combinations import ctc_weight_of
from asr_dro_plugin.stack.names import COMPONENTS, component_of
from asr_dro_plugin.stack.signatures import signature_of
from asr_dro_plugin.text.auxiliary import INPUT

LAYERS, WEIGHT, TARGETS = "interctc_layer_idx", "model_conf.interctc_weight", "model_conf.aux_ctc"


def aux_layers(config: Mapping) -> list[str]:
    """Layers after which ``text_aux`` is learnt."""
    return [str(layer) for layer, name in _targets(config).items() if name == INPUT]


def auxiliary_problems(config: Mapping) -> Iterator[str]:
    """Depths that do not exist, and settings that would be ignored or contradict each other."""
    yield from _layers(config)
    targets = _targets(config)
    if not targets:
        return
    named = [str(layer) for layer in argument(config, "encoder", LAYERS) or ()]
    for layer in targets:
        if not isinstance(layer, str):
            yield f"{TARGETS} has the layer {layer} as a number. Write it as text: '{layer}'."
        if str(layer) not in named:
            yield (
                f"{TARGETS} names layer {layer}, but encoder_conf.{LAYERS} is "
                f"[{', '.join(named)}]. Add it there{_who(config)}."
            )
    if not float(argument(config, "model", "interctc_weight") or 0):
        yield f"{TARGETS} is ignored while {WEIGHT} is 0. Set it, for example to 0.3."
    if not ctc_weight_of(config):
        yield f"{TARGETS} is ignored while model_conf.ctc_weight is 0. Set it above 0."
    if aux_layers(config):
        yield from _own_units(config)


def _layers(config: Mapping) -> Iterator[str]:
    """ESPnet tells a depth that does not exist by a failed assertion."""
    encoder = chosen(config, "encoder")
    layers, blocks = encoder[LAYERS] or (), encoder["num_blocks"]
    if not isinstance(blocks, int) or not isinstance(layers, list | tuple):
        return
    for layer in layers:
        if layer not in range(1, blocks):
            yield (
                f"encoder_conf.{LAYERS} has {layer}, but {encoder.label} has {blocks} blocks. "
                f"Legal: 1 to {blocks - 1}."
            )


def _own_units(config: Mapping) -> Iterator[str]:
    """What an output layer beside the letters' one does not go with."""
    if component_of(config, "model") != "dro":
        yield f"{TARGETS}: {INPUT} needs model: dro. Set it."
    elif component_of(config, "objective") is None:
        yield f"{TARGETS}: {INPUT} needs an objective. Set objective: ctc."
    if argument(config, "encoder", "interctc_use_conditioning"):
        yield (
            "encoder_conf.interctc_use_conditioning feeds back what CTC says of letters, but layer "
            f"{aux_layers(config)[0]} learns {INPUT}. Set it to false."
        )


def _who(config: Mapping) -> str:
    """Encoders that have such layers, where the chosen one has not."""
    encoder = chosen(config, "encoder")
    if LAYERS in signature_of(encoder.path).parameters:
        return ""
    able = [name for name in COMPONENTS["encoder"] if _takes_layers(name)]
    return f", and take an encoder that has it: {', '.join(sorted(able))}"


def _takes_layers(name: str) -> bool:
    part = chosen({"encoder": name}, "encoder")
    return LAYERS in signature_of(part.path).parameters


def _targets(config: Mapping) -> Mapping:
    targets = (config.get("model_conf") or {}).get("aux_ctc")
    return targets if isinstance(targets, Mapping) else {}
