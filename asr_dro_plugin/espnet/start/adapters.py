"""``use_adapter: true``: small matrices that learn beside a pretrained model that stands still.

ESPnet's option and ESPnet's hook: its task calls what is in ``create_adapter_fn_table`` after a
model was built, in training and whenever a model file is read.  The two functions here stand in
that table under ESPnet's names and do for the networks of the encoders ``hf_wav2vec2``,
``fairseq_wav2vec2`` and ``hf_whisper``, and of the frontends ``hf_whisper`` and, with a Hugging
Face folder, ``s3prl``, what ESPnet's own do for theirs.  ESPnet's own ``houlsby`` still serves the
frontend ``s3prl`` with a file in s3prl's layout.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from espnet2.asr.frontend.s3prl import S3prlFrontend
from espnet2.layers.create_adapter import create_adapter_fn_table
from espnet2.layers.create_adapter_fn import create_houlsby_adapter

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.freezing import keep_no_needless_graph
from asr_dro_plugin.espnet.start.ssl_weights import load_pretrained
from asr_dro_plugin.experiment.adapter_files import ALWAYS_KEPT, check_base, is_model_file
from asr_dro_plugin.nets.adapters import add_houlsby, add_lora, merge_lora
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.stack.adapter_settings import (
    KINDS,
    Houlsby,
    LoRA,
    linear_sizes,
    model_width,
    modules_of,
    plain_name,
    trained_of,
)
from asr_dro_plugin.stack.adapters import refuse_unheard
from asr_dro_plugin.stack.components import OWN_SLOTS

S3PRLS_NETWORK = "upstream.upstream.model"


@dataclass(frozen=True)
class Adapters:
    """What was added to a model.

    Attributes:
        kind: lora or houlsby.
        settings: as they were given.
        added: names of the adapters' parameters.
        learning: names of the pretrained model's own parameters that learn, too.
        still: names of those that stand still, which its base brings.
    """

    kind: str
    settings: LoRA | Houlsby
    added: frozenset[str]
    learning: frozenset[str]
    still: frozenset[str]

    def mark(self, model: torch.nn.Module) -> None:
        """Let them learn, and the pretrained model stand still."""
        for name, parameter in model.named_parameters():
            if name in self.added | self.learning:
                parameter.requires_grad = True
            elif name in self.still or name.endswith(ALWAYS_KEPT):
                parameter.requires_grad = False
        for _, network in networks(model):
            if hasattr(network, "feature_extractor"):
                keep_no_needless_graph(network)


def register_adapters() -> None:
    """Stand in ESPnet's table for ESPnet's own functions; ``adapter_conf`` are their keywords."""
    for kind in KINDS:
        create_adapter_fn_table[kind] = functools.partial(create, kind)


def create(kind: str, model: torch.nn.Module, **conf) -> None:
    """Add adapters to a model, its base's weights first where its files leave them out.

    A model that has them (our task adds them itself, in the right order) is only told once more
    what learns: ESPnet has frozen ``freeze_param`` since.

    Raises:
        UserError: no pretrained network that takes them, a target that it has not, a missing base.
    """
    if getattr(model, "adapters", None) is None:
        if conf.get("base"):
            load_base(model, conf["base"], conf.get("base_sha256"))
        add_adapters(model, kind, conf)
    model.adapters.mark(model)


def add_adapters(model: torch.nn.Module, kind: str, conf: Mapping) -> None:
    """Add adapters to the pretrained networks of ``model``, and freeze what shall stand still.

    ``model.adapters`` then says what was added.
    """
    settings = KINDS[kind](**conf)
    sizes = {
        f"{prefix}.{name}": parameter.numel()
        for prefix, network in networks(model)
        for name, parameter in network.named_parameters()
    }
    learned = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    trained = trained_of(settings, sizes)
    if not settings.freeze:
        trained = {name for name in sizes if learned[name]}
    if isinstance(model.frontend, S3prlFrontend) and not _is_hf(model.frontend):
        refuse_unheard(settings, "s3prl")
        create_houlsby_adapter(model, settings.bottleneck, settings.target_layers)
    elif kind == "lora":
        _add_lora(model, settings, sizes)
    else:
        _add_houlsby(model, settings, sizes)
    parted = _parted(model, trained, set(sizes), set(learned))
    model.adapters = Adapters(kind, settings, *parted)
    for name, parameter in model.named_parameters():  # peft has frozen them all
        parameter.requires_grad = learned.get(plain_name(name), True)
    model.adapters.mark(model)


def networks(model: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """(name in the model, network) of each pretrained transformer that takes adapters.

    Raises:
        UserError: there is none.
    """
    found = []
    if isinstance(model.frontend, S3prlFrontend):
        found = [("frontend", S3PRLS_NETWORK)]
    for slot in OWN_SLOTS:
        part = getattr(model, slot, None)
        if hasattr(part, "load_pretrained"):
            found.append((slot, "net.model" if hasattr(part.net, "model") else "net"))
    if not found:
        raise UserError(
            "use_adapter is about a pretrained speech model, and this stack has none that takes "
            "adapters. Use encoder hf_wav2vec2, fairseq_wav2vec2 or hf_whisper, or frontend s3prl "
            "or hf_whisper."
        )
    for slot, name in found:
        yield f"{slot}.{name}", getattr(model, slot).get_submodule(name)


def _is_hf(frontend: S3prlFrontend) -> bool:
    """Whether s3prl's network is one of transformers'."""
    from transformers import PreTrainedModel

    return isinstance(frontend.get_submodule(S3PRLS_NETWORK), PreTrainedModel)


def _add_lora(model: torch.nn.Module, settings: LoRA, sizes: Mapping[str, int]) -> None:
    targets = settings.targets(linear_sizes(sizes))
    for name in targets:
        parent = model.get_submodule(name.rpartition(".")[0])
        if hasattr(parent, "torch_multi_head_self_attention"):  # takes weights, calls no layers
            raise UserError(
                f"adapter_conf.target_modules: {name} is WavLM's, whose attention would not see "
                "an adapter. Legal with WavLM: intermediate_dense, output_dense; or adapter: "
                "houlsby."
            )
    add_lora(model, targets, settings.rank, settings.alpha, settings.dropout_rate)


def _add_houlsby(model: torch.nn.Module, settings: Houlsby, sizes: Mapping[str, int]) -> None:
    names = settings.sublayers(modules_of(sizes))
    sublayers, width = map(model.get_submodule, names), model_width(sizes)
    add_houlsby(sublayers, width, settings.bottleneck, settings.activation)


def _parted(model: torch.nn.Module, trained: set[str], own: set[str], before: set[str]) -> tuple:
    """Names of what was added, and of what of the pretrained model learns and stands still.

    Args:
        trained: plain names of the pretrained model's parameters that learn.
        own, before: plain names of all of them, and of all of the model.
    """
    added, learning, still = set(), set(), set()
    for name, _ in model.named_parameters():
        plain = plain_name(name)
        if plain not in before:
            added.add(name)
        elif plain in trained:
            learning.add(name)
        elif plain in own and not name.endswith(ALWAYS_KEPT):
            still.add(name)
    return tuple(map(frozenset, (added, learning, still)))


def load_base(model: torch.nn.Module, base: str | Path, expected: str | None = None) -> None:
    """Give a built model, still without adapters, the weights of their pretrained model.

    Args:
        base: what ``ssl_checkpoint`` named, or a model file of an experiment (``init_exp``).
        expected: its fingerprint.

    Raises:
        UserError: it is missing or another, or a tensor of its network is, or has another shape.
    """
    path = check_base(base, expected, "this experiment")
    if isinstance(model.frontend, S3prlFrontend) and not is_model_file(path):
        return  # which it was built from
    if not is_model_file(path):
        load_pretrained(model, path)
        return
    state = load_plain(path)
    prefixes = tuple(f"{prefix}." for prefix, _ in networks(model))
    own = model.state_dict()
    wanted = {name for name in own if name.startswith(prefixes)}
    lacking = sorted(wanted - set(state))
    if lacking:
        raise UserError(
            f"{path} lacks {lacking[0]} ({len(lacking)} tensors) of the base's network. Give "
            "another base, or set save_strategy: all."
        )
    for name in sorted(wanted):
        if state[name].shape != own[name].shape:
            raise UserError(
                f"{name} is {tuple(state[name].shape)} in {path} and {tuple(own[name].shape)} in "
                "this stack (with new tokens, perhaps), which files without it could not bring "
                "back. Set save_strategy: all."
            )
    model.load_state_dict({name: state[name] for name in wanted}, strict=False)


def merge_adapters(model: torch.nn.Module) -> None:
    """Add LoRA's matrices to the weights that they adapt: a plain model that computes the same.

    Raises:
        UserError: adapters that are no matrices beside a weight.
    """
    adapters = getattr(model, "adapters", None)
    if adapters is None:
        return
    if adapters.kind != "lora":
        raise UserError(
            f"Adapters of kind {adapters.kind} cannot be merged: they are layers of their own. "
            "Leave --merge_adapters out."
        )
    merge_lora(model)
    model.adapters = None


def left_out_of(model: torch.nn.Module) -> frozenset[str]:
    """Names of a model's tensors that its files may lack: what the base of its adapters brings."""
    adapters = getattr(model, "adapters", None)
    return adapters.still if adapters is not None and adapters.settings.base else frozenset()
