"""The names a YAML may use in each slot, with the path of each class, ESPnet's and ours.

Nothing here imports ESPnet or torch.
"""

from asr_dro_plugin import objectives, samplers
from asr_dro_plugin.optim import OPTIMIZERS, SCHEDULERS
from asr_dro_plugin.stack.components import OURS
from asr_dro_plugin.stack.espnet_options import TABLES, TRAIN

# In the order in which the signal passes them.
SLOTS = ("frontend", "specaug", "normalize", "preencoder", "encoder", "postencoder", "decoder")

_OURS = {
    **{slot: {name: facts.path for name, facts in ours.items()} for slot, ours in OURS.items()},
    "objective": {name: objective.path for name, objective in objectives.OBJECTIVES.items()},
    "sampler": samplers.SAMPLERS,
    "optim": OPTIMIZERS,
    "scheduler": SCHEDULERS,
}
COMPONENTS: dict[str, dict[str, str]] = {
    slot: {**TABLES["slots"].get(slot, {}), **_OURS.get(slot, {})}
    for slot in (*SLOTS, "model", "objective", "sampler", "preprocessor", "optim", "scheduler")
}
# What a slot holds when the YAML does not name it; None is no component.
DEFAULTS: dict[str, str | None] = {slot: TRAIN[slot].default for slot in COMPONENTS}
OPTIONAL_SLOTS = frozenset(slot for slot in COMPONENTS if TRAIN[slot].kind.endswith("?"))

# Beside the slots: the output layer, what a transducer adds, and what DefaultFrontend hands its own
# frontend_conf to.
CTC_CLASS, JOINT_NETWORK_CLASS, ENHANCEMENT_CLASS = TABLES["beside"]

NO_COMPONENT = ("none", "null", "nil")


def component_of(config: dict, slot: str) -> str | None:
    """Name in a slot of a configuration, lower-cased as ESPnet does; None where it is empty."""
    name = config.get(slot, DEFAULTS[slot])
    if name is None or str(name).lower() in NO_COMPONENT:
        return None
    return str(name).lower()
