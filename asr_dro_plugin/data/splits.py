"""Splits that are made, not given: by hash, seeded, kept in a file with a checksum.

Where a key goes depends on the seed and on the key alone, never on the other keys or on their
order.  So every machine makes the same split, and new keys never move old ones.  The price is that
sizes are right on average only: with 400 keys a tenth is 40 give or take 6.  Stability was chosen
over exact sizes.
"""

import hashlib
import os
from bisect import bisect
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError

FRACTIONS = {"train": 0.8, "dev": 0.1, "test": 0.1}
_REMEDY = "Restore the file, or make another split with --new_split true."


def position(key: str, seed: int) -> float:
    """Where ``key`` falls in [0, 1): the first 53 bits of BLAKE2b over seed and key."""
    digest = hashlib.blake2b(f"{seed}\n{key}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def assign(
    keys: Iterable[str], seed: int, fractions: Mapping[str, float] = FRACTIONS
) -> dict[str, str]:
    """Give each key (a speaker, a recording, a text) to one set.

    Args:
        keys: what must stay together is one key.
        seed: another seed is another split.
        fractions: set name -> share, in order; shares sum to 1.

    Returns:
        key -> set name, sorted by key.
    """
    if abs(sum(fractions.values()) - 1) > 1e-9 or min(fractions.values()) < 0:
        raise UserError(f"Split fractions {dict(fractions)} are not shares that sum to 1.")
    names, edges = list(fractions), list(accumulate(fractions.values()))
    edges[-1] = 1.0  # rounding may have left it a hair below
    return {key: names[bisect(edges, position(key, seed))] for key in sorted(set(keys))}


def connected(groups: Iterable[Iterable[str]]) -> dict[str, str]:
    """Join keys that share a group, directly or through others (union-find).

    Returns:
        key -> the smallest key of its component, which stands for it in ``assign``.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for group in groups:
        first, *rest = (root(key) for key in group)
        for other in rest:
            low, high = sorted((root(first), root(other)))
            parent[high] = low
    return {key: root(key) for key in sorted(parent)}


def _header(seed: int, fractions: Mapping[str, float]) -> str:
    shares = ",".join(f"{name}:{share:g}" for name, share in fractions.items())
    return f"seed={seed} fractions={shares}"


def _checksum(header: str, lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join([header, *lines]).encode()).hexdigest()


def write_split(
    path: str | os.PathLike,
    split: Mapping[str, str],
    seed: int,
    fractions: Mapping[str, float] = FRACTIONS,
) -> None:
    """Write ``key<TAB>set`` lines below a header with seed, fractions and a SHA-256 of it all."""
    header = _header(seed, fractions)
    lines = [f"{key}\t{split[key]}" for key in sorted(split)]
    with atomic_write(path) as stream:
        stream.write(f"# split {header} sha256={_checksum(header, lines)}\n")
        stream.writelines(line + "\n" for line in lines)


def read_split(path: str | os.PathLike) -> tuple[dict[str, str], str]:
    """Read what ``write_split`` wrote: (key -> set, "seed=... fractions=...").

    Raises:
        UserError: the file is missing, or its content does not fit its checksum.
    """
    head, *lines = read_lines(path) or [""]
    header, _, checksum = head.removeprefix("# split ").partition(" sha256=")
    if _checksum(header, lines) != checksum:
        raise UserError(f"{path} was altered: its checksum does not fit its content. {_REMEDY}")
    return dict(line.split("\t") for line in lines), header


def keep_split(
    path: str | os.PathLike,
    keys: Iterable[str],
    seed: int,
    fractions: Mapping[str, float] = FRACTIONS,
    expected: bool = False,
    new_split: bool = False,
) -> tuple[dict[str, str], int]:
    """The split in ``path`` if there is one, extended by keys it lacks; else a new one.

    Args:
        path: the split file.
        keys: all keys of the corpus as it is now.
        seed, fractions: must be those of the file.
        expected: data made from this split are there, so that a missing file is an error.
        new_split: the user's word that the split may be made anew.

    Returns:
        key -> set for ``keys``, and how many of them were new to an existing file.
    """
    keys = sorted(set(keys))
    wanted = assign(keys, seed, fractions)
    if new_split or not (expected or Path(path).exists()):
        write_split(path, wanted, seed, fractions)
        return wanted, 0
    if not Path(path).exists():
        raise UserError(f"{path} is missing, but data made from it are there. {_REMEDY}")
    kept, header = read_split(path)
    if header != _header(seed, fractions):
        raise UserError(
            f"{path} was made with {header}, not with {_header(seed, fractions)}. "
            "Give the old options, or make another split with --new_split true."
        )
    new = [key for key in keys if key not in kept]
    if new:
        write_split(path, kept | {key: wanted[key] for key in new}, seed, fractions)
    return {key: kept.get(key, wanted[key]) for key in keys}, len(new)
