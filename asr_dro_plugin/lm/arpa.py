"""Writing ARPA files: the same bytes for the same model."""

import contextlib
import gzip
import os
from collections.abc import Iterator, Sequence
from typing import IO

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.lm.counts import Corpus, word_ids
from asr_dro_plugin.lm.kneser_ney import Grams

ROWS_AT_ONCE = 100_000
COMPRESSION = 6  # gzip's own default; 9 takes twice the time for one per cent


def write_arpa(path: str | os.PathLike, corpus: Corpus, model: Sequence[Grams]) -> None:
    """Write a model (its orders, from 1 on) as gzip-compressed ARPA, whole or not at all.

    KenLM reads no file without 2-grams, so that a model of order 1 declares 0 of them.  The n-grams
    point into ``corpus``.
    """
    with deterministic_gzip(path) as stream:
        head = [f"ngram {grams.order}={len(grams.log_probs)}\n" for grams in model]
        none = len(model) == 1
        stream.write("".join(["\\data\\\n", *head, "ngram 2=0\n" * none]).encode())
        for grams in model:
            stream.write(f"\n\\{grams.order}-grams:\n".encode())
            for lines in _lines(corpus, grams):
                stream.write(lines.encode())
        stream.write(b"\n\\2-grams:\n" * none + b"\n\\end\\\n")


@contextlib.contextmanager
def deterministic_gzip(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """A gzip file without name and time, written atomically."""
    with (
        atomic_write(path, "wb") as raw,
        gzip.GzipFile("", "wb", COMPRESSION, fileobj=raw, mtime=0) as stream,
    ):
        yield stream


def _lines(corpus: Corpus, grams: Grams) -> Iterator[str]:
    """The lines of one order, many at a time."""
    form = "%.7g\t" + " ".join(["%s"] * grams.order)
    form += "\n" if grams.backoffs is None else "\t%.7g\n"
    for begin in range(0, len(grams.log_probs), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        columns = [grams.log_probs[rows].tolist(), *_words(corpus, grams, rows)]
        if grams.backoffs is not None:
            columns.append(grams.backoffs[rows].tolist())
        yield "".join(map(form.__mod__, zip(*columns, strict=True)))


def _words(corpus: Corpus, grams: Grams, rows: slice) -> list[list[str]]:
    """A column for each place in the n-grams."""
    if grams.order == 1:
        return [corpus.words[rows]]
    ids = word_ids(corpus, grams.first[rows], grams.order)
    return [[corpus.words[index] for index in column] for column in ids.T.tolist()]
