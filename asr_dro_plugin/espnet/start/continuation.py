"""Start from an experiment that was trained before, with more languages or characters if asked.

Parameters are copied by name.  Those with one row for each token (CTC's linear layer, a decoder's
embedding and output) are copied row by row, by the token and not by its number, so that a new
language tag in the middle of the list moves nothing else.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import yaml

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.reference import changed_settings
from asr_dro_plugin.experiment import CONFIG, OBJECTIVE_STATE
from asr_dro_plugin.experiment.adapter_files import without_adapters
from asr_dro_plugin.experiment.model_files import best_model_file
from asr_dro_plugin.groups import GroupMap
from asr_dro_plugin.pretrained.hf_folders import SOURCE
from asr_dro_plugin.pretrained.read_weights import load_plain
from asr_dro_plugin.stack.chosen import argument, frontend_of
from asr_dro_plugin.stack.names import SLOTS, component_of
from asr_dro_plugin.text.tokens import BLANK, SOS_EOS, UNK

# What makes the input that the network has learnt to read.
INPUT = ("frontend", "normalize", "encoder_conf.do_normalize", "encoder_conf.attention_mask")
# Parameters with one row for each token.
TOKEN_TABLES = (
    "ctc.ctc_lo.", "decoder.embed.", "decoder.output_layer.", "decoder.net.embed_tokens."
)  # fmt: skip
AUX_TABLE = "ctc_aux."  # one row for each unit of auxiliary targets
MAX_NAMED = 5  # settings in a message


@dataclass(frozen=True)
class Origin:
    """What is continued from."""

    model_file: Path
    tokens: list[str]
    groups: list[str] | None
    config: dict = field(default_factory=dict, repr=False)


def read_source(init_exp: str) -> Origin:
    """The best model file of an experiment (or the file itself), its tokens and its groups.

    Raises:
        UserError: no model, or no configuration with a list of tokens beside it.
    """
    path = Path(init_exp)
    config_file = (path.parent if path.is_file() else path) / CONFIG
    if not config_file.exists():
        raise UserError(
            f"{config_file} is missing; its token list is needed to continue. Give --init_exp a "
            "trained experiment, or what asr-dro import has made."
        )
    config = yaml.safe_load(config_file.read_text(encoding="utf-8")) or {}
    model_file = path if path.is_file() else path / best_model_file(path)
    if not model_file.exists():
        there = " ".join(sorted(file.name for file in path.glob("*.pth"))) or "no model"
        raise UserError(
            f"{model_file} does not exist; {path} has {there}. Give --init_exp a trained "
            "experiment, or one of its model files."
        )
    if not isinstance(config.get("token_list"), list):
        raise UserError(f"{config_file} has no list of tokens. Give a trained experiment.")
    groups = (config.get("model_conf") or {}).get("groups")
    return Origin(model_file, list(config["token_list"]), groups, config)


def other_settings(before: Mapping, now: Mapping) -> list[str]:
    """``key old -> new`` of each setting of the stack that two configurations have otherwise.

    What one of them does not say has its default.
    """
    found = []
    for slot in SLOTS:
        old, new = (_component(config, slot) for config in (before, now))
        if old != new:
            found.append(f"{slot} {old or 'none'} -> {new or 'none'}")
        elif old is not None:
            keys = {key for c in (before, now) for key in c.get(f"{slot}_conf") or {}}
            sides = (
                {f"{slot}_conf": {key: argument(config, slot, key) for key in sorted(keys)}}
                for config in (before, now)
            )
            found += changed_settings(*sides)
    return [words for words in found if SOURCE not in words]


def _component(config: Mapping, slot: str) -> str | None:
    return frontend_of(config) if slot == "frontend" else component_of(config, slot)


def check_extension(source: Origin, tokens: list[str], groups: list[str] | None, allow: bool):
    """Refuse new or missing tokens and groups unless they were asked for, and say what is kept.

    The special symbols are no news: another system's model may have them elsewhere, or not.
    """
    news = []
    special = {BLANK, UNK, SOS_EOS}
    new_tokens = [token for token in tokens if token not in {*source.tokens, *special}]
    if new_tokens:
        news.append(f"{len(new_tokens)} new tokens ({' '.join(new_tokens[:10])})")
    if source.groups and groups:
        difference = GroupMap(source.groups).difference(GroupMap(groups))
        news += [f"groups: {difference}"] if difference else []
    if news and not allow:
        raise UserError(
            f"{source.model_file.parent} does not know everything in the new data: "
            f"{'; '.join(news)}. Add --extend_groups true if that is meant."
        )
    lost = [token for token in source.tokens if token not in {*tokens, *special}]
    if lost:
        raise UserError(
            f"The new token list lacks {len(lost)} tokens of {source.model_file.parent} "
            f"({' '.join(lost[:10])}). Make it with --init_exp, which keeps the old ones."
        )
    logging.info("Continuing from %s: %s", source.model_file, "; ".join(news) or "same tokens")


def token_rows(old: list[str], new: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Row numbers (N,), (N,) in the old and the new list of the tokens that both have."""
    where = {token: row for row, token in enumerate(old)}
    pairs = [(where[token], row) for row, token in enumerate(new) if token in where]
    rows = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


@torch.no_grad()
def transplant(
    model: torch.nn.Module,
    state: Mapping[str, torch.Tensor],
    old: list[str],
    new: list[str],
    differences: Sequence[str] = (),
) -> dict[str, int]:
    """Copy ``state`` into ``model``, tensors with one row a token by token.

    Args:
        model, state: the new model and the old one's tensors.
        old, new: their tokens.
        differences: what their stacks have otherwise, for the message.

    Returns:
        Counts: ``copied``, ``by_token`` and ``left`` (of the model, not in ``state``) tensors, and
        ``unused`` ones of ``state``.

    Raises:
        UserError: a tensor of another shape that is not one row a token, or nothing in common.
    """
    source_rows, target_rows = token_rows(old, new)
    own = {name for name in state if not name.startswith(OBJECTIVE_STATE)}
    unused = len(own - set(model.state_dict()))
    counts = {"copied": 0, "by_token": 0, "left": 0, "unused": unused}
    for name, tensor in model.state_dict().items():
        if name.startswith(OBJECTIVE_STATE):
            continue  # of named groups, not of equal shapes: see ``take_over_objective``
        given = state.get(name)
        if given is None:
            counts["left"] += 1
            continue
        per_token = given.dim() and given.shape[0] == len(old) and tensor.shape[0] == len(new)
        if per_token and given.shape[1:] == tensor.shape[1:] and name.startswith(TOKEN_TABLES):
            tensor[target_rows] = given[source_rows].to(tensor.dtype)
            counts["by_token"] += 1
        elif given.shape == tensor.shape:
            tensor.copy_(given)
            counts["copied"] += 1
        else:
            raise UserError(
                f"{name} is {tuple(given.shape)} in the old model and {tuple(tensor.shape)} in "
                f"the new{_named(differences)}. Continue with the configuration the old model was "
                "trained with."
            )
    if not counts["copied"]:
        raise UserError(
            f"The old model shares no parameter with this stack{_named(differences)}. Use its own "
            "--asr_config."
        )
    return counts


def by_unit(
    model: torch.nn.Module, state: Mapping[str, torch.Tensor], old: list[str], new: list[str]
) -> dict[str, torch.Tensor]:
    """``state`` with the output layer of auxiliary targets in the order of the new units; rows of
    units that the old model lacks are the new model's."""
    rows, target_rows = token_rows(old, new)
    aligned = dict(state)
    for name, tensor in model.state_dict().items():
        if name.startswith(AUX_TABLE) and name in state:
            aligned[name] = tensor.clone()
            aligned[name][target_rows] = state[name][rows].to(tensor.dtype)
    return aligned


def _named(differences: Sequence[str]) -> str:
    more = ["..."] if len(differences) > MAX_NAMED else []
    words = ", ".join([*differences[:MAX_NAMED], *more])
    return f" ({words})" if words else ""


def _tell(exp: Path, differences: Sequence[str], counts: Mapping[str, int]) -> None:
    """Say what the new stack has otherwise; loudly where what was learnt will fit it less."""
    of_input = [words for words in differences if words.startswith(INPUT)]
    if of_input:
        logging.warning(
            "%s was trained on other features%s. Take over its settings, unless that is meant.",
            exp, _named(of_input),
        )  # fmt: skip
    if differences and (counts["left"] or counts["unused"]):
        logging.warning(
            "%s has another stack%s: %d of its tensors are not used, %d start anew.",
            exp, _named(differences), counts["unused"], counts["left"],
        )  # fmt: skip
    elif differences:
        logging.info("%s had other settings%s.", exp, _named(differences))


def take_over_objective(
    model: torch.nn.Module, state: dict[str, torch.Tensor], old_groups: list[str] | None
) -> str:
    """Copy the group weights in ``state``, group by group; a sentence for the log.

    They are ratios among all the old groups: where one of these is gone they mean nothing, and all
    groups start alike.
    """
    objective = getattr(model, "objective", None)
    if objective is None:
        return "No group weights are used."
    gone = sorted(set(old_groups or []) - set(model.group_map.names))
    if gone:
        return f"Groups are gone ({' '.join(gone)}): the weights of all groups start alike."
    words = objective.extend_from(state, OBJECTIVE_STATE)
    objective.num_batches.zero_()  # a new run: a reference run is looked up by its own batches
    return words


def initialise_from(model: torch.nn.Module, args: argparse.Namespace) -> None:
    """Copy the parameters of ``args.init_exp`` into ``model`` and report what was kept."""
    source = read_source(args.init_exp)
    groups = args.model_conf.get("groups")
    check_extension(source, args.token_list, groups, args.extend_groups)
    state = load_plain(source.model_file)
    if getattr(model, "adapters", None) is None:
        state = without_adapters(state, source.config, source.model_file)
    units = ((c.get("model_conf") or {}).get("aux_token_list") for c in (source.config, vars(args)))
    state = by_unit(model, state, *(list(known or ()) for known in units))
    differences = other_settings(source.config, vars(args))
    counts = transplant(model, state, source.tokens, args.token_list, differences)
    _tell(source.model_file.parent, differences, counts)
    weights = take_over_objective(model, state, source.groups)
    kept = sorted(set(source.groups or []) & set(groups or []))
    new = sorted(set(groups or []) - set(source.groups or []))
    logging.info(
        "Copied %d tensors and %d token tables, %d start anew. Groups kept: %s. New groups: %s. %s",
        counts["copied"], counts["by_token"], counts["left"], " ".join(kept) or "none",
        " ".join(new) or "none", weights,
    )  # fmt: skip
