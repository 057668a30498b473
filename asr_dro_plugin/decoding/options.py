"""``conf/decode_*.yaml``: every key with its default, checked before any model is loaded.

The first key is ``mode``: greedy (the default), beam, lm, or espnet (ESPnet's own search and keys,
one of which alone says it too).  A key that the mode does not use is refused, for it would be
ignored.  No import here is heavy.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_dro_plugin.base.settings import check_kind, check_number, check_word
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.lm.files import all_lms, check_unit
from asr_dro_plugin.stack.check import check_inference_config
from asr_dro_plugin.stack.espnet_options import INFERENCE

MODES = ("greedy", "beam", "lm", "espnet")
SEARCH, WITH_LM, GREEDY = frozenset({"beam", "lm"}), frozenset({"lm"}), frozenset({"greedy"})
OURS = frozenset({"greedy", *SEARCH})
LANGUAGE_RULES = ("free", "forced")
WEIGHTS = ("lm_weight", "word_score", "blank_penalty")  # that a language may have its own of


@dataclass(frozen=True)
class Key:
    """One key of the YAML.

    Args:
        kind: int, float, bool, or a tuple of legal words; lang, stride and by_language have rules
            of their own.
        default: a value, or one a mode.
        modes: those that use the key.
        least, above, most: ends of the legal numbers, as in ``check_number``.
        optional: whether null is legal.
    """

    kind: Any
    default: Any
    modes: frozenset[str] = OURS
    least: float | None = None
    most: float | None = None
    above: float | None = None
    optional: bool = False


KEYS: dict[str, Key] = {
    "batch_duration": Key(float, 60.0, OURS, above=0),  # padded seconds of audio in a batch
    # free: the model names the language; forced: the data does (utt2lang, --lang); "eng fra": one
    # of these.
    "lang": Key("lang", "free"),
    # Natural logs that the blank loses in every frame; above 0: fewer letters are left out.
    "blank_penalty": Key(float, 0.0, OURS, -100, 100),
    # ISO code -> its own lm_weight, word_score, blank_penalty; null: the same for all.
    "by_language": Key("by_language", None, OURS, optional=True),
    "times": Key(bool, False),  # whether words and characters get times and confidences
    # Seconds of a piece of long audio (null: no pieces); of overlap, one number or [left, right].
    "chunk_length": Key(float, None, OURS, above=0, optional=True),
    "stride": Key("stride", None, OURS, optional=True),
    # What ends a text that an attention decoder does not end by itself (``runaway``): characters in
    # a second of sound (null: any number), and whether a loop does.  The fastest utterances that
    # the data stages keep have 25 in a second; this is a fifth more.
    "max_chars_per_second": Key(float, 30.0, GREEDY, above=0, optional=True),
    "end_repetition": Key(bool, True, GREEDY),
    "nbest": Key(int, 1, SEARCH, 1),  # hypotheses an utterance
    "beam_size": Key(int, {"beam": 20, "lm": 50}, SEARCH, 1),  # prefixes kept in a frame
    "beam_size_token": Key(int, 20, SEARCH, 1, optional=True),  # that may follow; null: all
    "beam_threshold": Key(float, 25.0, SEARCH, above=0),  # natural logs behind the best: dropped
    # Frames whose blank is likelier only part what is around them; 1: exact, and slower.
    "blank_threshold": Key(float, 0.999, SEARCH, above=0, most=1),
    "lm_unit": Key(("word", "char"), "word", WITH_LM),  # char: languages without spaces
    "lexicon": Key(bool, True, WITH_LM),  # whether only words of the language model can be found
    "lm_weight": Key(float, 0.5, WITH_LM, 0),  # alpha, of the model's natural logarithm
    "word_score": Key(float, 0.0, WITH_LM),  # beta, added for each unit of the language model
    # Added for a word that the model does not know, on top of its <unk> (lexicon false; null: 0).
    "unk_score": Key(float, None, WITH_LM, optional=True),
    "lm": Key(("joint", "language"), "joint", WITH_LM),  # language: that of the decided one
}


OF_WRITING = ("max_chars_per_second", "end_repetition")
ESPNETS_ALONE = INFERENCE.keys() - KEYS.keys() - {"mode"}
# Of ESPnet's command, which ours takes itself or has no use for.
_OF_THE_COMMAND = """
    allow_variable_data_keys asr_model_file asr_train_config config data_path_and_name_and_type
    key_file log_level model_tag ngpu num_workers output_dir seed
    """
OF_THE_COMMAND = frozenset(_OF_THE_COMMAND.split())
LMS = {"lm_weight": ("lm_train_config", "lm_file"), "ngram_weight": ("ngram_file",)}


def mode_of(given: Mapping) -> Any:
    """The mode of a configuration, which a key that only ESPnet's search has need not name."""
    default = "greedy" if ESPNETS_ALONE.isdisjoint(given) else "espnet"
    return given.get("mode", default)


def read_decode_config(source: str | os.PathLike | Mapping, where: str = "") -> dict[str, Any]:
    """All settings of a decoding configuration, those it does not name by default.

    Of mode espnet only the keys that are given, for the defaults of the rest are ESPnet's.

    Args:
        source: the YAML's path, or what it holds.
        where: its name in messages; default the path.

    Raises:
        UserError: an unknown key (with the nearest name), a key that the mode does not use, a
            value of another kind or out of range, settings that contradict each other.
    """
    is_mapping = isinstance(source, Mapping)
    where = where or ("the decoding configuration" if is_mapping else str(source))
    given = dict(source) if is_mapping else load_config(source)
    mode = mode_of(given)
    check_word(f"{where}: mode", mode, MODES)
    if mode == "espnet":
        check_inference_config(given, where)
        for name, why in _without_effect(given):
            del given[name]
            if why:
                logging.warning("%s: %s is ignored: %s.", where, name, why)
        return {"mode": mode, "batch_duration": KEYS["batch_duration"].default, **given}
    for name in given:
        _check_name(name, mode, where)
    config = {}
    for name, key in _keys_of(mode).items():
        default = key.default[mode] if isinstance(key.default, Mapping) else key.default
        config[name] = _checked(name, given.get(name, default), where)
    config["by_language"] = _by_language(config["by_language"], mode, where)
    if config.get("lm_unit") == "char" and "lexicon" not in given:
        config["lexicon"] = False
    _check_contradictions(config, where)
    return {"mode": mode, **config}


def _without_effect(given: Mapping) -> Iterator[tuple[str, str]]:
    """Keys of ESPnet's that change nothing here, with the reason; '' where nobody waits for one."""
    for name in given.keys() & OF_THE_COMMAND:
        yield name, "it is an option of ESPnet's command, not of its search"
    for name, models in LMS.items():
        if given.get(name) and not any(given.get(model) for model in models):
            yield name, f"no language model is named ({', '.join(models)})"
    if "batch_size" in given:
        many = int(given["batch_size"]) > 1
        yield "batch_size", "it decodes one utterance at a time" if many else ""


def _keys_of(mode: str) -> dict[str, Key]:
    return {name: key for name, key in KEYS.items() if mode in key.modes}


def _check_name(name: object, mode: str, where: str) -> None:
    if name == "mode" or (name in KEYS and mode in KEYS[name].modes):
        return
    if name in KEYS:
        users = [m for m in MODES if m in KEYS[name].modes]
        users = " or ".join([*users, *(["espnet"] if name in INFERENCE else [])])
        raise UserError(
            f"{where}: mode {mode} does not use {name}. Delete it, or set mode {users}."
        )
    known = ["mode", *_keys_of(mode)]
    near = suggestion(str(name), known) or suggestion(str(name), KEYS)
    raise UserError(f"{where}: '{name}' is no option.{near} Mode {mode} has: {' '.join(known)}.")


def _checked(name: str, value: Any, where: str) -> Any:
    """The value in its own type."""
    key = KEYS[name]
    if value is None and key.optional:
        return None
    if name == "lang":
        return _language_rule(value, where)
    if name == "stride":
        return _stride(value, where)
    if name == "by_language":
        check_kind(f"{where}: {name}", value, {"dict"})
        return value
    if isinstance(key.kind, tuple):
        check_word(f"{where}: {name}", value, key.kind)
        return value
    if key.kind is bool:
        check_kind(f"{where}: {name}", value, {"bool"})
        return value
    return _number(name, value, key, where)


def _number(name: str, value: Any, key: Key, where: str) -> int | float:
    ends = {"least": key.least, "above": key.above, "most": key.most}
    whole = key.kind is int
    return key.kind(check_number(f"{where}: {name}", value, whole=whole, infinite=True, **ends))


def _language_rule(value: Any, where: str) -> str:
    """``free``, ``forced``, or ISO codes with single spaces between them."""
    codes = value if isinstance(value, list) else str(value).replace(",", " ").split()
    if codes in (["free"], ["forced"]) or (codes and all(map(_is_code, codes))):
        return " ".join(dict.fromkeys(codes))
    near = suggestion(str(value), LANGUAGE_RULES)
    raise UserError(
        f"{where}: lang is '{value}'.{near} Give free, forced, or ISO codes such as 'eng fra'."
    )


def _is_code(word: Any) -> bool:
    return isinstance(word, str) and len(word) == 3 and word.isascii() and word.islower()


def _by_language(given: Mapping | None, mode: str, where: str) -> dict[str, dict] | None:
    """Each language's own weights, those that the mode uses."""
    names = [name for name in WEIGHTS if mode in KEYS[name].modes]
    found: dict[str, dict] = {}
    for lang, weights in (given or {}).items():
        place = f"{where}: by_language: {lang}"
        if not _is_code(lang):
            raise UserError(f"{place} is no ISO code. Give codes such as eng ('yes' in quotes).")
        check_kind(place, weights, {"dict"})
        for name in weights:
            if name not in names:
                raise UserError(
                    f"{place}: '{name}' is no weight of mode {mode}.{suggestion(str(name), names)} "
                    f"It has: {' '.join(names)}."
                )
        found[lang] = {name: _checked(name, weights[name], place) for name in weights}
    return found or None


def _stride(value: Any, where: str) -> tuple[float, float]:
    """Seconds of overlap on the left and on the right."""
    pair = value if isinstance(value, list | tuple) else [value, value]
    key = Key(float, None, least=0)
    if len(pair) != 2:
        raise UserError(f"{where}: stride is one number or [left, right] in seconds, not {value}.")
    left, right = (_number("stride", number, key, where) for number in pair)
    return left, right


def _check_contradictions(config: Mapping, where: str) -> None:
    stride, length = config["stride"], config["chunk_length"]
    if stride is not None and length is None:
        raise UserError(f"{where}: stride needs chunk_length. Set it, or delete stride.")
    if stride is not None and sum(stride) >= length:
        raise UserError(
            f"{where}: strides of {stride[0]:g} and {stride[1]:g} s leave nothing of a "
            f"chunk_length of {length:g} s. Their sum must be less."
        )
    if config.get("nbest", 1) > config.get("beam_size", 1):
        raise UserError(
            f"{where}: nbest {config['nbest']} is more than beam_size {config['beam_size']} can "
            "give. Raise beam_size."
        )
    if config.get("lm_unit") == "char" and config["lexicon"]:
        raise UserError(f"{where}: lm_unit char has no words. Set lexicon false, or lm_unit word.")
    if config.get("unk_score") is not None and (config["lexicon"] or config["lm_unit"] == "char"):
        raise UserError(
            f"{where}: unk_score is for words outside the lexicon. Delete it, or set lexicon false "
            "and lm_unit word."
        )


def refuse_limits_of_writing(config: Mapping[str, Any], where: str) -> None:
    """Refuse for CTC, whose frames bound its text, what ends the text of an attention decoder."""
    for name in OF_WRITING:
        if config.get(name, KEYS[name].default) != KEYS[name].default:
            raise UserError(
                f"{where}: {name} is for models whose attention decoder writes the text; this one "
                "is decoded by CTC. Delete it."
            )


def check_lm_dir(config: Mapping[str, Any], lm_dir: str | os.PathLike | None, where: str) -> None:
    """A language model that is absent, ignored or of another unit is an error, in a moment."""
    mode = config["mode"]
    if mode == "lm" and lm_dir is None:
        raise UserError(
            f"{where}: mode lm needs a language model. Give --lm_dir (asr-dro lm build makes it)."
        )
    if mode != "lm" and lm_dir is not None:
        raise UserError(
            f"{where}: mode {mode} does not use --lm_dir {lm_dir}. "
            "Leave it out, or give a --config of mode lm (conf/decode_asr_lm*.yaml)."
        )
    if lm_dir is not None and not Path(lm_dir).exists():
        raise UserError(f"--lm_dir {lm_dir} does not exist. Run asr-dro lm build (stages 6-9).")
    if lm_dir is not None:
        for files in all_lms(lm_dir).values():
            check_unit(files, config["lm_unit"])
