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

MANIFEST = "asr_dro_onnx.json"
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
