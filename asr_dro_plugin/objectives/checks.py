"""Settings and arguments that are refused in one line, before they do any harm."""

import math
from collections.abc import Sequence
from numbers import Integral, Real

import torch

from asr_dro_plugin.errors import UserError


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


def require_given(value: torch.Tensor | None, name: str, who: str) -> None:
    """Refuse a batch that lacks what a setting needs."""
    if value is None:
        argument = f"{'' if name == 'durations' else 'num_'}{name}_B"
        raise UserError(f"{who} needs {argument} of every batch. Pass it, or change the setting.")
