"""An exported model's folder, or its zip: every member checked before anything of it is loaded."""

import contextlib
import hashlib
import os
import shutil
import stat
import weakref
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from asr_dro_plugin.base.private_folder import PrivateFolder
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.packing.members import check_members
from asr_dro_plugin.runtime import manifest as schema
from asr_dro_plugin.runtime.graph import GraphFacts, graph_facts

CHUNK = 2**20
MOST_UNPACKED = 2**46  # bytes; a bomb is known by its ratio, and every member by its declared size


class ExportedModel(ABC):
    """Where the members of an exported model are.

    Attributes:
        where: the folder or the zip, for messages.
        manifest: its facts.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        with self._opened(schema.MANIFEST) as stream:
            raw = stream.read(schema.MOST_BYTES + 1)
        if len(raw) > schema.MOST_BYTES:
            raise UserError(f"{where}: {schema.MANIFEST} is too long for a manifest. Get it again.")
        self.manifest = schema.from_bytes(raw, where)

    @abstractmethod
    def _opened(self, name: str) -> BinaryIO:
        """A member's bytes.

        Raises:
            UserError: there is no such file, or it is none of the folder's own.
        """

    @abstractmethod
    def path(self, names: Sequence[str]) -> Path:
        """The folder in which these members are files."""

    def graph(self, name: str) -> Path | bytes:
        """A graph without data beside it, as onnxruntime takes it."""
        return self.path([name]) / name

    def check(self, precision: str | None = None) -> GraphFacts:
        """Check every member that a precision needs, and the graph against the manifest.

        Raises:
            UserError: a member that is missing or altered, a graph that is not the manifest's, or
                asks for data outside; names the member.
        """
        names = self.manifest.members_of(precision)
        for name in names:
            self._check_member(name)
        name = self.manifest.graph_of(precision)
        facts = graph_facts(self.graph(name), f"{self.where}: {name}")
        self._check_external(facts, name, precision)
        self._check_facts(facts, name)
        return facts

    def _check_member(self, name: str) -> None:
        expected, digest, size = self.manifest.members[name], hashlib.sha256(), 0
        with self._opened(name) as stream:
            while size <= expected["bytes"] and (piece := stream.read(CHUNK)):
                digest.update(piece)
                size += len(piece)
        if size != expected["bytes"] or digest.hexdigest() != expected["sha256"]:
            raise UserError(
                f"{self.where}: {name} is not the file that was exported (its size or checksum is "
                "another). Copy the model again."
            )

    def _check_external(self, facts: GraphFacts, name: str, precision: str | None) -> None:
        allowed = set(
            self.manifest.precisions[precision or self.manifest.default_precision]["members"]
        )
        for each in facts.external:
            beside = str(Path(name).parent / each.location)
            if beside not in allowed or each.location != Path(beside).name:
                raise UserError(
                    f"{self.where}: {name} wants weights from {each.location[:80]!a}, which is no "
                    f"member beside it. It is not loaded. {schema.WHERE_EXPORTED}"
                )
            size = self.manifest.members[beside]["bytes"]
            if each.offset + (each.length or 0) > size:
                raise UserError(
                    f"{self.where}: {name} wants weights from behind the end of {beside}. It is "
                    f"not loaded. {schema.WHERE_EXPORTED}"
                )

    def _check_facts(self, facts: GraphFacts, name: str) -> None:
        """The graph says of itself what the manifest says of it, and its sizes agree."""
        of_graph = schema.in_graph(vars(self.manifest))
        for key, value in of_graph.items():
            if facts.metadata.get(key) != value:
                raise UserError(
                    f"{self.where}: {name} and {schema.MANIFEST} do not say the same of '{key}': "
                    f"they are of two exports. {schema.WHERE_EXPORTED}"
                )
        for fault in filter(None, _shape_faults(facts, self.manifest)):
            raise UserError(f"{self.where}: {name} {fault}. {schema.WHERE_EXPORTED}")

    def needs_files(self, precision: str | None = None) -> bool:
        """Whether the graph has data beside it, so that it must be a file."""
        chosen = precision or self.manifest.default_precision
        return len(self.manifest.precisions[chosen]["members"]) > 1


class PlainFolder(ExportedModel):
    """A folder of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__(str(folder))

    def _opened(self, name: str) -> BinaryIO:
        parts = Path(name).parts
        for number in range(len(parts)):
            path = self._folder.joinpath(*parts[: number + 1])
            kind = _kind_of(path)
            if stat.S_ISLNK(kind):
                raise UserError(
                    f"{self.where}: {name} is a link, which may lead out of the folder. Copy the "
                    "model with cp -rL."
                )
            if not (stat.S_ISREG(kind) if number == len(parts) - 1 else stat.S_ISDIR(kind)):
                raise UserError(f"{self.where} lacks the file {name}. Copy the model again.")
        return open(path, "rb")

    def path(self, names: Sequence[str]) -> Path:
        return self._folder


class ZippedFolder(ExportedModel):
    """The zip of a folder; nothing is unpacked but what must be a file."""

    def __init__(self, archive: Path) -> None:
        self._stack = contextlib.ExitStack()
        weakref.finalize(self, self._stack.close)
        try:
            self._zip = self._stack.enter_context(zipfile.ZipFile(archive))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise UserError(f"{archive} is no whole zip archive ({error}). Get it again.") from None
        check_members(self._zip.infolist(), str(archive), MOST_UNPACKED)
        self._prefix = _prefix_of(self._zip.namelist(), archive)
        super().__init__(str(archive))

    def _opened(self, name: str) -> BinaryIO:
        if self._prefix + name not in self._zip.NameToInfo:
            raise UserError(f"{self.where} lacks the file {name}. Get the model again.")
        return _Unzipped(self._zip, self._prefix + name, self.where)

    def path(self, names: Sequence[str]) -> Path:
        """A private folder, gone with the process or before, with these members alone."""
        folder = PrivateFolder()
        self._stack.callback(folder.remove)
        for name in names:
            target = folder.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._opened(name) as stream, open(target, "xb") as file:
                shutil.copyfileobj(stream, file, CHUNK)
        return folder.path

    def graph(self, name: str) -> bytes:
        with self._opened(name) as stream:
            return stream.read()


class _Unzipped:
    """A member that is read; damage is a user's error."""

    def __init__(self, archive: zipfile.ZipFile, name: str, where: str) -> None:
        self._where, self._name = where, name
        with self._as_damage():
            self._stream = archive.open(name)

    def __enter__(self) -> "_Unzipped":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int = -1) -> bytes:
        with self._as_damage():
            return self._stream.read(size)

    @contextlib.contextmanager
    def _as_damage(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # zipfile's, zlib's and those of a strange header
            raise UserError(
                f"{self._where}: {self._name!a} is damaged ({error}). Get the model again."
            ) from None


def is_exported(path: str | os.PathLike) -> bool:
    """Whether a path is an exported folder or a zip of one, by its manifest's name alone."""
    path = Path(path)
    if path.is_dir():
        return (path / schema.MANIFEST).exists()
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.rpartition("/")[2] == schema.MANIFEST for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def open_folder(path: str | os.PathLike) -> ExportedModel:
    """An exported folder, or its zip.

    Raises:
        UserError: neither, or its manifest is not as schema 1 has it.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / schema.MANIFEST).exists():
            raise UserError(
                f"{path} holds no {schema.MANIFEST}: it is no exported model. Make one: "
                "asr-dro export EXP --to onnx --out DIR"
            )
        return PlainFolder(path)
    if path.is_file():
        return ZippedFolder(path)
    raise UserError(f"{path} does not exist. Give the folder that asr-dro export --to onnx wrote.")


def _kind_of(path: Path) -> int:
    try:
        return os.lstat(path).st_mode
    except (OSError, ValueError):
        return 0


def _prefix_of(names: Sequence[str], archive: Path) -> str:
    """What stands before the members' names: nothing, or the folder that was zipped."""
    found = [name.removesuffix(schema.MANIFEST) for name in names
             if name.rpartition("/")[2] == schema.MANIFEST]  # fmt: skip
    if not found:
        raise UserError(
            f"{archive} holds no {schema.MANIFEST}: it is no exported model. Zip the folder that "
            "asr-dro export --to onnx wrote."
        )
    if len(found) > 1:
        raise UserError(f"{archive} holds several {schema.MANIFEST}. Zip one model alone.")
    return found[0]


def _shape_faults(facts: GraphFacts, manifest: schema.Manifest) -> Iterator[str]:
    """What of a graph's inputs and outputs is not as the manifest says."""
    wanted = (
        (facts.inputs, manifest.inputs["speech"], (1, 2)),
        (facts.inputs, manifest.inputs["lengths"], (7, 1)),
        (facts.outputs, manifest.outputs["log_probs"], (1, 3)),
        (facts.outputs, manifest.outputs["lengths"], (7, 1)),
    )
    for there, name, (kind, axes) in wanted:
        found = there.get(name)
        if found is None or found[0] != kind or len(found[1]) != axes:
            yield f"has no '{name}' with {axes} axes of the kind that is read"
    size = facts.outputs.get(manifest.outputs["log_probs"], (0, [None]))[1][-1]
    if size != len(manifest.tokens):
        yield f"gives {size} log probabilities a frame, and there are {len(manifest.tokens)} tokens"
    if facts.opsets.get("", facts.opsets.get("ai.onnx")) != manifest.opset:
        yield f"is of another opset than the manifest's {manifest.opset}"
