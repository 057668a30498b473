"""``asr_dro_onnx.json``: what an exported folder holds, the one file of it that is read first.

The graph carries the same facts as ONNX ``metadata_props``, a property a key, but for those that
only a finished folder has (``NOT_IN_GRAPH``); values that are no text are JSON there.

::

    {"format": "asr-dro onnx", "schema": 1, "name": "asr_train_…", "made_by": "asr-dro 0.1.0",
     "inputs": {"speech": "input_values", "lengths": "input_lengths"},
     "outputs": {"log_probs": "log_probs", "lengths": "lengths"},
     "tokens": ["<blank>", …], "blank_id": 0, "token_type": "char", "bpe_model": null,
     "sample_rate": 16000, "frame_shift": 0.04, "frame_shift_samples": 640, "min_samples": 257,
     "exact_frames": true, "receptive_field_samples": null, "longest": null,
     "languages": ["eng", …], "groups": ["eng", …], "text_rule": {…}, "features": {…},
     "stack": {"frontend": "log_mel", "encoder": "conv_ctc"}, "decode": {…}, "opset": 18,
     "training": {…}, "num_parameters": 1426643, "licence": "unknown", "card": "README.md",
     "lm_dir": null, "parity": {"max_abs_diff": 2e-6, "on": "…"}, "peers": {…},
     "precisions": {"fp32": {"file": "model.onnx", "members": ["model.onnx"]}},
     "default_precision": "fp32", "int8": null,
     "members": {"model.onnx": {"bytes": 5836, "sha256": "…"}, …}}
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import EXPORTED
from asr_dro_plugin.packing.members import name_fault
from asr_dro_plugin.packing.schema import Schema
from asr_dro_plugin.text.tokens import MADE_OF_TEXT

MANIFEST = EXPORTED
FORMAT = "asr-dro onnx"
SCHEMA = 1
# Role -> name in the graph.  The names of the inputs, and ``logprobs`` as a second name of the
# output, are those of onnx-asr's wav2vec2-ctc.  speech is float32 (B, N) at 16 kHz in -1..1, zeros
# behind each utterance; lengths is int64 (B,), and where it is not given every row is of N samples
# (sherpa-onnx gives one input alone).  log_probs is float32 (B, T, V), behind an utterance's end
# certain of the blank; its lengths int64 (B,).
INPUTS = {"speech": "input_values", "lengths": "input_lengths"}
OUTPUTS = {"log_probs": "log_probs", "lengths": "lengths"}
LOG_PROBS_OF_OTHERS = "logprobs"

FP32, INT8 = "fp32", "int8"
MODEL = {FP32: "model.onnx", INT8: "model.int8.onnx"}  # precision -> its graph
TOKENS, CARD, LM = "tokens.txt", "README.md", "lm"

# Key -> kinds of its value.
KEYS: dict[str, tuple[type, ...]] = {
    "format": (str,), "schema": (int,), "name": (str,), "made_by": (str,),
    "inputs": (dict,), "outputs": (dict,),
    "tokens": (list,), "blank_id": (int,), "token_type": (str,), "bpe_model": (str, type(None)),
    "sample_rate": (int,), "frame_shift": (float,), "frame_shift_samples": (int,),
    "min_samples": (int,), "exact_frames": (bool,),
    "receptive_field_samples": (int, type(None)), "longest": (float, type(None)),
    "languages": (list,), "groups": (list,), "text_rule": (dict,), "features": (dict,),
    "stack": (dict,), "decode": (dict,), "opset": (int,), "training": (dict,),
    "num_parameters": (int,), "licence": (str,), "card": (str,), "lm_dir": (str, type(None)),
    "parity": (dict,), "peers": (dict,), "precisions": (dict,), "default_precision": (str,),
    "int8": (dict, type(None)), "members": (dict,),
}  # fmt: skip
NOT_IN_GRAPH = (
    "card", "lm_dir", "parity", "peers", "precisions", "default_precision", "int8", "members",
)  # fmt: skip
MOST_OPSET = 1000  # some twenty so far
MOST_BYTES = 2**26  # of a manifest
WHERE_EXPORTED = "Export the model again (asr-dro export --to onnx)."
_SCHEMA = Schema(MANIFEST, FORMAT, SCHEMA, KEYS, "model exported to ONNX", "asr-dro export")


@dataclass(frozen=True)
class Manifest:
    """The facts of an exported model; one attribute a key of ``KEYS``, as schema 1 has them.

    Attributes:
        tokens: the V symbols in the order of the graph's last axis.
        frame_shift: seconds from one frame to the next.
        min_samples: the fewest that give a frame.
        exact_frames: whether a rule counts the frames.
        receptive_field_samples: what a frame depends on; None where it depends on all.
        longest: seconds that the graph takes at once; None for any.
        languages: ISO 639-3 codes.
        decode: the folder's own decoding configuration.
        precisions: name -> its graph (``file``) and all files of it (``members``).
        members: name -> its ``bytes`` and ``sha256``.
    """

    format: str
    schema: int
    name: str
    made_by: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    tokens: Sequence[str]
    blank_id: int
    token_type: str
    bpe_model: str | None
    sample_rate: int
    frame_shift: float
    frame_shift_samples: int
    min_samples: int
    exact_frames: bool
    receptive_field_samples: int | None
    longest: float | None
    languages: Sequence[str]
    groups: Sequence[str]
    text_rule: Mapping[str, Any]
    features: Mapping[str, Any]
    stack: Mapping[str, Any]
    decode: Mapping[str, Any]
    opset: int
    training: Mapping[str, Any]
    num_parameters: int
    licence: str
    card: str
    lm_dir: str | None
    parity: Mapping[str, Any]
    peers: Mapping[str, Any]
    precisions: Mapping[str, Mapping[str, Any]]
    default_precision: str
    int8: Mapping[str, Any] | None
    members: Mapping[str, Mapping[str, Any]]

    def graph_of(self, precision: str | None = None) -> str:
        """The member that is the graph of a precision; None is the default one.

        Raises:
            UserError: the export does not have it.
        """
        chosen = precision or self.default_precision
        if chosen not in self.precisions:
            raise UserError(
                f"The export {self.name} has no precision '{chosen}'. "
                f"Legal: {' '.join(sorted(self.precisions))}."
            )
        return self.precisions[chosen]["file"]

    def members_of(self, precision: str | None = None) -> list[str]:
        """All members that a precision needs: its graph, weights beside it, language models."""
        chosen = precision or self.default_precision
        own = set(self.precisions[chosen]["members"]) | {self.precisions[chosen]["file"]}
        others = {name for each in self.precisions.values() for name in each["members"]}
        return [name for name in self.members if name in own or name not in others]


def in_graph(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts as ``metadata_props``: text as it is, all else as JSON."""
    chosen = {key: facts[key] for key in facts if key not in NOT_IN_GRAPH}
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in chosen.items()
    }


def from_bytes(raw: bytes, where: str) -> Manifest:
    """Read and check a manifest, alone.

    Raises:
        UserError: as ``Schema.read``; facts that contradict each other, names of members that lead
            out of the folder.
    """
    facts = _SCHEMA.read(raw, where)
    for fault in filter(None, (check(facts) for check in _CHECKS)):
        raise UserError(f"{where}: {MANIFEST} {fault}. {WHERE_EXPORTED}")
    return Manifest(**facts)


def _tokens_fault(facts: Mapping) -> str:
    tokens, blank_id = facts["tokens"], facts["blank_id"]
    if not tokens or not all(isinstance(token, str) and token for token in tokens):
        return "has tokens that are no texts"
    if len(set(tokens)) < len(tokens):
        return "has a token twice"
    if not 0 <= blank_id < len(tokens):
        return f"has blank_id {blank_id}, and {len(tokens)} tokens"
    if facts["token_type"] not in MADE_OF_TEXT:
        return f"has the unknown token_type '{facts['token_type']:.40}'"
    return ""


def _frames_fault(facts: Mapping) -> str:
    if facts["sample_rate"] != SAMPLE_RATE:
        return f"has the sample_rate {facts['sample_rate']}, and {SAMPLE_RATE} is read"
    shift, samples = facts["frame_shift"], facts["frame_shift_samples"]
    if not 0 < shift <= 10 or samples != round(shift * SAMPLE_RATE):
        return f"has frames of {shift:g} s and of {samples} samples"
    longest = facts["longest"]
    if not 1 <= facts["min_samples"] <= 60 * SAMPLE_RATE or (longest is not None and longest <= 0):
        return "has a shortest or a longest recording that cannot be"
    if not 1 <= facts["opset"] <= MOST_OPSET:
        return f"has the opset {facts['opset']}"
    return ""


def _names_fault(facts: Mapping) -> str:
    for key, roles in (("inputs", INPUTS), ("outputs", OUTPUTS)):
        if facts[key] != roles:
            return f"has other {key} than {' and '.join(sorted(roles.values()))}"
    for key in ("languages", "groups"):
        if not all(isinstance(code, str) for code in facts[key]):
            return f"has {key} that are no texts"
    return ""


def _members_fault(facts: Mapping) -> str:
    members = facts["members"]
    for name in members:
        if name == MANIFEST or (fault := name_fault(name)) or name.endswith("/"):
            return f"has a member {name[:80]!a} that {fault or 'is none'}"
    for name in filter(None, (facts["card"], facts["bpe_model"], *_graph_files(facts))):
        if name not in members:
            return f"names {name[:80]!a}, which is no member"
    folder = facts["lm_dir"]
    if folder is not None and not any(name.startswith(folder + "/") for name in members):
        return f"names language models in {folder[:80]!a}, where no member is"
    return ""


def _precisions_fault(facts: Mapping) -> str:
    for precision in facts["precisions"].values():
        if not isinstance(precision, dict) or not isinstance(precision.get("file"), str):
            return "has a precision without a file"
        names = precision.get("members")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return "has a precision without members"
    if facts["default_precision"] not in facts["precisions"]:
        return "has a default precision that it does not have"
    return ""


def _graph_files(facts: Mapping) -> Iterator[str]:
    for precision in facts["precisions"].values():
        yield precision["file"]
        yield from precision["members"]


_CHECKS = (_tokens_fault, _frames_fault, _names_fault, _precisions_fault, _members_fault)
