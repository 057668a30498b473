"""Objects of classes that are named, not imported; what they refuse is one line."""

import contextlib
import io
from collections.abc import Mapping

from asr_dro_plugin.base import class_path
from asr_dro_plugin.errors import UserError


def load_class(path: str) -> type:
    """The class of ``"package.module:Class"``.

    The one place outside ``asr_dro_plugin.espnet`` that imports ESPnet, by a name of the tables:
    single modules only, for importing a task costs ten seconds.
    """
    with contextlib.redirect_stderr(io.StringIO()):  # ESPnet tells there what it lacks on a GPU
        return class_path.load_class(path)


def construct(path: str, arguments: Mapping, device: str = "meta"):
    """An object of ``"package.module:Class"``, by default without memory for its tensors."""
    import torch

    constructor = load_class(path)
    with torch.device(device):
        return constructor(**arguments)


def construct_part(slot: str, name: str, path: str, arguments: Mapping, device: str = "meta"):
    """The component ``name`` of a slot.

    Raises:
        UserError: it refuses its arguments.
    """
    try:
        return construct(path, arguments, device)
    except UserError:
        raise
    except Exception as error:  # whatever a constructor raises is about its arguments
        line = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{slot}_conf of {slot} {name} is refused: {line.rstrip('.')}.") from error
