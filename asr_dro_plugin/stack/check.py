"""Is a configuration one that can be trained?  Answered from the YAML alone, in under a second.

Nothing here imports torch or ESPnet, and no data is touched.  Every refusal is one line with the
file, the key, the legal values and the nearest name.
"""

import os
import re
from collections.abc import Mapping, Sequence

from asr_dro_plugin.base.settings import check_key, check_kind, check_number, check_word
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.objectives.keys import GIVEN, keywords
from asr_dro_plugin.stack import names
from asr_dro_plugin.stack.adapter_settings import ADAPTERS, uses_adapter
from asr_dro_plugin.stack.adapters import adapter_problems
from asr_dro_plugin.stack.auxiliary import auxiliary_problems
from asr_dro_plugin.stack.chosen import input_size_of
from asr_dro_plugin.stack.combinations import check_combinations
from asr_dro_plugin.stack.components import facts_of
from asr_dro_plugin.stack.espnet_options import INFERENCE, OUR_KEYS, TRAIN, Option
from asr_dro_plugin.stack.names import COMPONENTS, CTC_CLASS, NO_COMPONENT, component_of
from asr_dro_plugin.stack.overrides import overrides_from_arguments
from asr_dro_plugin.stack.signatures import Signature, signature_of
from asr_dro_plugin.stack.sizes import resolve
from asr_dro_plugin.stack.training_rules import check_training

BOOL_WORDS = frozenset(["y", "yes", "t", "true", "on", "1", "n", "no", "f", "false", "off", "0"])

# What the task itself passes to each constructor; a YAML must not.
_GIVEN_BY_TASK = {
    "encoder": "input_size",
    "postencoder": "input_size",
    "decoder": "vocab_size encoder_output_size embed_pad",
    "model": """
        vocab_size token_list frontend specaug normalize preencoder encoder postencoder decoder
        ctc joint_network groups objective objective_conf aux_token_list""",
    "objective": " ".join(GIVEN),
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


def read_config(
    path: str | os.PathLike,
    asr_args: str = "",
    overrides: Sequence[str] = (),
    ssl_checkpoint: str | None = None,
) -> dict:
    """A training configuration, read and judged once: what a command passes on.

    Args:
        path: the YAML.
        asr_args: options in ESPnet's style, on top of it.
        overrides: ``key=value``, on top of both.
        ssl_checkpoint: in place of the configuration's.

    Raises:
        UserError: as ``load_config``, ``overrides_from_arguments`` and ``check_config``.
    """
    config = load_config(path, [*overrides_from_arguments(asr_args), *overrides])
    if ssl_checkpoint:
        config["ssl_checkpoint"] = ssl_checkpoint
    check_config(config, str(path))
    return config


def check_config(config: Mapping, where: str) -> None:
    """Check a training configuration.

    Args:
        config: as ``load_config`` returns it.
        where: its file, for messages.

    Raises:
        UserError: an unknown option, component or argument, a wrong type, a missing argument, or
            components that do not fit together.
    """
    _check_options(config, where, TRAIN)
    for slot in COMPONENTS:
        _check_slot(config, slot, where)
    ctc_conf = config.get("ctc_conf", {})
    _check_arguments(ctc_conf, "ctc", signature_of(CTC_CLASS), f"{where}: ctc_conf")
    if uses_adapter(config):
        path = ADAPTERS[str(config.get("adapter", "lora")).lower()]
        conf = config.get("adapter_conf") or {}
        _check_arguments(conf, "adapter", signature_of(path), f"{where}: adapter_conf")
    for problem in (*adapter_problems(config), *auxiliary_problems(config)):
        raise UserError(f"{where}: {problem}")
    check_combinations(config, where)
    check_training(config, where)
    try:
        resolve(config)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def check_inference_config(config: Mapping, where: str) -> None:
    """Check a configuration of ESPnet's own search; ``decoding.options`` reads all modes."""
    _check_options(config, where, INFERENCE)
    for key in ("beam_size", "nbest", "batch_duration"):
        if key in config:
            check_number(f"{where}: {key}", float(config[key]), above=0)
    check_number(f"{where}: batch_size", float(config.get("batch_size", 0)), least=0)
    check_number(f"{where}: ctc_weight", float(config.get("ctc_weight", 0)), least=0, most=1)


def _check_options(config: Mapping, where: str, options: Mapping[str, Option]) -> None:
    """Hold top-level keys and values against what ESPnet's parser takes."""
    for key, value in config.items():
        if key not in options:
            raise UserError(
                f"{where}: '{key}' is no option.{suggestion(str(key), options)} Legal are ESPnet's "
                f"options and {' '.join(key for key in options if key in OUR_KEYS)}."
            )
        if value is None and key in COMPONENTS:
            continue  # an empty slot: _check_slot knows whether it may be empty
        kind, optional = options[key].kind.rstrip("?"), options[key].kind.endswith("?")
        parsed = _parsed(value, kind)
        check_kind(f"{where}: {key}", parsed, {kind, *(["none"] if optional else [])})
        if options[key].choices and parsed is not None:
            for word in parsed if isinstance(parsed, list | tuple) else [parsed]:
                _check_choice(str(word), options[key].choices, f"{where}: {key}", optional)


def _parsed(value: object, kind: str) -> object:
    """What ESPnet's parser makes of a YAML's value for an option of a kind."""
    text = str(value).lower()
    if isinstance(value, str) and text in NO_COMPONENT and kind != "str":
        return None
    match kind:
        case "int" if re.fullmatch(r"[-+]?\d+", text):
            return int(text)
        case "float" | "list" if not isinstance(value, list | tuple) and _is_number(text):
            return float(text) if kind == "float" else [value]
        case "bool" if text in BOOL_WORDS:
            return True
        case "str" if not isinstance(value, list | tuple | Mapping | None):
            return str(value)
    return value  # for "list", a bare word: it would be taken letter by letter, and is refused


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_choice(value: str, legal: Sequence[str], where: str, optional: bool) -> None:
    """Refuse a word that is no legal one, whatever its case."""
    empty = NO_COMPONENT if optional else ()
    if value.lower() not in (*map(str.lower, legal), *empty):
        check_word(where, value.lower(), [*legal, *empty[:1]])


def _check_slot(config: Mapping, slot: str, where: str) -> None:
    """The component of one slot, and its arguments."""
    classes = COMPONENTS[slot]
    name = component_of(config, slot)
    if name is None:
        if slot not in names.OPTIONAL_SLOTS:
            raise UserError(f"{where}: {slot} cannot be none. Legal: {', '.join(classes)}.")
        if config.get(f"{slot}_conf"):
            raise UserError(f"{where}: {slot}_conf is given, but {slot} is none. Remove one.")
        return
    _check_choice(name, tuple(classes), f"{where}: {slot}", slot in names.OPTIONAL_SLOTS)
    conf = config.get(f"{slot}_conf", {})
    if slot == "objective":  # keys of both its levels
        try:
            conf = keywords(conf)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
    if slot == "frontend" and input_size_of(config) is not None:
        return  # then ESPnet drops the frontend; check_combinations has the word
    signature = signature_for(slot, name)
    _check_arguments(conf, slot, signature, f"{where}: {slot}_conf of {slot} {name}")
    if (slot, name) == ("frontend", "default"):
        nested, signature = conf.get("frontend_conf") or {}, signature_of(names.ENHANCEMENT_CLASS)
        _check_arguments(nested, "enhancement", signature, f"{where}: frontend_conf.frontend_conf")


def signature_for(slot: str, name: str) -> Signature:
    """Arguments of a component, those included that it hands to another."""
    facts = facts_of(slot, name)
    signature = signature_of(facts.plain or COMPONENTS[slot][name])
    if not facts.keywords_of:
        return signature
    base = signature_of(COMPONENTS[slot][facts.keywords_of])
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
            check_kind(f"{where}: {key}", value, legal[key].kinds)
        elif not signature.open:
            check_key(where, key, legal)
    for key, parameter in legal.items():
        if parameter.required and key not in conf and key not in FILLED_IN:
            raise UserError(f"{where}: {key} is missing, and it has no default.")
