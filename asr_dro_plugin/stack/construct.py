"""Objects of classes that are named, not imported; what they refuse is one line."""

import contextlib
import inspect
import io
import sys
from collections.abc import Iterator, Mapping

from asr_dro_plugin.base import class_path
from asr_dro_plugin.base.loading import quick_imports
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
    with quick_imports():
        import torch

        with torch.device(device), _without_dynamo():
            return load_class(path)(**arguments)


@contextlib.contextmanager
def _without_dynamo() -> Iterator[None]:
    """Nothing here is compiled, so that nothing has to be kept from the compiler.

    ESPnet's modules and torch's optimizers ask for that, which imports torch._dynamo: two seconds.
    """
    import torch

    if "torch._dynamo" in sys.modules:
        yield
        return
    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    kept, torch.compiler.disable = torch.compiler.disable, _as_it_is
    add_param_group.__dynamo_disable = add_param_group  # where torch._compile keeps the result
    try:
        yield
    finally:
        torch.compiler.disable = kept
        del add_param_group.__dynamo_disable


def _as_it_is(function=None, *_, **__):
    return function or _as_it_is


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
        if device == "meta" and "meta tensor" in str(error):  # it computes with its numbers
            return construct_part(slot, name, path, arguments, "cpu")
        line = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{slot}_conf of {slot} {name} is refused: {line.rstrip('.')}.") from error
