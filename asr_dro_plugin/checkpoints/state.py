"""What a checkpoint may hold: tensors and plain values, so that no pickle needs to be trusted.

``torch.load(weights_only=True)``, ours and ESPnet's, reads what ``plain`` returns without any
exception list.  What it would refuse is refused here, at the first save and not after a week.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping
from copy import copy
from typing import Any

import numpy as np
import torch

from asr_dro_plugin.errors import UserError

AS_IT_IS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
SCALARS = (bool, int, float, complex, str, bytes)  # their subclasses (enums) lose their type


class _Copies:
    """Copies on the CPU, in the memory of an earlier one of the same form where there is one."""

    def __init__(self, spare: Any) -> None:
        self._made: dict = {}
        self._spare = defaultdict(list)
        for tensor in {id(tensor): tensor for tensor in tensors_of(spare)}.values():
            self._spare[_form(tensor)].append(tensor)

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The copy of ``tensor``, the same one for the same memory."""
        key = (tensor.data_ptr(), tensor.device, _form(tensor))
        if tensor.numel() == 0 or key not in self._made:
            # The original is kept with it: freed, its memory could become another tensor's.
            self._made[key] = (tensor, self._fresh(tensor).copy_(tensor))
        return self._made[key][1]

    def _fresh(self, tensor: torch.Tensor) -> torch.Tensor:
        spare = self._spare[_form(tensor)]
        return spare.pop() if spare else torch.empty_like(tensor, device="cpu")


def _form(tensor: torch.Tensor) -> tuple:
    return tensor.shape, tensor.stride(), tensor.dtype


def plain(value: Any) -> Any:
    """``value`` with tensors detached and everything else in built-in types.

    Dicts, lists and tuples keep their structure, an ``OrderedDict`` its attributes (a module's
    versions); arrays become tensors and NumPy scalars become numbers.

    Raises:
        UserError: anything else; names its place in ``value``.
    """
    return _plain(value, "state", None)


def snapshot(value: Any, spare: Any = None) -> Any:
    """``plain(value)`` as it is now: every tensor a copy on the CPU; tied weights stay tied.

    Args:
        value: the state of a training run.
        spare: an earlier snapshot that nobody needs any more.  Its memory is written to again:
            to get as much anew from the system takes longer than the copying.
    """
    return _plain(value, "state", _Copies(spare))


def _plain(value: Any, where: str, copies: _Copies | None) -> Any:
    if type(value) in AS_IT_IS:
        return value
    if isinstance(value, torch.Tensor):
        return copies.of(value.detach()) if copies else value.detach()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return torch.from_numpy(value.copy())
    if isinstance(value, np.generic):
        return _plain(value.item(), where, copies)
    if isinstance(value, Mapping):
        return _plain_mapping(value, where, copies)
    if isinstance(value, (list, tuple)):
        kind = list if isinstance(value, list) else tuple
        return kind(_plain(item, f"{where}[{i}]", copies) for i, item in enumerate(value))
    for kind in SCALARS:
        if isinstance(value, kind):
            return kind(value)
    raise UserError(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which a checkpoint "
        "cannot hold: it would need pickle to load. Its state_dict must give tensors, numbers, "
        "strings, lists and dicts."
    )


def _plain_mapping(value: Mapping, where: str, copies: _Copies | None) -> dict:
    result = copy(value) if type(value) is OrderedDict else {}
    for key, item in value.items():
        result[_plain(key, f"a key of {where}", copies)] = _plain(item, f"{where}[{key!r}]", copies)
    return result


def tensors_of(state: Any) -> Iterator[torch.Tensor]:
    """Every tensor in a plain state, as often as it appears."""
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, Mapping):
        for item in state.values():
            yield from tensors_of(item)
    elif isinstance(state, (list, tuple)):
        for item in state:
            yield from tensors_of(item)


def num_bytes(state: Any) -> int:
    """About the size of the file that ``torch.save`` makes of a plain state, never less."""
    tensors = list(tensors_of(state))
    storages = [tensor.untyped_storage() for tensor in tensors]
    unique = {storage.data_ptr(): storage.nbytes() for storage in storages}
    return sum(unique.values()) + 1024 * len(tensors) + (1 << 20)
