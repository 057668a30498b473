"""What is known of each component, one description each: ours by name below, ESPnet's beside them.

A new encoder is one line in ``OURS`` and three files: the network (``nets``), the adapter to
ESPnet (``espnet/parts``) and the description here.  Nothing here imports torch or ESPnet.
"""

from asr_dro_plugin.stack.components.component import Chosen, Component, Takes
from asr_dro_plugin.stack.components.conv_ctc import CONV_CTC
from asr_dro_plugin.stack.components.deepspeech2 import DEEPSPEECH2
from asr_dro_plugin.stack.components.espnet_encoders import ESPNET_ENCODERS
from asr_dro_plugin.stack.components.espnet_frontends import ESPNET_FRONTENDS
from asr_dro_plugin.stack.components.espnet_others import ESPNET_OTHERS
from asr_dro_plugin.stack.components.identity import IDENTITY
from asr_dro_plugin.stack.components.log_mel import LOG_MEL
from asr_dro_plugin.stack.components.quartznet import QUARTZNET
from asr_dro_plugin.stack.components.wav2vec2 import FAIRSEQ_WAV2VEC2, HF_WAV2VEC2
from asr_dro_plugin.stack.components.whisper import (
    HF_WHISPER,
    HF_WHISPER_DECODER,
    HF_WHISPER_FRONTEND,
    WHISPER_PREPROCESSOR,
)

__all__ = ["OURS", "OWN_SLOTS", "Chosen", "Component", "Takes", "facts_of", "names_with"]

DRO_MODEL = Component("asr_dro_plugin.espnet.model.model:DROASRModel", keywords_of="espnet")
OURS: dict[str, dict[str, Component]] = {
    "frontend": {"log_mel": LOG_MEL, "hf_whisper": HF_WHISPER_FRONTEND},
    "encoder": {
        "identity": IDENTITY,
        "conv_ctc": CONV_CTC,
        "quartznet": QUARTZNET,
        "hf_wav2vec2": HF_WAV2VEC2,
        "fairseq_wav2vec2": FAIRSEQ_WAV2VEC2,
        "hf_whisper": HF_WHISPER,
        "deepspeech2": DEEPSPEECH2,
    },
    "decoder": {"hf_whisper": HF_WHISPER_DECODER},
    "model": {
        "dro": Component("asr_dro_plugin.espnet.model.model:DROASRModel", keywords_of="espnet")
    },
    "preprocessor": {"whisper": WHISPER_PREPROCESSOR},
}
ESPNETS: dict[str, dict[str, Component]] = {
    "frontend": ESPNET_FRONTENDS,
    "encoder": ESPNET_ENCODERS,
    **ESPNET_OTHERS,
}
OWN_SLOTS = ("frontend", "encoder", "decoder")  # which may hold a component with own_weights
PLAIN = Component()  # of which nothing needs to be known but its arguments


def facts_of(slot: str, name: str | None) -> Component:
    """What is known of the component ``name`` of a slot; nothing of one that is in no table."""
    ours = OURS.get(slot, {}).get(name)
    return ours or ESPNETS.get(slot, {}).get(name, PLAIN)


def names_with(fact: str, slot: str) -> list[str]:
    """Names of the components of a slot of which a fact is so (``raw_audio``)."""
    return [
        name
        for table in (ESPNETS, OURS)
        for name, facts in table.get(slot, {}).items()
        if getattr(facts, fact)
    ]
