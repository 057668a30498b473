"""PyTorch files whose pickles name classes, read as data: no class is imported, nothing runs.

Old checkpoints pickle settings as ``argparse.Namespace``, OmegaConf nodes, enums and classes of
their toolkit.  Every such name becomes an ``Inert``: an object that remembers what it was given and
does nothing with it.  The tensors and the pickle itself are read by PyTorch's weights-only
unpickler, which imports nothing either; a name that is neither a tensor's nor in ``INERT`` is
refused before anything is read.
"""

import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from asr_dro_plugin.errors import UserError, in_one_line

# Module -> names that become inert; None is every name of the package.
INERT: dict[str, frozenset[str] | None] = {
    "argparse": frozenset({"Namespace"}),
    "omegaconf": None,
    "fairseq": None,
    "hydra": None,
    "typing": None,  # types that OmegaConf notes about its values
    "numpy": None,
    "collections": frozenset({"defaultdict", "deque"}),
    "copyreg": frozenset({"_reconstructor"}),
    "pathlib": frozenset({"Path", "PosixPath", "PurePosixPath"}),
    # How enums of Python 3.11 and types such as list[int] are pickled; not called here.
    "builtins": frozenset(
        {"getattr", "object", "dict", "list", "tuple", "int", "float", "str", "bool", "bytes"}
    ),
    "operator": frozenset({"getitem"}),
    "_operator": frozenset({"getitem"}),
}
# Pickles of protocol 2, which PyTorch writes, use the names of Python 2.
PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
PYTHON_2_WORDS = {"long": "int", "unicode": "str"}
# What PyTorch's own unpickler makes, beside the names of torch.
NATIVE = frozenset(
    {"collections.OrderedDict", "collections.Counter", "_codecs.encode", "builtins.set",
     "builtins.bytearray", "builtins.complex"}
)  # fmt: skip
# Filled item by item behind their call, and so made as what they are.
CONTAINERS: dict[str, type] = {"collections.defaultdict": dict, "collections.deque": list}
MAX_PICKLE = 2**28  # bytes: the names and numbers of a checkpoint, without its tensors


class Inert:
    """Stands for an object of a class that is not imported.

    Attributes:
        what: the class's (or function's) dotted name; one subclass a name.
        args: what the class would have been called with.
        state: what the object would have been filled with.
    """

    what = ""

    def __new__(cls, *args):
        made = object.__new__(cls)
        made.args, made.state = args, None
        return made

    def __init__(self, *args) -> None:
        """Takes anything: ``__new__`` has kept it."""

    def __setstate__(self, state: object) -> None:
        self.state = state


def load_as_data(path: Path) -> object:
    """The content of a PyTorch file; tensors are mapped, objects are ``Inert``.

    Both of PyTorch's formats are read: the zip, and the pickles in a row from before 1.6.

    Raises:
        UserError: not a whole PyTorch file, or one that names what is no data (the name is told).
    """
    import torch

    found, damage = _named_in(path)
    native = {name for name in found if name in NATIVE or name.startswith("torch.")}
    refused = sorted(name for name in found - native if not _may_be_inert(name))
    if refused:
        raise UserError(_forbidden(path, refused[0]))
    if damage:
        raise UserError(_damaged(path, damage))
    stubs = [(_inert(name), name) for name in sorted(found) if _may_be_inert(name)]
    try:
        with torch.serialization.safe_globals(stubs):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        raise UserError(_forbidden(path, _culprit(error))) from None
    except Exception as error:  # a damaged pickle can end in any error of Python's
        raise UserError(_damaged(path, error)) from None


def _is_zip(path: Path) -> bool:
    """Whether PyTorch takes a file for its zip format; older files cannot be mapped."""
    with open(path, "rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def _inert(name: str) -> type:
    if container := CONTAINERS.get(name):
        return type("Empty", (), {"__new__": lambda cls, *args: container()})
    return type("Inert", (Inert,), {"what": name})


def _may_be_inert(name: str) -> bool:
    module, _, word = name.rpartition(".")
    if INERT.get(package := module.split(".")[0], ()) is None:
        return bool(package)
    return word in INERT.get(module, ())


def _named_in(path: Path) -> tuple[set[str], Exception | None]:
    """Dotted names of all that the file's pickles name, without unpickling anything.

    With them the error that ended the reading, if one did: then not all names are known.
    """
    found: set[str] = set()
    try:
        for stream in _streams(path):
            _collect_names(stream, found)
    except OSError:
        raise
    except Exception as error:  # pickletools raises several kinds on bytes that are no pickle
        return found, error
    return found, None


def _streams(path: Path) -> Iterator[IO[bytes]]:
    """A file's pickles, each at its beginning once the one before has been read."""
    if not _is_zip(path):
        with open(path, "rb") as stream:
            yield from [stream] * 5  # magic number, version, system, content, tensors' keys
        return
    with zipfile.ZipFile(path) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith("data.pkl")]
        if not members:
            raise ValueError("no data.pkl in it")
        for info in members:
            if info.file_size > MAX_PICKLE:
                raise ValueError(f"its {info.filename} has {info.file_size} bytes")
            with archive.open(info) as stream:
                yield stream


def _collect_names(stream: IO[bytes], found: set[str]) -> None:
    """Add the names of one pickle, up to its end; the stream is left behind it."""
    words: list[str] = []
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            found.add(_looked_up(*argument.split(" ", 1)))
        elif opcode.name == "STACK_GLOBAL":  # PyTorch refuses it; here for the name's sake
            found.add(_looked_up(*(["?", "?", *words])[-2:]))
        elif "UNICODE" in opcode.name:
            words = [*words[-1:], argument]


def _looked_up(module: str, name: str) -> str:
    """The name under which PyTorch's unpickler looks for it."""
    if module == "__builtin__":
        name = PYTHON_2_WORDS.get(name, name)
    return f"{PYTHON_2.get(module, module)}.{name}"


def _culprit(error: Exception) -> str:
    """The name or the operation that PyTorch's unpickler objects to."""
    words = " ".join(str(error).split())
    named = re.search(r"GLOBAL ([\w.]+)", words)
    refused = re.search(r"(Trying to call reduce|Can only [\w ]+|Unsupported operand \d+)", words)
    return named[1] if named else refused[1].lower() if refused else "what is no data"


def _forbidden(path: Path, what: str) -> str:
    return (
        f"{path} pickles {what}, which would run code when it is loaded. Nothing was run: fetch "
        "the checkpoint from where it was published."
    )


def _damaged(path: Path, error: Exception) -> str:
    reason = in_one_line(error, 80) or type(error).__name__
    size = path.stat().st_size
    return f"{path} ({size} bytes) is not a whole PyTorch file ({reason}). Fetch it again."


def as_plain(value: object) -> object:
    """Dictionaries, lists, tuples, numbers, texts and tensors of what was loaded.

    A namespace and an object with attributes become a dictionary, OmegaConf's nodes what they
    hold, an enum its value (its name, where that is what was pickled); what has no such content is
    None.

    Raises:
        RecursionError: nested deeper than Python reaches.
    """
    return _plain(value, {})


def _plain(value: object, seen: dict[int, object]) -> object:
    """``seen`` keeps what was made of each container: once, however often it is named."""
    if id(value) in seen:
        return seen[id(value)]
    match value:
        case Inert():
            seen[id(value)] = None  # of a node that holds itself
            made = seen[id(value)] = _content(value, seen)
        case dict():
            made = seen[id(value)] = {}
            for key, item in value.items():
                key = _content(key, {}) if isinstance(key, Inert) else key
                made[key] = _plain(item, seen)
        case list():
            made = seen[id(value)] = []
            made.extend(_plain(item, seen) for item in value)
        case tuple():
            made = seen[id(value)] = tuple(_plain(item, seen) for item in value)
        case _:
            made = value
    return made


def _content(node: Inert, seen: dict[int, object]) -> object:
    state = node.state
    if node.what.startswith("omegaconf.") and isinstance(state, dict):
        held = [key for key in ("_content", "_val") if key in state]
        return _plain(state[held[0]], seen) if held else None
    if isinstance(state, tuple) and len(state) == 2:  # attributes, slots
        state = {**(state[0] or {}), **(state[1] or {})}
    if isinstance(state, dict):
        return _plain(state, seen)
    if node.what == "builtins.getattr" and len(node.args) == 2:
        return node.args[1]  # of an enum: its name
    plain = (bool, int, float, str)
    return node.args[0] if len(node.args) == 1 and type(node.args[0]) in plain else None
