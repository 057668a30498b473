"""Settings and arguments that are refused in one line, before they do any harm."""

import inspect
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real

import torch

from asr_dro_plugin.errors import UserError, suggestion
from asr_dro_plugin.objectives.keys import EXPERIMENTAL

GIVEN = ("num_groups", "group_names", "group_sizes")  # by the task, not by a YAML


def require_number(
    key: str, value: float, *, whole: bool = False, infinite: bool = False
) -> float | int:
    """``value``, refused where it is no number: a word, True, NaN, and what else YAML may give.

    Args:
        whole: only integers will do.
        infinite: .inf will do, too.
    """
    kind = Integral if whole else Real
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not fits or math.isnan(value) or (math.isinf(value) and not infinite):
        wanted = "whole number" if whole else "number"
        hint = " YAML reads 1e-3 as a word: write 1.0e-3." if isinstance(value, str) else ""
        raise UserError(f"{key} is {value}: it must be a {wanted}.{hint}")
    return value


def require_one_of(key: str, value: str, known: Sequence[str]) -> None:
    """Refuse a word that is not in the table."""
    if value not in known:
        raise UserError(f"{key} is '{value}'. It is one of: {' '.join(known)}.")


def absolute_or_relative(
    key: str,
    absolute: float | None,
    relative: float | None,
    default: float,
    most: float = math.inf,
) -> tuple[float | None, float | None]:
    """The two, of which one is None: the relative default where neither was chosen.

    ``keys`` has refused both at once.
    """
    for name, value in ((key, absolute), (f"{key}_rel", relative)):
        if value is not None and require_number(name, value) < 0:
            raise UserError(f"{name} is {value}: it must be 0 or above.")
        if value is not None and value > most:
            raise UserError(f"{name} {value} would overflow. Usual values are 1e-4 to 1.")
    if absolute is not None:
        return float(absolute), None
    return None, float(default if relative is None else relative)


def signature_with_bases(cls: type) -> inspect.Signature:
    """Arguments of a class whose constructor hands the keywords it does not name to its base."""
    inits = [vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)]
    chosen: dict[str, inspect.Parameter] = {}
    for init in inits:
        for name, parameter in list(inspect.signature(init).parameters.items())[1:]:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                chosen.setdefault(name, parameter)
    return inspect.Signature(list(chosen.values()))


def refuse_unknown(unknown: Iterable[str], cls: type) -> None:
    """Refuse keywords that no constructor of an objective's class has named."""
    for key in unknown:
        known = [name for name in inspect.signature(cls).parameters if name not in GIVEN]
        numbers = [name for name in known if name not in EXPERIMENTAL]
        switches = [name for name in known if name in EXPERIMENTAL]
        raise UserError(
            f"objective_conf.{key} is not a key of {cls.__name__}, which has {' '.join(numbers)} "
            f"and in experimental {' '.join(switches)}." + suggestion(key, known)
        )


def require_given(value: torch.Tensor | None, name: str, who: str) -> None:
    """Refuse a batch that lacks what a setting needs."""
    if value is None:
        argument = f"{'' if name == 'durations' else 'num_'}{name}_B"
        raise UserError(f"{who} needs {argument} of every batch. Pass it, or change the setting.")
