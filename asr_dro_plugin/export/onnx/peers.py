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
# It brings each utterance to mean 0 and variance 1 first, and nothing of the loudness is left.
LOUDNESS = "it normalises the samples itself, and this model hears how loud they were"


def files_of(tokens: Sequence[str], blank_id: int, frame_samples: int) -> dict[str, bytes]:
    """Content of ``tokens.txt`` (sherpa-onnx), ``vocab.txt`` and ``config.json`` (onnx-asr)."""
    symbols = {SPACE: WORD_START, tokens[blank_id]: BLANK_OF_OTHERS}
    lines = (f"{symbols.get(token, token)} {number}\n" for number, token in enumerate(tokens))
    table = "".join(lines).encode()
    config = {"model_type": MODEL_TYPE, "subsampling_factor": frame_samples}
    return {"tokens.txt": table, "vocab.txt": table, "config.json": _json(config)}


def peers_of(config: Mapping) -> dict[str, dict]:
    """Which other programs load the folder, and how; with why one gives another text."""
    why = "" if ignores_loudness(config) else LOUDNESS
    return {
        ONNX_ASR: {"model_type": MODEL_TYPE, "same_text": True, "why": ""},
        SHERPA: {"loader": LOADER, "same_text": not why, "why": why},
    }


def ignores_loudness(config: Mapping) -> bool:
    """Whether the model's output is the same for louder and quieter speech."""
    conf = {slot: config.get(f"{slot}_conf") or {} for slot in ("frontend", "encoder")}
    if component_of(config, "normalize") == "utterance_mvn":
        return component_of(config, "frontend") not in ("hf_whisper", "s3prl")
    if component_of(config, "frontend") == "log_mel":
        return conf["frontend"].get("normalize", "per_feature") != "none"
    return component_of(config, "frontend") is None and bool(
        conf["encoder"].get("do_normalize", True)
    )


def _json(content: Mapping) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()
