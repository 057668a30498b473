"""Whether ESPnet's own beam search decodes a model, and with which weight of CTC."""

from collections.abc import Mapping, Sequence

from asr_dro_plugin.stack.combinations import ctc_weight_of
from asr_dro_plugin.stack.names import component_of
from asr_dro_plugin.text.tokens import SOS_EOS, espnets_search_fault


def search_fault(config: Mapping, tokens: Sequence[str]) -> str:
    """Why ESPnet's search does not go with an experiment of these tokens; '' if it does."""
    if component_of(config, "decoder") == "hf_whisper":
        return "This model is a Whisper, which ESPnet's own search cannot decode."
    eos = (config.get("model_conf") or {}).get("sym_eos", SOS_EOS)
    fault = espnets_search_fault(tokens, eos) if ctc_weight_of(config) else ""
    return f"This model has {fault}." if fault else ""


def search_options(config: Mapping) -> str:
    """What ``Speech2Text`` must be told: its CTC counts half, and some models have none."""
    return "" if ctc_weight_of(config) else "ctc_weight=0.0"
