"""What a file of another system holds, in the terms of our model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEAD = "ctc.ctc_lo."  # CTC's linear layer in our model: ``weight`` (V, H) and ``bias`` (V,)


@dataclass(frozen=True)
class ImportOptions:
    """What a user may ask of an import beside the source; see ``bin.import_model``.

    Attributes:
        new_vocab: list of the symbols of a new head, so that the source need not have one.
        sha256: of the file of weights.
        allow_new_head: whether a head that is not there or does not fit may begin anew.
        config: YAML that names the stack, where the source does not.
        tokens: list of the symbols of the source's outputs, where the source has none.
        rename: (old, new) beginnings of tensors' names; the first that fits is applied.
        lang: which of several languages' adapters and vocabularies.
        max_gib: of an archive, unpacked.
    """

    new_vocab: Path | None = None
    sha256: str | None = None
    allow_new_head: bool = False
    config: Path | None = None
    tokens: Path | None = None
    rename: tuple[tuple[str, str], ...] = ()
    lang: str | None = None
    max_gib: float = 32.0


@dataclass(frozen=True, kw_only=True)
class Wish(ImportOptions):
    """The same of one source.

    Attributes:
        path: the source.
        work: an empty folder for what must be unpacked; it is gone afterwards.
    """

    path: Path
    work: Path


@dataclass(frozen=True)
class Found:
    """A network with its vocabulary.

    Attributes:
        config: the stack as a training YAML has it, sizes resolved.
        tokens: the V symbols in the order of the head's rows, ``<blank>`` among them; None where
            the source has no head.
        tensors: by the names of our model; what has no name there keeps the source's.
        origin: our name -> the source's, of tensors that were renamed.
        not_used: the source's name -> (why the model does without, shape).
        made: our name -> why it is not from the source.
        facts: what else is worth knowing, for ``import.json``.
        files: what was read, the weights first.
        extra: name in the result -> file that goes along.
    """

    config: dict
    tokens: list[str] | None
    tensors: Mapping[str, Any]
    origin: Mapping[str, str] = field(default_factory=dict)
    not_used: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    made: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    extra: Mapping[str, Path] = field(default_factory=dict)
