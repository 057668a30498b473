"""The folder of an n-gram language model: what it holds, and how it is found.

``LM_DIR/<name>/`` where the name is ``joint`` or an ISO 639-3 code:

    lm.arpa.gz      the model (``lm.arpa`` of other tools is read too)
    lm.bin          the same in KenLM's binary form, where ``build_binary`` made one
    unigrams.txt    the words of the training text, one a line (characters for unit char)
    lm.json         order, unit, estimator, text_norm, counts, characters; written last

A folder or a single file from elsewhere may have the model alone: the rest is then read from its
1-grams, which for a binary model nobody can read.
"""

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.base.foreign_files import GZIP, HEAD, not_utf8, refuse_foreign
from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.errors import UserError, in_one_line, suggestion
from asr_dro_plugin.text.tokens import SPACE

JOINT = "joint"
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
SPECIAL = (UNKNOWN, BEGIN, END)
MODELS = ("lm.bin", "lm.arpa.gz", "lm.arpa")  # the first of them that is there is loaded
ARPAS = (".arpa", ".arpa.gz")
_DECLARED = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)")
_GAPS = re.compile("[ \t]+")  # as KenLM parts them; other white space belongs to the word
GZIP_MAGIC = b"\x1f\x8b"
LONGEST_LINE = 2**26  # bytes; some kilobytes of gzip unpack to many gigabytes of one line
LINES_A_STEP = 10_000  # between two looks at the progress
MEGABYTE = 1_000_000
REMEDY = "Run stages 6-9, or: asr-dro lm build --out"


@dataclass(frozen=True)
class LmFiles:
    """One language model on disk.

    Attributes:
        folder: where its files lie.
        model: the file to load: binary before ARPA.
        unigrams: list of its words (symbols for unit char), or None.
        description: what lm.json says; for a model from elsewhere what its 1-grams tell (at
            least ``name``; ``order``, ``unit`` and ``characters`` unless it is binary).
    """

    folder: Path
    model: Path
    unigrams: Path | None
    description: Mapping

    def words(self) -> list[str]:
        """Words of the model without ``<s>``, ``</s>`` and ``<unk>``; characters for unit char.

        Raises:
            UserError: there is neither a list of them nor an ARPA file.
        """
        if self.unigrams:
            return read_unigrams(self.unigrams)
        arpa = self.arpa()
        if arpa is None:
            raise UserError(
                f"{self.model} is binary, and no unigrams.txt lies beside it. "
                "Put there its words, one a line, or the ARPA file it was made from."
            )
        return [word for word in arpa_words(arpa) if word not in SPECIAL]

    def arpa(self) -> Path | None:
        """The model as ARPA file, if there is one."""
        if self.model.name.endswith(ARPAS):
            return self.model
        found = (self.folder / name for name in MODELS if name.endswith(ARPAS))
        return next((path for path in found if path.is_file()), None)


def lm_names(lm_dir: str | os.PathLike) -> list[str]:
    """Names of the models of a folder, sorted; none if there is no such folder."""
    folder = Path(lm_dir)
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path.name for path in found if _model_of(path))


def all_lms(lm_dir: str | os.PathLike) -> dict[str, LmFiles]:
    """Every model of a folder by its name; one model's folder or file counts as ``joint``."""
    names = [] if _model_of(Path(lm_dir)) else lm_names(lm_dir)
    return {name: find_lm(lm_dir, name) for name in names or [JOINT]}


def check_unit(files: LmFiles, lm_unit: str) -> None:
    """Refuse a model of another unit than the configuration's lm_unit; a binary does not tell."""
    unit = files.description.get("unit", lm_unit)
    if unit != lm_unit:
        raise UserError(
            f"{files.model} is a model of unit {unit}, the configuration asks for lm_unit "
            f"{lm_unit}. Set lm_unit {unit}, or give another."
        )


def find_lm(lm_dir: str | os.PathLike, name: str = JOINT) -> LmFiles:
    """The language model called ``name``.

    Args:
        lm_dir: the folder of the models; or one model's folder or file (ARPA, gzip or not, or
            binary), which then serves for every name.
        name: ``joint`` or an ISO code.

    Raises:
        UserError: it is not there, or its lm.json is damaged.
    """
    path = Path(lm_dir)
    if single := path if path.is_file() else _model_of(path):
        if single.name in MODELS:  # what lies beside it counts
            return _with_its_words(single, single.parent.name)
        return LmFiles(single.parent, single, None, _from_arpa(single, single.name))
    model = _model_of(path / name)
    if model is None:
        known = lm_names(path)
        has = f" It has: {' '.join(known)}." if known else ""
        raise UserError(
            f"The language model '{name}' was asked for and is not in {path}."
            f"{suggestion(name, known)}{has} {REMEDY} {path}"
        )
    return _with_its_words(model, name)


def read_unigrams(path: str | os.PathLike) -> list[str]:
    """The words of a unigrams.txt, in its order."""
    words = [word for line in read_lines(path) if (word := line.strip())]
    if not words:
        raise UserError(f"{path} names no word. Make the language model again: asr-dro lm build")
    return words


def read_text(path: str | os.PathLike, progress: Progress | None = None) -> Iterator[str]:
    """Lines of a UTF-8 text without their newlines, gzip or not; a byte order mark is dropped.

    Raises:
        UserError: missing, not UTF-8, a gzip file that was cut, a line without end; names place.
    """
    number = shown = 0
    try:
        with open(path, "rb") as raw:
            head = raw.peek(HEAD)
            packed = head[:2] == GZIP_MAGIC
            refuse_foreign(path, head, passed=(GZIP,))
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), 1):
                if len(line) == LONGEST_LINE:
                    raise UserError(
                        f"{path}:{number} is over {LONGEST_LINE} bytes, no line of text."
                    )
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                yield line.decode().rstrip("\r\n")
                if progress and number % LINES_A_STEP == 0:
                    progress.advance(raw.tell() // MEGABYTE - shown)
                    shown = raw.tell() // MEGABYTE
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Name the text to be read.") from None
    except UnicodeDecodeError as error:
        raise not_utf8(path, number, error.object[error.start]) from None
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be read after line {number} ({why}).") from None


def read_arpa_header(path: str | os.PathLike) -> list[int]:
    """How many n-grams of each order an ARPA file declares, from order 1 on."""
    return _header(enumerate(read_text(path), 1), path)


def arpa_words(path: str | os.PathLike) -> list[str]:
    """The words of an ARPA file's 1-grams, in its order, with ``<s> </s> <unk>``.

    Raises:
        UserError: the file is no ARPA file, is damaged or ends early; names the line.
    """
    lines = enumerate(read_text(path), 1)
    count = _header(lines, path)[0]
    return [_unigram(line, number, path) for number, line in _section(lines, count, path)]


def _model_of(folder: Path) -> Path | None:
    found = (folder / name for name in MODELS)
    return next((path for path in found if path.is_file()), None)


def _with_its_words(model: Path, name: str) -> LmFiles:
    unigrams = model.parent / "unigrams.txt"
    words = unigrams if unigrams.is_file() else None
    return LmFiles(model.parent, model, words, _describe(model, name))


def _describe(model: Path, name: str) -> dict:
    path = model.parent / "lm.json"
    if not path.is_file():
        return _from_arpa(model, name)
    try:
        found = json.loads("\n".join(read_lines(path)))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not {"order", "unit", "characters"} <= found.keys():
        raise UserError(f"{path} is damaged. {REMEDY} {path.parents[1]}")
    return {**found, "name": name}


def _from_arpa(model: Path, name: str) -> dict:
    """A description of a model from elsewhere."""
    if not model.name.endswith(ARPAS):
        return {"name": name}
    words = set(arpa_words(model)) - set(SPECIAL)
    is_char = all(len(word) == 1 for word in words - {SPACE})
    return {
        "name": name,
        "order": len(read_arpa_header(model)),
        "unit": "char" if is_char else "word",
        "characters": characters_of(words),
    }


def characters_of(words: set[str]) -> list[str]:
    """Sorted characters of words or symbols; the space and ``<space>`` are none of them."""
    return sorted(set().union(*words - {SPACE}))


def _header(lines: Iterator[tuple[int, str]], path: str | os.PathLike) -> list[int]:
    counts: list[int] = []
    for number, line in lines:
        if not line.strip() or line == "\\data\\":
            continue
        if line == "\\1-grams:" and counts:
            return counts
        found = _DECLARED.fullmatch(line.strip())
        if not found or int(found[1]) != len(counts) + 1:
            raise UserError(f"{path}:{number} is not of an ARPA file ('{in_one_line(line, 40)}').")
        counts.append(int(found[2]))
    raise UserError(f"{path} has no 1-grams: it is no ARPA file, or was cut. Copy it again.")


def _section(
    lines: Iterator[tuple[int, str]], count: int, path: str | os.PathLike
) -> Iterator[tuple[int, str]]:
    for _ in range(count):
        found = next(lines, None)
        if found is None:
            raise UserError(f"{path} ends amid its 1-grams, of which it declares {count}.")
        yield found


def _unigram(line: str, number: int, path: str | os.PathLike) -> str:
    fields = _GAPS.split(line.strip(" \t"))
    if len(fields) not in (2, 3):
        raise UserError(
            f"{path}:{number} is not a 1-gram ('{in_one_line(line, 40)}'). Copy the file again."
        )
    return fields[1]
