"""``asr-dro import``: a model of another system as an experiment folder of ours.

``SOURCES`` is the table of the systems.  What all have in common is here: the checksum, the account
of the tensors, the new vocabulary, the folder.
"""

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_dro_plugin.base.files import sha256_of
from asr_dro_plugin.base.new_folder import new_folder
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.importing import espnet, fairseq, hf, ml4audio, nemo, state_dicts
from asr_dro_plugin.importing.accounts import Account, take_account
from asr_dro_plugin.importing.folders import check_sum, write_experiment
from asr_dro_plugin.importing.found import HEAD, Found, ImportOptions, Wish
from asr_dro_plugin.importing.heads import check_blank, with_new_head
from asr_dro_plugin.pretrained.hf_folders import weight_files
from asr_dro_plugin.stack.combinations import loss_of
from asr_dro_plugin.stack.sizes import checkpoint_of, output_sizes
from asr_dro_plugin.text.casing import casing_of
from asr_dro_plugin.text.tokens import BLANK, read_symbols


@dataclass(frozen=True)
class Source:
    """A system: how its models are read, and which file holds the weights of a path."""

    read: Callable[[Wish], Found]
    weights: Callable[[Path], list[Path]] = lambda path: [path]


SOURCES = {
    "nemo": Source(nemo.read),
    "hf": Source(hf.read, lambda path: weight_files(hf.model_folder(path))),
    "fairseq": Source(fairseq.read),
    "espnet": Source(espnet.read, lambda path: [espnet.model_file_of(path)]),
    "ml4audio": Source(ml4audio.read, ml4audio.weights),
    "state_dict": Source(state_dicts.read),
}


@dataclass(frozen=True)
class Imported:
    """What an import did, in words and figures."""

    account: Account
    tokens: list[str]
    notes: list[str]

    @property
    def blank_id(self) -> int | None:
        """Row of CTC's blank in the head; None of a model without CTC."""
        return self.tokens.index(BLANK) if BLANK in self.tokens else None


def import_model(kind: str, path: Path, out: Path, options: ImportOptions) -> Imported:
    """Read ``path`` as a model of ``kind`` and write the experiment folder ``out``.

    Raises:
        UserError: one line on what is wrong; then nothing is left of ``out``.
    """
    source = SOURCES[kind]
    if not path.exists():
        raise UserError(
            f"{path} does not exist. Give the model to import, as a file or folder that is here."
        )
    with new_folder(out) as folder, tempfile.TemporaryDirectory(dir=folder) as work:
        if options.sha256:
            check_sum(path, options.sha256, source.weights(path))
        new = options.new_vocab and read_symbols(options.new_vocab)
        if new is not None:
            check_blank(new, str(options.new_vocab))
        found = source.read(Wish(**vars(options), path=path, work=Path(work)))
        tensors, account, tokens, notes = _fitted(found, str(path), new, options.allow_new_head)
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise UserError(f"{path} holds NaN or infinity in {name}. Fetch it again.")
        made = Imported(account, tokens, notes)
        facts = _facts(kind, path, found, made)
        write_experiment(folder, found.config, tokens, tensors, facts, found.extra)
    return made


def _fitted(
    found: Found, where: str, new: list[str] | None, allow_new_head: bool
) -> tuple[dict[str, Any], Account, list[str], list[str]]:
    """The model's tensors with the head that was asked for, its tokens, and what is to be said."""
    if found.tokens is None and new is None:
        raise UserError(
            f"{where} has no output layer: it was pretrained only. Give --new_vocab tokens.txt for "
            "a new one, or name it as ssl_checkpoint in a training configuration."
        )
    headless = new is not None or allow_new_head
    tensors, account = take_account(found, where, headless)
    if new is None and (f"{HEAD}weight" in tensors or loss_of(found.config) == "ce"):
        return tensors, account, list(found.tokens), []
    tokens = found.tokens if new is None else new
    width = output_sizes(found.config, checkpoint_of(found.config))["postencoder"]
    kept = with_new_head(tensors, found.tokens, tokens, width)
    words = f"{len(kept)} of its {len(tokens)} rows are those of the source"
    heads = [n for n in tensors if n.startswith(HEAD)]
    made = [*account.made, *((name, words, tuple(tensors[name].shape)) for name in heads)]
    used = [row for row in account.used if row[0] not in heads]
    account = dataclasses.replace(account, used=used, made=made)
    return tensors, account, list(tokens), [f"The head is new: {words}"]


def _facts(kind: str, path: Path, found: Found, made: Imported) -> dict[str, Any]:
    """Content of ``import.json``."""
    files = [path] if path.is_file() else found.files
    return {
        "kind": kind, "source": path.name,
        "sha256": {file.name: sha256_of(file) for file in files},
        "num_tokens": len(made.tokens), "blank_id": made.blank_id,
        "casing": casing_of(made.tokens), **found.facts,
        "notes": [*found.facts.get("notes", ()), *made.notes], "tensors": made.account.as_json(),
    }  # fmt: skip
