"""Is a configuration one that can be trained?  Answered from the YAML alone, in under a second.

Nothing here imports torch or ESPnet, and no data is touched.  Every refusal is one line with the
file, the key, the legal values and the nearest name.
"""

import re
from collections.abc import Mapping

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.objectives.keys import keywords
from asr_dro_plugin.stack import espnet_options as train_options
from asr_dro_plugin.stack.adapter_settings import ADAPTERS, uses_adapter
from asr_dro_plugin.stack.adapters import adapter_problems
from asr_dro_plugin.stack.chosen import input_size_of
from asr_dro_plugin.stack.combinations import check_combinations
from asr_dro_plugin.stack.components import facts_of
from asr_dro_plugin.stack.names import (
    COMPONENTS,
    CTC_CLASS,
    ENHANCEMENT_CLASS,
    NO_COMPONENT,
    OPTIONAL_SLOTS,
    classes_of,
    component_of,
)
from asr_dro_plugin.stack.signatures import ANY, Parameter, Signature, signature_of
from asr_dro_plugin.stack.sizes import resolve
from asr_dro_plugin.stack.training_rules import check_training

NUMBER_AS_TEXT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")
BOOL_WORDS = frozenset(["y", "yes", "t", "true", "on", "1", "n", "no", "f", "false", "off", "0"])

# What the task itself passes to each constructor; a YAML must not.
_GIVEN_BY_TASK = {
    "encoder": "input_size",
    "postencoder": "input_size",
    "decoder": "vocab_size encoder_output_size embed_pad",
    "model": """
        vocab_size token_list frontend specaug normalize preencoder encoder postencoder decoder
        ctc joint_network groups objective objective_conf""",
    "objective": "num_groups group_names group_sizes",
    "preprocessor": """
        train token_type token_list bpemodel non_linguistic_symbols text_cleaner g2p_type rir_scp
        rir_apply_prob noise_scp noise_apply_prob noise_db_range short_noise_thres
        speech_volume_normalize aux_task_names use_lang_prompt use_nlp_prompt""",
    "optim": "params",
    "scheduler": "optimizer",
    "ctc": "odim encoder_output_size",
    "enhancement": "idim",
}
GIVEN_BY_TASK = {slot: frozenset(names.split()) for slot, names in _GIVEN_BY_TASK.items()}

# Arguments that may be missing because the recipe or our task fills them in.
FILLED_IN = frozenset({"input_size", "stats_file", "w2v_url", "model_config"})


def check_config(config: Mapping, where: str) -> None:
    """Check a training configuration.

    Args:
        config: as ``load_config`` returns it.
        where: its file, for messages.

    Raises:
        UserError: an unknown option, component or argument, a wrong type, a missing argument, or
            components that do not fit together.
    """
    check_options(config, where, train_options.TOP_LEVEL_KEYS, train_options.TRAIN_CHOICES)
    for slot in (*COMPONENTS, "optim", "scheduler"):
        _check_slot(config, slot, where)
    _check_arguments(
        config.get("ctc_conf", {}), "ctc", signature_of(CTC_CLASS), f"{where}: ctc_conf"
    )
    if uses_adapter(config):
        path = ADAPTERS[str(config.get("adapter", "lora")).lower()]
        conf = config.get("adapter_conf") or {}
        _check_arguments(conf, "adapter", signature_of(path), f"{where}: adapter_conf")
    for problem in adapter_problems(config):
        raise UserError(f"{where}: {problem}")
    check_combinations(config, where)
    check_training(config, where)
    try:
        resolve(config)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def check_inference_config(config: Mapping, where: str) -> None:
    """Check a configuration of ESPnet's own search; ``decoding.options`` reads all modes."""
    keys, choices = train_options.INFERENCE_KEYS, train_options.INFERENCE_CHOICES
    check_options(config, where, keys, choices)
    for key in ("beam_size", "nbest", "batch_size", "batch_duration"):
        if key in config and not float(config[key]) > 0:
            raise UserError(f"{where}: {key} must be above 0, not {config[key]}.")
    if not 0 <= float(config.get("ctc_weight", 0)) <= 1:
        raise UserError(f"{where}: ctc_weight must lie in 0..1, not {config['ctc_weight']}.")


def check_options(
    config: Mapping,
    where: str,
    keys: Mapping[str, str],
    choices: Mapping[str, tuple[str, ...]],
) -> None:
    """Hold top-level keys and values against a table of kinds and one of choices."""
    for key, value in config.items():
        if key not in keys:
            raise UserError(
                f"{where}: '{key}' is no option.{suggestion(str(key), keys)} Legal are ESPnet's "
                f"options and {' '.join(key for key in keys if key in OURS)}."
            )
        if value is None and key in SLOTS_NAMED:
            continue  # an empty slot: _check_slot knows whether it may be empty
        if not _is_of_kind(value, keys[key]):
            raise UserError(
                f"{where}: {key} must be {_KIND_WORDS[keys[key].rstrip('?')]}, not {value!r}."
            )
        if key in choices and value is not None:
            for word in value if isinstance(value, list | tuple) else [value]:
                _check_choice(str(word), choices[key], f"{where}: {key}", keys[key].endswith("?"))


SLOTS_NAMED = frozenset({*COMPONENTS, "optim"})
OURS = frozenset(train_options.OUR_TRAIN_KEYS) | frozenset(train_options.OUR_INFERENCE_KEYS)

_KIND_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "size": "a number or a size such as 2GB",
    "list": "a list, for example [a, b]",
    "dict": "a mapping of argument: value",
}


def _check_choice(value: str, legal: tuple[str, ...], where: str, optional: bool) -> None:
    if value.lower() in map(str.lower, legal) or (optional and value.lower() in NO_COMPONENT):
        return
    words = [*legal, *(["none"] if optional else [])]
    raise UserError(
        f"{where} is '{value}', which is unknown.{suggestion(value.lower(), words)} "
        f"Legal: {', '.join(words)}."
    )


def _is_of_kind(value: object, kind: str) -> bool:
    """Whether ESPnet's parser takes a YAML value for an option of this kind."""
    if value is None or (isinstance(value, str) and value.lower() in NO_COMPONENT):
        return kind.endswith("?") or (kind == "str" and value is not None)
    match kind.rstrip("?"):
        case "int":
            return not isinstance(value, bool) and re.fullmatch(r"[-+]?\d+", str(value)) is not None
        case "float":
            return not isinstance(value, bool) and _is_number(value)
        case "bool":
            return str(value).lower() in BOOL_WORDS
        case "list":
            # A bare word would be taken letter by letter, and a misspelt freeze_param is silent.
            return isinstance(value, (list, tuple)) or _is_number(value)
        case "dict":
            return isinstance(value, Mapping)
    return not isinstance(value, (list, Mapping))


def _is_number(value: object) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _check_slot(config: Mapping, slot: str, where: str) -> None:
    """The component of one slot, and its arguments."""
    classes = classes_of(slot)
    name = component_of(config, slot)
    if name is None:
        if slot not in OPTIONAL_SLOTS:
            raise UserError(f"{where}: {slot} cannot be none. Legal: {', '.join(classes)}.")
        if config.get(f"{slot}_conf"):
            raise UserError(f"{where}: {slot}_conf is given, but {slot} is none. Remove one.")
        return
    _check_choice(name, tuple(classes), f"{where}: {slot}", slot in OPTIONAL_SLOTS)
    conf = config.get(f"{slot}_conf", {})
    if slot == "objective":
        conf = _objective_keys(conf, where)
    if slot == "frontend" and input_size_of(config) is not None:
        return  # then ESPnet drops the frontend; check_combinations has the word
    signature = signature_for(slot, name)
    _check_arguments(conf, slot, signature, f"{where}: {slot}_conf of {slot} {name}")
    if (slot, name) == ("frontend", "default"):
        nested, signature = conf.get("frontend_conf") or {}, signature_of(ENHANCEMENT_CLASS)
        _check_arguments(nested, "enhancement", signature, f"{where}: frontend_conf.frontend_conf")


def _objective_keys(conf: Mapping, where: str) -> dict:
    """Keys of both levels of ``objective_conf``."""
    try:
        return keywords(conf)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def signature_for(slot: str, name: str) -> Signature:
    """Arguments of a component, those included that it hands to another."""
    facts = facts_of(slot, name)
    signature = signature_of(facts.plain or classes_of(slot)[name])
    if not facts.keywords_of:
        return signature
    base = signature_of(classes_of(slot)[facts.keywords_of])
    return Signature({**base.parameters, **signature.parameters}, base.open)


def _check_arguments(conf: Mapping, slot: str, signature: Signature, where: str) -> None:
    given = GIVEN_BY_TASK.get(slot, frozenset())
    legal = {name: p for name, p in signature.parameters.items() if name not in given}
    for key, value in conf.items():
        if (slot, key) == ("objective", "reference") and isinstance(value, str):
            continue  # a file, which the task reads
        if key in given:
            if key != "input_size":  # which is compared with what is inferred in stack.sizes
                raise UserError(f"{where}: {key} is set by the task. Leave it out.")
        elif key in legal:
            _check_value(value, legal[key], f"{where}: {key}")
        elif not signature.open:
            raise UserError(
                f"{where}: '{key}' is no argument.{suggestion(str(key), legal)} "
                f"Legal: {', '.join(legal) or 'none at all'}."
            )
    for key, parameter in legal.items():
        if parameter.required and key not in conf and key not in FILLED_IN:
            raise UserError(f"{where}: {key} is missing, and it has no default.")


def _check_value(value: object, parameter: Parameter, where: str) -> None:
    """Refuse a value whose kind the annotation excludes."""
    looks_numeric = isinstance(value, str) and NUMBER_AS_TEXT.fullmatch(value)
    if looks_numeric and "str" not in parameter.kinds:
        raise UserError(f"{where} is '{value}', which YAML reads as text. Write {_point(value)}.")
    kinds = parameter.kinds
    if ANY in kinds or _kind_of(value) in kinds:
        return
    if _kind_of(value) == "int" and "float" in kinds:
        return
    words = " or ".join(_KIND_WORDS.get(kind, kind) for kind in sorted(kinds))
    raise UserError(f"{where} must be {words}, not {value!r}.")


def _point(number: str) -> str:
    """``1e-4`` -> ``1.0e-4``, which YAML 1.1 takes for a number; an exponent needs its sign."""
    mantissa, exponent = re.split("[eE]", number)
    mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
    return f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"


def _kind_of(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    names = {int: "int", float: "float", str: "str", list: "list", tuple: "list", dict: "dict"}
    return names.get(type(value), ANY)
