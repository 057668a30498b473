"""What a checkpoint may hold: tensors and plain values, so that no pickle needs to be trusted.

``torch.load(weights_only=True)``, ours and ESPnet's, reads what ``plain`` returns without any
exception list.  What it would refuse is refused here, at the first save and not after a week.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from copy import copy as shallow_copy
from typing import Any

import numpy as np
import torch

from asr_dro_plugin.errors import UserError

AS_IT_IS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
SCALARS = (bool, int, float, complex, str, bytes)  # their subclasses (enums) lose their type


def plain(value: Any, copy: bool = False) -> Any:
    """``value`` with tensors detached and everything else in built-in types.

    Dicts, lists and tuples keep their structure, an ``OrderedDict`` its attributes (a module's
    versions); arrays become tensors and NumPy scalars become numbers.  With ``copy`` every tensor
    is a copy on the CPU, independent of ``value``; tensors that were one stay one.

    Raises:
        UserError: anything else; names its place in ``value``.
    """
    return _plain(value, "state", {} if copy else None)


def _plain(value: Any, where: str, copies: dict | None) -> Any:
    if type(value) in AS_IT_IS:
        return value
    if isinstance(value, torch.Tensor):
        return _copy_of(value.detach(), copies)
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


def _plain_mapping(value: Mapping, where: str, copies: dict | None) -> dict:
    result = shallow_copy(value) if type(value) is OrderedDict else {}
    for key, item in value.items():
        result[_plain(key, f"a key of {where}", copies)] = _plain(item, f"{where}[{key!r}]", copies)
    return result


def _copy_of(tensor: torch.Tensor, copies: dict | None) -> torch.Tensor:
    """The tensor's copy on the CPU, the same one for the same memory; itself without ``copies``."""
    if copies is None:
        return tensor
    key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, tensor.device)
    if tensor.numel() == 0 or key not in copies:
        # The original is kept with it: freed, its memory could become another tensor's.
        copies[key] = (tensor, tensor.to("cpu", copy=True))
    return copies[key][1]


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
