"""Files beside the graph by which other programs load it: onnx-asr and sherpa-onnx.

Both read one symbol and its id a line, show ``▁`` as a space, and know the blank by its name:
onnx-asr as ``<blk>``, sherpa-onnx as that and two others.
"""

import json
from collections.abc import Mapping, Sequence

from asr_dro_plugin.stack.names import component_of
from asr_dro_plugin.text.tokens import SPACE, WORD_START

BLANK_OF_OTHERS = "<blk>"
ONNX_ASR, SHERPA = "onnx-asr", "sherpa-onnx"
MODEL_TYPE = "wav2vec2-ctc"  # of onnx-asr: speech in, log probabilities out
# The one of sherpa-onnx's loaders of CTC models that takes speech; the others compute features.
LOADER = "from_omnilingual_asr_ctc"
# It brings the samples of each utterance to mean 0 and variance 1 first.
LOUDNESS = "it normalises the samples first, and this model hears how loud they were"
OFFSET = (
    "it takes the samples' mean off first, so that the texts of recordings with a constant offset "
    "differ in some symbols"
)


def files_of(tokens: Sequence[str], blank_id: int, frame_samples: int) -> dict[str, bytes]:
    """Content of ``tokens.txt`` (sherpa-onnx), ``vocab.txt`` and ``config.json`` (onnx-asr)."""
    symbols = {SPACE: WORD_START, tokens[blank_id]: BLANK_OF_OTHERS}
    lines = (f"{symbols.get(token, token)} {number}\n" for number, token in enumerate(tokens))
    table = "".join(lines).encode()
    config = {"model_type": MODEL_TYPE, "subsampling_factor": frame_samples}
    return {"tokens.txt": table, "vocab.txt": table, "config.json": _json(config)}


def peers_of(config: Mapping) -> dict[str, dict]:
    """Which other programs load the folder, and how; with why one gives another text."""
    why = "" if normalizes_samples(config) else OFFSET if ignores_loudness(config) else LOUDNESS
    return {
        ONNX_ASR: {"model_type": MODEL_TYPE, "same_text": True, "why": ""},
        SHERPA: {"loader": LOADER, "same_text": not why, "why": why},
    }


def normalizes_samples(config: Mapping) -> bool:
    """Whether the samples of each utterance are brought to mean 0 and variance 1 in the graph."""
    if component_of(config, "frontend"):
        return False
    by_norm = component_of(config, "normalize") == "utterance_mvn"
    conf = config.get("encoder_conf") or {}
    is_own = component_of(config, "encoder") in ("hf_wav2vec2", "fairseq_wav2vec2")
    return by_norm or is_own and bool(conf.get("do_normalize", True))


def ignores_loudness(config: Mapping) -> bool:
    """Whether log-mel features are normalised by utterance, so that the loudness goes."""
    frontend, conf = component_of(config, "frontend"), config.get("frontend_conf") or {}
    by_itself = frontend == "log_mel" and conf.get("normalize", "per_feature") != "none"
    by_norm = component_of(config, "normalize") == "utterance_mvn"
    return by_itself or by_norm and frontend in ("default", "log_mel")


def _json(content: Mapping) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()
