"""The component that a configuration has in a slot, with what is known of it."""

from collections.abc import Mapping

from asr_dro_plugin.pretrained.layouts import PretrainedModel
from asr_dro_plugin.stack.components import Chosen, facts_of
from asr_dro_plugin.stack.names import COMPONENTS, NO_COMPONENT, component_of
from asr_dro_plugin.stack.ssl_checkpoint import model_config_of


def chosen(
    config: Mapping,
    slot: str,
    input_size: int | None = None,
    checkpoint: PretrainedModel | None = None,
) -> Chosen | None:
    """The component of a slot; None where it is empty, or where the data hold features instead."""
    name = frontend_of(config) if slot == "frontend" else component_of(config, slot)
    if name is None:
        return None
    facts = facts_of(slot, name)
    path = facts.plain or COMPONENTS[slot].get(name, "")
    return Chosen(
        slot, name, facts, path, config, input_size, checkpoint, lambda: model_config_of(config)
    )


def frontend_of(config: Mapping) -> str | None:
    """Name of the frontend; None for none and where ``input_size`` says that data hold features."""
    return component_of(config, "frontend") if input_size_of(config) is None else None


def input_size_of(config: Mapping) -> int | None:
    """Size of the data's features where the YAML states it; ESPnet reads text as a number too."""
    size = config.get("input_size")
    return None if size is None or str(size).lower() in NO_COMPONENT else int(size)


def argument(config: Mapping, slot: str, name: str) -> object:
    """Value of a component's argument: from the YAML, else the class's default."""
    part = chosen(config, slot)
    return part[name] if part else (config.get(f"{slot}_conf") or {}).get(name)
