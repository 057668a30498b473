"""A new output layer for a new vocabulary: the network before it stays as it was."""

from collections.abc import Sequence
from typing import Any

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.importing.found import HEAD
from asr_dro_plugin.text.tokens import BLANK

SEED = 0  # of the rows that nobody has trained: the same import gives the same file


def check_blank(tokens: Sequence[str], where: str) -> None:
    """CTC needs its blank among the tokens.

    Raises:
        UserError: it is not there.
    """
    if BLANK not in tokens:
        raise UserError(
            f"{where} has no {BLANK}, which CTC needs. Add it as a line of its own, at the place "
            "that its output shall have."
        )


def with_new_head(
    tensors: dict[str, Any], old: Sequence[str] | None, new: Sequence[str], width: int
) -> list[str]:
    """Give ``tensors`` a head of V' rows, those of tokens of the same name taken over.

    Args:
        tensors: of the model by name; its head, if any, belongs to ``old``.
        old: the V tokens of that head; None where there is none.
        new: the V' tokens.
        width: H, inputs of the head.

    Returns:
        The tokens whose rows are the old ones.
    """
    import torch

    generator = torch.Generator().manual_seed(SEED)
    bound = width**-0.5  # as torch.nn.Linear begins
    weight, bias = torch.empty(len(new), width), torch.empty(len(new))
    for tensor in (weight, bias):
        tensor.uniform_(-bound, bound, generator=generator)
    rows = {token: row for row, token in enumerate(old or ())}
    kept = [token for token in new if token in rows] if f"{HEAD}weight" in tensors else []
    for token in kept:
        weight[new.index(token)] = tensors[f"{HEAD}weight"][rows[token]]
        bias[new.index(token)] = tensors[f"{HEAD}bias"][rows[token]]
    tensors |= {f"{HEAD}weight": weight, f"{HEAD}bias": bias}
    return kept
