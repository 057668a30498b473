"""Everything that is known of a stack from its configuration: what ``asr-dro info`` tells."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from asr_dro_plugin.experiment.folders import ModelFolder, WeightFacts
from asr_dro_plugin.stack.combinations import ctc_weight_of, loss_of
from asr_dro_plugin.stack.frames import FrameCounter, frame_counter
from asr_dro_plugin.stack.layers import Layer, layers_of
from asr_dro_plugin.stack.names import component_of
from asr_dro_plugin.stack.parameters import built_encoder
from asr_dro_plugin.stack.receptive_field import ReceptiveField, receptive_field
from asr_dro_plugin.stack.sizes import checkpoint_of, output_sizes, resolve
from asr_dro_plugin.stack.summary import Slot, describe
from asr_dro_plugin.stack.training_rules import has_objective, plans_batches
from asr_dro_plugin.text.tokens import BLANK


@dataclass(frozen=True)
class VocabularyFacts:
    """The outputs of a stack.

    Attributes:
        size: V.
        blank_id: index of CTC's blank; None where the tokens themselves are not known.
        token_type: ``char``, ``bpe`` and so on; None where nothing says so.
    """

    size: int
    blank_id: int | None = None
    token_type: str | None = None


@dataclass(frozen=True)
class StackInfo:
    """One stack.

    Attributes:
        training: objective, sampler, optimizer and scheduler as (name, arguments), or None where
            the stack has none of ours; empty where the configuration does not speak of training.
    """

    slots: list[Slot]
    loss: str
    ctc_weight: float
    training: dict[str, tuple[str, dict] | None]
    frames: FrameCounter
    field: ReceptiveField
    vocabulary: VocabularyFacts | None

    @property
    def num_parameters(self) -> int | None:
        """Trainable and frozen ones together; None where a slot could not be counted."""
        counts = [(slot.trainable, slot.frozen) for slot in self.slots]
        return None if (None, None) in counts else sum(map(sum, counts))

    def as_dict(self) -> dict:
        """For programs."""
        known = [slot for slot in self.slots if slot.trainable is not None]
        totals = {kind: sum(getattr(s, kind) for s in known) for kind in ("trainable", "frozen")}
        return {
            "slots": [asdict(slot) for slot in self.slots],
            "parameters": {**totals, "total": self.num_parameters},
            "loss": self.loss,
            "ctc_weight": self.ctc_weight,
            **{key: _part(part) for key, part in self.training.items()},
            "frame_shift": self.frames.frame_shift,
            "frame_shift_exact": self.frames.exact,
            "frame_shift_from": self.frames.blame,
            "receptive_field": self.field.as_dict(),
            "vocabulary": self.vocabulary and asdict(self.vocabulary),
        }


def _part(part: tuple[str, dict] | None) -> dict | None:
    return part and {"name": part[0], "conf": part[1]}


def stack_info(
    config: Mapping,
    vocabulary: VocabularyFacts | None,
    weights: WeightFacts | None = None,
    trains: bool = True,
) -> StackInfo:
    """What is to be told of a stack.

    Args:
        config: a checked configuration, or an experiment's.
        weights: a model file, which counts the slots that the configuration alone does not.
        trains: whether the configuration says how the stack is trained: an imported model's does
            not.

    Raises:
        UserError: what a component refuses.
    """
    config = dict(config)
    slots = describe(config, vocabulary.size if vocabulary else None)
    known = weights.by_slot if weights and not weights.adapters_only else {}
    slots = [
        replace(slot, trainable=known[slot.name], frozen=0, source="model")
        if slot.trainable is None and slot.name in known  # its pretrained model is not here
        else slot
        for slot in slots
    ]
    resolved = resolve(config)
    return StackInfo(
        slots, loss_of(config), ctc_weight_of(config), _training(config) if trains else {},
        frame_counter(resolved), receptive_field(resolved), vocabulary,
    )  # fmt: skip


def _training(config: Mapping) -> dict[str, tuple[str, dict] | None]:
    """Objective, sampler, optimizer and scheduler with their arguments."""
    used = {"objective": has_objective(config), "sampler": plans_batches(config)}
    names = {"objective": "objective", "sampler": "sampler", "optimizer": "optim",
             "scheduler": "scheduler"}  # fmt: skip
    found = {}
    for key, slot in names.items():
        name = component_of(config, slot) if used.get(key, True) else None
        found[key] = name and (name, dict(config.get(f"{slot}_conf") or {}))
    return found


def vocabulary_of(config: Mapping, tokens: Sequence[str]) -> VocabularyFacts:
    """The vocabulary of a list of tokens."""
    blank = tokens.index(BLANK) if BLANK in tokens else None
    return VocabularyFacts(len(tokens), blank, config.get("token_type"))


def encoder_layers(config: Mapping) -> list[Layer] | None:
    """The layers of a stack's encoder; None where only its pretrained model could tell."""
    config = resolve(config)
    sizes = output_sizes(config, checkpoint_of(config))
    module = built_encoder(config, sizes["preencoder"])
    return None if module is None else list(layers_of(module))


def folder_vocabulary(folder: ModelFolder) -> VocabularyFacts | None:
    """The vocabulary that a model folder's configuration lists."""
    return None if folder.tokens is None else vocabulary_of(folder.config, folder.tokens)
