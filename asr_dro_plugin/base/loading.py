"""What takes long before anything begins: importing PyTorch and ESPnet, building a model."""

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def loading(what: str) -> Iterator[None]:
    """Imports of ESPnet: a sign of life at once, then as quick as they can be.

    Nothing where ESPnet is there already: then there is nothing to wait for.
    """
    if "asr_dro_plugin.espnet" in sys.modules:
        yield
        return
    words = f"Loading PyTorch, ESPnet and {what}: seconds, on a busy machine half a minute."
    print(words, file=sys.stderr, flush=True)
    with quick_imports():
        yield


@contextlib.contextmanager
def quick_imports() -> Iterator[None]:
    """Imports of PyTorch and ESPnet in half the processor time, for a program that is ours.

    Modules make some million objects that stay.  Python would look through all of them for garbage
    again and again, and once more at the end of the process; here it does not, and they are set
    aside.  typeguard would read ESPnet's functions from their files once more and compile checks of
    their arguments into them; as under ``python -O``, it does not.  What a user sets is checked by
    ``stack.check``.
    """
    collects, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        with _without_type_checks():
            yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        if collects:
            gc.enable()


@contextlib.contextmanager
def _without_type_checks() -> Iterator[None]:
    """``@typechecked`` leaves a function as it is."""
    try:
        import typeguard
    except ImportError:  # without ESPnet
        yield
        return
    kept, typeguard.typechecked = typeguard.typechecked, _as_it_is
    try:
        yield
    finally:
        typeguard.typechecked = kept


def _as_it_is(function: Callable | None = None, **_: object) -> Callable:
    return function or _as_it_is
