"""What is known of a component without importing its class, and a component as a YAML has it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from asr_dro_plugin.pretrained.layouts import PretrainedModel
from asr_dro_plugin.stack.components.rules import Step, View
from asr_dro_plugin.stack.signatures import signature_of


@dataclass(frozen=True)
class Takes:
    """Which pretrained models a component takes: layouts in the order of preference, and
    architectures in Hugging Face's words."""

    layouts: tuple[str, ...]
    model_types: tuple[str, ...] = ("wav2vec2",)


@dataclass(frozen=True)
class Component:
    """What is known of a component; what is left out is not so, or not known.

    Attributes:
        path: ``module:Class`` that ESPnet builds; empty for ESPnet's own, which ``names`` has.
        plain: the class whose arguments it takes, importable without ESPnet; empty where that is
            the class itself.
        attribute: under which the class keeps the plain one, where that is a network.
        keywords_of: the component of its slot to which it hands the keywords it does not know.
        size: features of a frame that leave it; by default its argument ``output_size``.
        frames: how it changes the number of frames; None is not known.
        view: what a frame that leaves it depends on; None is not known.
        raw_audio: takes the waveform itself: with it, and only with it, frontend is none.
        input_layers: legal ``input_layer``, where it has one.
        unprojected: those of them that put no layer between the features and the first block.
        checkpoints: which pretrained models ``ssl_checkpoint`` may give it.
        own_weights: is built from ``model_config``, and takes a checkpoint's weights once, when
            training begins; else its constructor reads the file.
        loads_weights: its constructor loads weights from a hub or a file: never built for a plan.
        package: what it imports beside our own environment.
        no_parameters: never built for a plan either; some arguments come from the recipe.
        names_model: where its own arguments name a pretrained model, the most specific first.
        network: where its pretrained network lies below its slot.
        beside_network: parameters beside those of the pretrained network, by name below its slot.
        takes_adapters: ``use_adapter`` reaches that network.
        has_cnn: may hold a pretrained model with convolutions in front, which ``freeze_cnn``,
            ``feature_grad_mult`` and ``freeze_finetune_updates`` are about.
        normalizes_speech: ``do_normalize`` is its pretrained model's unless the YAML has it.
        num_states: of a frontend, how many hidden states of its pretrained model a frame is made
            of, where they can be kept (``--feats_type extracted``); None while that is not known.
        shares, lengths: arguments that are 0 to 1, and at least 1, whatever the model says.
        max_seconds, max_labels: of one utterance, where there is a limit.
        exports_to: systems that a stack with it can be exported to.
    """

    path: str = ""
    plain: str = ""
    attribute: str = ""
    keywords_of: str = ""
    size: "Callable[[Chosen], int | None] | None" = None
    frames: "Callable[[Chosen], Step | None] | None" = None
    view: "Callable[[Chosen], View | None] | None" = None
    raw_audio: bool = False
    input_layers: tuple[str | None, ...] = ()
    unprojected: tuple[str | None, ...] = ()
    checkpoints: Takes | None = None
    own_weights: bool = False
    loads_weights: bool = False
    package: str = ""
    no_parameters: bool = False
    names_model: "Callable[[Chosen], list[str]] | None" = None
    network: str = ""
    beside_network: "Callable[[Chosen], dict[str, int]] | None" = None
    takes_adapters: bool = False
    has_cnn: bool = False
    normalizes_speech: bool = False
    num_states: "Callable[[Chosen], int | None] | None" = None
    shares: tuple[str, ...] = ()
    lengths: tuple[str, ...] = ()
    max_seconds: "Callable[[Chosen], float] | None" = None
    max_labels: "Callable[[Chosen], int] | None" = None
    exports_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """A component as a configuration has it; ``chosen["dropout"]`` is an argument's value.

    Attributes:
        slot, name: where it is, and what it is called there.
        facts: what is known of it.
        path: the class whose arguments it takes.
        config: the configuration.
        input_size: features of a frame that reach it; None where they are not known.
        checkpoint: the pretrained model of the stack, looked up but never fetched.
        look_up: gives what a network like the pretrained model is built from.
    """

    slot: str
    name: str
    facts: Component
    path: str
    config: Mapping = field(repr=False)
    input_size: int | None = None
    checkpoint: PretrainedModel | None = None
    look_up: Callable[[], Mapping | None] = field(default=dict, repr=False)

    def __getitem__(self, argument: str) -> object:
        """From the YAML, else the class's default; None for what is no argument."""
        if argument in self.conf:
            return self.conf[argument]
        parameter = signature_of(self.path).parameters.get(argument)
        return parameter.default if parameter else None

    @property
    def conf(self) -> Mapping:
        """The arguments that the configuration gives."""
        return self.config.get(f"{self.slot}_conf") or {}

    @property
    def label(self) -> str:
        """``encoder conv_ctc``."""
        return f"{self.slot} {self.name}"

    @property
    def model_config(self) -> Mapping:
        """What its pretrained network is built from; empty where that is not here."""
        return self.look_up() or {}

    @property
    def output_size(self) -> int | None:
        """Features of a frame that leave it; None where only the component itself knows."""
        return self.facts.size(self) if self.facts.size else self["output_size"]

    @property
    def step(self) -> Step | None:
        """How it changes the number of frames; None where that is not known."""
        return self.facts.frames(self) if self.facts.frames else None

    @property
    def view(self) -> View | None:
        """What a frame that leaves it depends on; None where that is not known."""
        return self.facts.view(self) if self.facts.view else None
