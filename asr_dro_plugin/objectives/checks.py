"""Settings and arguments that are refused in one line, before they do any harm."""

import inspect
from collections.abc import Iterable

import torch

from asr_dro_plugin.base.settings import check_key, check_number
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.objectives.keys import GIVEN


def absolute_or_relative(
    key: str,
    absolute: float | None,
    relative: float | None,
    default: float,
    most: float | None = None,
) -> tuple[float | None, float | None]:
    """The two, of which one is None: the relative default where neither was chosen.

    ``keys`` has refused both at once.
    """
    for name, value in ((key, absolute), (f"{key}_rel", relative)):
        if value is not None:
            check_number(name, value, least=0, most=most)
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
        check_key(f"objective_conf of {cls.__name__}", key, known)


def require_given(value: torch.Tensor | None, name: str, who: str) -> None:
    """Refuse a batch that lacks what a setting needs."""
    if value is None:
        argument = f"{'' if name == 'durations' else 'num_'}{name}_B"
        raise UserError(f"{who} needs {argument} of every batch. Pass it, or change the setting.")
