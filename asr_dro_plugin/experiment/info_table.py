"""The text of ``asr-dro info``: a stack's table, and a line for each other fact."""

from collections.abc import Mapping, Sequence

from asr_dro_plugin.experiment.folders import ModelFolder
from asr_dro_plugin.experiment.info import StackInfo, VocabularyFacts
from asr_dro_plugin.stack.layers import Layer, layer_lines
from asr_dro_plugin.stack.table import describe_frame_shift, describe_loss, stack_lines

KEY_WIDTH = 16
NOT_OURS = {"objective": "the model's own mean", "sampler": "ESPnet's batches", "scheduler": "none"}


def info_facts(config: Mapping, info: StackInfo, folder: ModelFolder | None) -> dict[str, str]:
    """What stands below the table of a stack, by its title."""
    known = sum(slot.trainable + slot.frozen for slot in info.slots if slot.trainable is not None)
    return {
        "parameters": f"{known:,}" + (" + ?" if info.num_parameters is None else ""),
        "loss": describe_loss(config),
        **{key: _part(part, NOT_OURS.get(key, "none")) for key, part in info.training.items()},
        "frame shift": describe_frame_shift(info.frames),
        "receptive field": str(info.field),
        "vocabulary": _vocabulary(info.vocabulary),
        **(_of_folder(folder) if folder else {}),
    }


def info_lines(info: StackInfo, facts: Mapping[str, str], layers: Sequence[str]) -> list[str]:
    """The table, the facts below it, and the lines of ``layers_below``."""
    told = [f"{key:<{KEY_WIDTH}} {value}" for key, value in facts.items()]
    return [f"  {line}".rstrip() for line in [*stack_lines(info.slots), *told, *layers]]


def layers_below(config: Mapping, layers: Sequence[Layer] | None) -> list[str]:
    """The encoder layer by layer."""
    known = layer_lines(layers) if layers else ["not known, or none: see its checkpoint"]
    return ["", f"encoder {config.get('encoder')}, layer by layer:", *known]


def _part(part: tuple[str, dict] | None, otherwise: str) -> str:
    if not part:
        return otherwise
    name, conf = part
    words = ", ".join(f"{key} {value}" for key, value in conf.items())
    return f"{name} ({words})" if words else name


def _vocabulary(vocabulary: VocabularyFacts | None) -> str:
    if vocabulary is None:
        return "? (--vocab or --token_list tells)"
    words = [f"{vocabulary.size:,} tokens"]
    if vocabulary.token_type:
        words.append(str(vocabulary.token_type))
    if vocabulary.blank_id is not None:
        words.append(f"blank is {vocabulary.blank_id}")
    return ", ".join(words)


def _of_folder(folder: ModelFolder) -> dict[str, str]:
    """What a folder has beside its configuration."""
    facts = {"weights": "no model file yet"}
    if weights := folder.weights:
        only = ", adapters and head without their pretrained model" if weights.adapters_only else ""
        facts["weights"] = (
            f"{weights.file}: {weights.num_values:,} numbers, buffers included, "
            f"{', '.join(weights.dtypes)}, "
            f"{weights.num_bytes:,} bytes{only}"
        )
    if imported := folder.imported:
        counts = [f"{n} {part.replace('_', ' ')}" for part, n in imported["tensors"].items()]
        facts["imported"] = f"{imported['kind']} {imported['source']}: tensors {', '.join(counts)}"
    return facts
