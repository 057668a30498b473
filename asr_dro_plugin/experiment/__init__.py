"""What an experiment's folder holds and is called: config, model files, metrics, adapters, info.

Imports: base data pretrained stack text.
"""

# What lies in an experiment's folder; an unpacked model is one, too.
CONFIG = "config.yaml"  # ESPnet writes it: the run as it was configured, defaults and all
META = "meta.yaml"  # ESPnet's list of what is in a packed model
IMPORTED = "import.json"  # where an imported model comes from
DECODE, LM = "decode.yaml", "lm"  # how a model that came from elsewhere is decoded, if it says
PACKED = "asr_dro.json"  # what a packed model consists of
EXPORTED = "asr_dro_onnx.json"  # manifest of a model exported to ONNX
METRICS = "metrics.jsonl"
LOG = "train.log"
SEEN = "seen.json"  # how much of each group and corpus the model has seen
VERSIONS = "versions.json"  # with which programs it was trained
ENDED_EARLY = "ended_early.tsv"  # beside a set's texts: those that the model did not end
# Names in a model's state that begin so are the objective's: of training, not of the model, and
# maybe NaN before its first update.
OBJECTIVE_STATE = "objective."
