"""A language model's folder from its text: whole or absent, the same bytes from the same text."""

import contextlib
import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm.counts import Corpus, encode, symbols_of, word_ids
from asr_dro_plugin.lm.files import (
    SPECIAL,
    LmFiles,
    arpa_words,
    characters_of,
    read_arpa_header,
    read_text,
)
from asr_dro_plugin.lm.kneser_ney import Grams, estimate
from asr_dro_plugin.lm.programs import (
    BUILD_BINARY,
    LMPLZ,
    is_installed,
    run_build_binary,
    run_lmplz,
)

ESTIMATORS = ("auto", "builtin", "lmplz")
UNITS = ("word", "char")
MAX_ORDER = 6  # of the KenLM that kenlm's and flashlight-text's wheels are built with
ROWS_AT_ONCE = 100_000
COMPRESSION = 6  # gzip's own default; 9 takes twice the time for one per cent
ARPA, BINARY, UNIGRAMS, ABOUT = "lm.arpa.gz", "lm.bin", "unigrams.txt", "lm.json"


@dataclass(frozen=True)
class LmSettings:
    """What a model is made with.

    Attributes:
        order: the longest n-grams, 1 to ``MAX_ORDER``.
        unit: ``word`` or ``char``.
        prune: for each order, n-grams that occur so often or less are left out; the last is for
            all higher orders.
        estimator: ``builtin``, ``lmplz``, or ``auto``: lmplz where it is on PATH.

    Raises:
        UserError: a value that no model can have.
    """

    order: int = 3
    unit: str = "word"
    prune: tuple[int, ...] = (0,)
    estimator: str = "auto"

    def __post_init__(self) -> None:
        if self.order < 1:
            raise UserError(f"--order {self.order} is less than 1. Usual: 3, for characters 6.")
        if self.order > MAX_ORDER:
            raise UserError(
                f"--order {self.order} is more than KenLM reads. Give {MAX_ORDER} or less."
            )
        if self.order == 1 and self.estimator == LMPLZ:
            raise UserError("KenLM reads no 1-gram model of lmplz. Give --estimator builtin.")
        words = " ".join(map(str, self.prune))
        if not self.prune or self.prune[0] != 0 or list(self.prune) != sorted(self.prune):
            raise UserError(
                f'--prune "{words}" must begin with 0, for words stay, and must not fall: "0 0 1".'
            )
        if len(self.prune) > self.order:
            raise UserError(f'--prune "{words}" has more numbers than --order {self.order}.')
        if self.unit not in UNITS or self.estimator not in ESTIMATORS:
            raise UserError(f"'{self.unit}' or '{self.estimator}' is no unit or estimator.")

    @property
    def program(self) -> str:
        """``builtin`` or ``lmplz``."""
        if self.estimator != "auto":
            return self.estimator
        return LMPLZ if self.order > 1 and is_installed(LMPLZ) else "builtin"


def build_lm(
    text: str | os.PathLike,
    out_dir: str | os.PathLike,
    name: str,
    settings: LmSettings,
    text_norm: str = "none",
) -> dict:
    """Make ``out_dir/name`` with ``lm.arpa.gz``, ``unigrams.txt`` and ``lm.json``.

    A folder of that name is replaced, so that no file of an older model stays.

    Args:
        text: a collected text: one sentence a line, words separated by single spaces.
        name: ``joint`` or an ISO code.
        text_norm: what was done to the text, noted in lm.json.

    Returns:
        What lm.json says.

    Raises:
        UserError: too little text for the order or the pruning, or lmplz failed.
    """
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=f".{name}.") as temporary:
        folder = Path(temporary) / name
        folder.mkdir()
        if settings.program == LMPLZ:
            figures = _with_lmplz(text, folder, settings)
        else:
            figures = _built_in(text, folder, settings)
        about = {"name": name, "text_norm": text_norm, "unit": settings.unit, **figures}
        with atomic_write(folder / ABOUT) as stream:
            json.dump(about, stream, indent=1, ensure_ascii=False)
            stream.write("\n")
        _replace(folder, out / name)
    return about


def make_binary(lm: LmFiles) -> bool:
    """Make ``lm.bin`` of a model's ARPA file, if it has one; False without build_binary on PATH."""
    if not is_installed(BUILD_BINARY):
        return False
    if arpa := lm.arpa():
        with tempfile.TemporaryDirectory(dir=lm.folder, prefix=".binary.") as temporary:
            run_build_binary(arpa, Path(temporary) / BINARY)
            os.replace(Path(temporary) / BINARY, lm.folder / BINARY)
    return True


def _built_in(text: str | os.PathLike, folder: Path, settings: LmSettings) -> dict:
    corpus = encode(text, settings.unit)
    model = list(estimate(corpus, settings.order, settings.prune))
    sizes = [len(grams.log_probs) for grams in model]
    _check_sizes(sizes, settings, folder.name)
    write_arpa(folder / ARPA, corpus, model)
    return {
        **_figures(settings, sizes, corpus.num_sentences, corpus.num_tokens),
        "estimator": "modified_kneser_ney",
        "discounts": [[round(each, 6) for each in grams.discounts.values] for grams in model],
        "fallback_orders": [grams.order for grams in model if grams.discounts.fallback],
        "characters": _write_words(folder, corpus.words[len(SPECIAL) :]),
    }


def _with_lmplz(text: str | os.PathLike, folder: Path, settings: LmSettings) -> dict:
    spaced, arpa = folder / "spaced.txt", folder / "lm.arpa"
    num_sentences = num_tokens = 0
    with open(spaced, "w", encoding="utf-8", newline="\n") as stream:
        for sentence in read_text(text):
            symbols = symbols_of(sentence, settings.unit)
            num_sentences, num_tokens = num_sentences + 1, num_tokens + len(symbols)
            stream.write(" ".join(symbols) + "\n")
    run_lmplz(spaced, arpa, settings.order, settings.prune)
    sizes = read_arpa_header(arpa)
    _check_sizes(sizes, settings, folder.name)
    words = sorted(set(arpa_words(arpa)) - set(SPECIAL))
    with open(arpa, "rb") as plain, deterministic_gzip(folder / ARPA) as packed:
        shutil.copyfileobj(plain, packed)
    spaced.unlink()
    arpa.unlink()
    return {
        **_figures(settings, sizes, num_sentences, num_tokens),
        "estimator": LMPLZ,
        "characters": _write_words(folder, words),
    }


def _check_sizes(sizes: Sequence[int], settings: LmSettings, name: str) -> None:
    """A model whose highest order is empty is none."""
    longest = next((n for n, size in enumerate(sizes) if not size), len(sizes))
    if longest == settings.order:
        return
    if any(settings.prune):
        words = " ".join(map(str, settings.prune))
        raise UserError(
            f"--prune \"{words}\" leaves no {longest + 1}-grams of the text of '{name}'. "
            "Prune less, give a lower --order or more text."
        )
    raise UserError(
        f"The text of '{name}' has no {longest + 1}-grams (the ends of a sentence count). "
        f"Give --order {longest} or more text."
    )


def _figures(settings: LmSettings, sizes: Sequence[int], sentences: int, tokens: int) -> dict:
    return {
        "order": settings.order,
        "prune": list(settings.prune),
        "sentences": sentences,
        "tokens": tokens,
        "ngrams": list(sizes),
    }


def _write_words(folder: Path, words: list[str]) -> list[str]:
    """Write unigrams.txt; the characters that its words have."""
    with atomic_write(folder / UNIGRAMS) as stream:
        stream.writelines(word + "\n" for word in words)
    return characters_of(set(words))


def _replace(new: Path, target: Path) -> None:
    """Put a folder in another's place; for a moment there is neither, never half of one."""
    if target.exists():
        os.rename(target, new.parent / "old")
    os.rename(new, target)


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
