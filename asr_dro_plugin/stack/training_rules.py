"""Rules about how a stack is trained: objective, batches, freezing, schedule, checkpoints.

What a single component refuses of its own arguments is not here: ``stack.toy_parts`` builds it.
"""

import logging
import re
from collections.abc import Iterator, Mapping

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.objectives.keys import beside_experimental, keywords
from asr_dro_plugin.pretrained.regularisation import regularisation_problems
from asr_dro_plugin.samplers import SAMPLERS, sampler_class
from asr_dro_plugin.stack import parameter_names
from asr_dro_plugin.stack.chosen import chosen
from asr_dro_plugin.stack.combinations import ctc_weight_of, loss_of
from asr_dro_plugin.stack.components import facts_of
from asr_dro_plugin.stack.espnet_options import OURS, TRACKERS, TRAIN
from asr_dro_plugin.stack.names import NO_COMPONENT, SLOTS, component_of
from asr_dro_plugin.stack.parameter_names import freezes_cnn, frozen_updates, is_true

# ESPnet's options of batches that a sampler of ours has no use for.
_BATCH_KEYS = """
    batch_type batch_size batch_bins valid_batch_type valid_batch_size valid_batch_bins
    sort_in_batch sort_batch shuffle_within_batch drop_last_iter multiple_iterator min_batch_size
    max_batch_size fold_length chunk_length category_sample_size
    """
BATCH_KEYS = frozenset(_BATCH_KEYS.split())
# How a schedule names the optimizer updates of the whole training.
LENGTHS = {
    "onecyclelr": "total_steps", "tri_stage": "max_steps", "warmup_cosine": "max_steps",
    "tristagelr": "max_steps",
}  # fmt: skip
LEAST = {"keep_checkpoints": 2, "save_interval_steps": 0, "max_skipped_steps": 0,
         "sanity_batches": 0, "freeze_finetune_updates": 0, "num_iters_per_epoch": 1,
         "accum_grad": 1, "log_interval": 1, "augmentation_examples": 0,
         "augmentation_interval": 0}  # fmt: skip


def check_training(config: Mapping, where: str) -> None:
    """Refuse settings of the training that contradict each other or would be ignored.

    Raises:
        UserError: the first of them, with the keys, their values and what would be legal.
    """
    for rule in (
        _numbers, _objective, _objective_conf, _sampler, _cache, _freezing, _masking, _schedule,
        _trackers,
    ):  # fmt: skip
        for problem in rule(config):
            raise UserError(f"{where}: {problem}")


def warn_of_normalize(config: Mapping, where: str) -> None:
    """Say which normalisation a YAML gets that ESPnet's asr.sh could train, but with another."""
    ours = any(facts_of(slot, component_of(config, slot)).path for slot in (*SLOTS, "model"))
    if "normalize" not in config and not ours and config.keys().isdisjoint(OURS):
        logging.warning(
            "%s: normalize is not given, so it is utterance_mvn, the default of ESPnet's task; "
            "ESPnet's asr.sh makes it global_mvn (--feats_normalize). Name the one you want.",
            where,
        )  # fmt: skip


def has_objective(config: Mapping) -> bool:
    """Whether the loss of the training is an objective of ours."""
    return component_of(config, "model") == "dro" and component_of(config, "objective") is not None


def plans_batches(config: Mapping) -> bool:
    """Whether a sampler of ours makes the batches."""
    return str(config.get("iterator_type", "sequence")).lower() == "task"


def num_updates(config: Mapping) -> int | None:
    """Optimizer updates of the whole training; None where the data decide."""
    iterations = config.get("num_iters_per_epoch")
    if iterations is None or str(iterations).lower() == "none":
        return None
    batches = int(config.get("max_epoch", TRAIN["max_epoch"].default)) * int(iterations)
    return batches // max(1, int(config.get("accum_grad", 1)))


def _objective(config: Mapping) -> Iterator[str]:
    """An objective of ours needs our model and losses by utterance."""
    named = "objective" in config or config.get("objective_conf")
    objective, model = component_of(config, "objective"), component_of(config, "model")
    if model != "dro":
        if named and objective is not None:
            yield f"objective {objective} needs model: dro; here model is {model}. Set model: dro."
        return
    if objective is None:
        return
    if loss_of(config) == "transducer":
        yield f"objective {objective} needs the loss of each utterance, not a transducer's."
    ctc_type = (config.get("ctc_conf") or {}).get("ctc_type", "builtin")
    if ctc_weight_of(config) > 0 and ctc_type != "builtin":
        yield f"objective {objective} needs ctc_conf.ctc_type builtin, not {ctc_type}."


def _objective_conf(config: Mapping) -> Iterator[str]:
    """Where q draws the batches, they must hold one group; ``objectives.keys`` has the rest."""
    conf = config.get("objective_conf") or {}
    if old := " ".join(beside_experimental(conf)):
        words = "objective_conf: %s moved into objective_conf.experimental; read as before."
        logging.warning(words, old)
    acts_on = keywords(conf).get("acts_on", "loss")
    if acts_on not in ("sampling", "both"):
        return
    sampler = component_of(config, "sampler") if plans_batches(config) else None
    if sampler is None or not sampler_class(sampler).needs_groups:
        fitting = [name for name in SAMPLERS if sampler_class(name).needs_groups]
        yield (
            f"objective_conf.acts_on is {acts_on}, which draws batches of one group: set "
            f"iterator_type: task and sampler: {', '.join(fitting[:-1])} or {fitting[-1]}."
        )


def _sampler(config: Mapping) -> Iterator[str]:
    """A sampler of ours and ESPnet's batches exclude each other."""
    named = [key for key in ("sampler", "sampler_conf") if config.get(key)]
    if not plans_batches(config):
        if named and component_of(config, "sampler") is not None:
            yield (
                f"{named[0]} is ignored while iterator_type is "
                f"{config.get('iterator_type', 'sequence')}. Set iterator_type: task."
            )
        return
    if component_of(config, "sampler") is None:
        yield "iterator_type: task needs a sampler, for example sampler: group_duration."
    ignored = [key for key in config if key in BATCH_KEYS and not _is_for_validation(key, config)]
    if ignored:
        yield (
            f"{', '.join(ignored)} would be ignored: with iterator_type: task, "
            "sampler_conf.duration says how many seconds a batch holds. Remove it."
        )


def _cache(config: Mapping) -> Iterator[str]:
    """ESPnet's cache holds utterances as they were augmented when they were first read."""
    size = re.match(r"\s*[\d.]+", str(config.get("max_cache_size", 0)))
    augments = [key for key in ("rir_scp", "noise_scp") if _is_given(config.get(key))]
    if plans_batches(config) and augments and size and float(size[0]) > 0:
        logging.warning(
            "max_cache_size is %s, which keeps utterances as %s first changed them: later epochs "
            "hear them so again, and a resumed run, whose cache is empty, is not bit for bit the "
            "one that was never stopped. Set max_cache_size: 0.",
            config["max_cache_size"], " and ".join(augments),
        )  # fmt: skip
    yield from ()


def _is_given(value: object) -> bool:
    return value is not None and str(value).lower() not in NO_COMPONENT


def _is_for_validation(key: str, config: Mapping) -> bool:
    """Whether ESPnet's batches are used for the dev set, which may have other ones."""
    other = str(config.get("valid_iterator_type") or "task").lower()
    return other != "task" and (key.startswith("valid_") or f"valid_{key}" not in config)


def _freezing(config: Mapping) -> Iterator[str]:
    """What is frozen must be there, and must not be frozen and slowed down at once."""
    mult, updates = parameter_names.gradient_mult(config), frozen_updates(config)
    inner = parameter_names.espnets_frozen_updates(config)
    if mult is not None and not 0 <= mult <= 1:
        yield f"feature_grad_mult is {mult}. Legal: 0 (frozen) to 1 (as if it were not there)."
    if is_true(config.get("freeze_cnn", False)) and mult not in (None, 0):
        yield f"freeze_cnn is true and feature_grad_mult is {mult}. Leave one of them out."
    if inner and inner != updates:
        yield (
            f"freeze_finetune_updates is {updates}, but encoder_conf.freeze_finetune_updates is "
            f"{inner}. Leave the second out."
        )
    if not (mult is not None or updates or freezes_cnn(config)):
        return
    slots = ("frontend", "encoder")
    if not any(facts_of(slot, component_of(config, slot)).has_cnn for slot in slots):
        yield (
            "freeze_cnn, feature_grad_mult and freeze_finetune_updates are about a pretrained "
            "model, and this stack has none. Leave them out."
        )
    if updates and is_true(config.get("use_adapter", False)):
        yield "freeze_finetune_updates would unfreeze what use_adapter freezes. Leave one out."
    total = num_updates(config)
    if total is not None and updates >= total:
        yield (
            f"freeze_finetune_updates is {updates}, but max_epoch x num_iters_per_epoch / "
            f"accum_grad is {total}: the pretrained model would never learn. Lower it, or train "
            "longer."
        )


def _masking(config: Mapping) -> Iterator[str]:
    """Dropouts and masks, which only the first batch would refuse."""
    encoder = chosen(config, "encoder")
    numbers = {k: v for k, v in encoder.conf.items() if isinstance(v, int | float)}
    for problem in regularisation_problems(numbers, encoder.facts.shares, encoder.facts.lengths):
        yield f"encoder_conf.{problem}"


def _schedule(config: Mapping) -> Iterator[str]:
    """A schedule is as long as the training; torch ends a run that outlives onecyclelr."""
    name, total = component_of(config, "scheduler"), num_updates(config)
    key = LENGTHS.get(name, "")
    length = (config.get("scheduler_conf") or {}).get(key)
    if not isinstance(length, (int, float)) or total is None:
        return
    if name == "onecyclelr" and length < total:
        yield (
            f"scheduler_conf.total_steps is {length}, but max_epoch x num_iters_per_epoch / "
            f"accum_grad is {total}: training would stop with an error after {length} updates."
        )
    if length != total:
        logging.warning(
            "scheduler_conf.%s is %s, but training takes %d updates (max_epoch x "
            "num_iters_per_epoch / accum_grad).", key, length, total
        )  # fmt: skip


def _numbers(config: Mapping) -> Iterator[str]:
    """Counts that must not be lower."""
    for key, least in LEAST.items():
        if _is_given(config.get(key)) and int(config[key]) < least:
            yield f"{key} is {config[key]}. It must be at least {least}."


def _trackers(config: Mapping) -> Iterator[str]:
    """Settings of trackers go by the trackers' names."""
    for name, conf in (config.get("tracker_conf") or {}).items():
        if name not in TRACKERS:
            yield (
                f"tracker_conf names '{name}', which is no tracker.{suggestion(name, TRACKERS)} "
                f"Legal: {', '.join(TRACKERS)}."
            )
        if not isinstance(conf, Mapping):
            yield f"tracker_conf.{name} must be a mapping of setting: value, not {conf!r}."
