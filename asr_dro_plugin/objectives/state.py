"""State that belongs to named groups: buffers that keep their dtype and know whose they are."""

from collections.abc import Sequence

import torch
from torch import nn

from asr_dro_plugin.base.settings import check_number
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.groups import GroupMap

NAMES = "group_names_utf8"
WEIGHTS = "relative_weights"


class GroupState(nn.Module):
    """Buffers of G groups; ``group_names`` are stored beside them, one a line in UTF-8.

    ``half()`` and ``to(dtype)`` move them without rounding; a state of other groups is refused; a
    state dict without any of them (an older model) leaves the initial state.
    """

    def __init__(self, num_groups: int, group_names: Sequence[str] | None) -> None:
        super().__init__()
        check_number("num_groups", num_groups, whole=True, least=1)
        names = list(group_names or [])
        if names and len(set(names)) != num_groups:
            raise UserError(f"{num_groups} groups need as many distinct names, not {names}.")
        self.num_groups = num_groups
        # Plain bytes of a Python list, so that the tensor may live on any default device.
        self.register_buffer(NAMES, torch.tensor([*"\n".join(names).encode()], dtype=torch.uint8))

    @property
    def group_names(self) -> list[str]:
        """Names in id order; empty where the objective was built without them."""
        return decode_names(getattr(self, NAMES))

    def _add_state(self, name: str, *shape: int, dtype: torch.dtype, fill: float = 0) -> None:
        self.register_buffer(name, torch.full(shape, fill, dtype=dtype))

    def _apply(self, fn, recurse=True):
        """Move as every module does, but keep each dtype (q in half precision is not q)."""
        for name, buffer in self._buffers.items():
            if buffer is not None:
                moved = fn(buffer)
                same = moved.dtype == buffer.dtype
                self._buffers[name] = moved if same else buffer.to(moved.device)
        return self

    def _load_from_state_dict(self, state_dict, prefix, *rest) -> None:
        """Called by ``load_state_dict`` for each module; see the class for what is refused."""
        if not any(prefix + name in state_dict for name in self._buffers):
            return
        if prefix + NAMES in state_dict and prefix + WEIGHTS in state_dict:
            theirs = decode_names(state_dict[prefix + NAMES])
            _refuse_other_groups(
                (self.group_names, self.num_groups), (theirs, len(state_dict[prefix + WEIGHTS]))
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def places_of(self, names: list[str]) -> list[int]:
        """Ids here of the groups of an older state, all of which must be known."""
        gone = [name for name in names if name not in self.group_names]
        if gone or not names:
            raise UserError(
                "The groups cannot be extended: "
                + (f"{' '.join(gone)} is gone." if gone else "the older state names no groups.")
                + " Keep the old groups in the data, or start without the old objective's state."
            )
        return [self.group_names.index(name) for name in names]


def decode_names(utf8: torch.Tensor) -> list[str]:
    """Group names of a state; empty where it holds none."""
    text = bytes(utf8.tolist()).decode()
    return text.split("\n") if text else []


def _refuse_other_groups(here: tuple[list[str], int], there: tuple[list[str], int]) -> None:
    """Compare (names, number) of this objective with those of a state to be loaded."""
    if here == there:
        return
    (ours, num_ours), (theirs, num_theirs) = here, there
    if ours and theirs:
        difference = GroupMap(theirs).difference(GroupMap(ours)) or "the same, in another order"
    else:
        difference = f"{num_theirs} {'named' if theirs else 'unnamed'} groups in the state, "
        difference += f"{num_ours} {'named' if ours else 'unnamed'} here"
    raise UserError(
        f"The objective's state belongs to other groups ({difference}). Use the same groups, or "
        "extend the old ones explicitly with --extend_groups."
    )
