"""Settings of a sampler: the fields of its class, each of the kind that the class says."""

from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import get_args

from asr_dro_plugin.errors import UserError, suggestion

# What a setting may be by its annotation; numpy's numbers count too.
KINDS: dict[type, tuple[type, str]] = {
    bool: (bool, "true or false"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    type(None): (type(None), "none"),
}


def checked_settings(method: str, sampler: type, conf: Mapping) -> Mapping:
    """``sampler_conf``, refused where a key is unknown or a value of another kind."""
    known = {field.name: field.type for field in fields(sampler)}
    for key, value in conf.items():
        if key not in known:
            raise UserError(
                f"sampler_conf.{key} is not a key of sampler: {method}, which has "
                f"{' '.join(known)}." + suggestion(key, known)
            )
        _check_kind(key, value, known[key])
    return conf


def _check_kind(key: str, value: object, annotation: object) -> None:
    kinds = [KINDS[kind] for kind in get_args(annotation) or (annotation,)]
    for kind, _ in kinds:
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return
    words = " or ".join(words for _, words in kinds)
    raise UserError(f"sampler_conf.{key} must be {words}, not {value!r}.")
