"""Stage 5: ``SET/text_aux`` of each set, and their units, ``tokens_aux.txt``."""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import missing_keys, read_table, write_table
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.auxiliary import INPUT, TOKENS
from asr_dro_plugin.text.auxiliary.convert import convert, tool_of
from asr_dro_plugin.text.tokens import by_frequency, make_list


def make_aux_texts(
    kind: str, train_dir: str | os.PathLike, others: Sequence[str | os.PathLike], out: str
) -> list[str]:
    """Convert the texts of a training set and of others; returns the list of units.

    Args:
        kind: ``phonemes`` or ``romanised``.
        train_dir: data directory whose units become tokens.
        others: data directories whose units may be unknown.
        out: gets ``SET/text_aux`` (units parted by spaces) and, last of all, ``tokens_aux.txt``.

    Raises:
        UserError: an utterance without a language, or the tool is not here.
    """
    tool = tool_of(kind)
    Path(out, TOKENS).unlink(missing_ok=True)  # the folder is finished when this file is there
    folders = [Path(train_dir), *map(Path, others)]
    sets = {folder.name: _converted(kind, tool, folder) for folder in folders}
    counts = Counter(unit for units in sets[folders[0].name].values() for unit in units)
    tokens = make_list([], by_frequency(counts))
    for name, units in sets.items():
        lines = {utt_id: " ".join(row) for utt_id, row in units.items()}
        write_table(Path(out, name, INPUT), lines)
        _tell(name, units, tokens)
    with atomic_write(Path(out, TOKENS)) as stream:
        stream.writelines(f"{token}\n" for token in tokens)
    return tokens


def _converted(kind: str, tool: str, folder: Path) -> dict[str, list[str]]:
    texts, languages = read_table(folder / "text"), read_table(folder / "utt2lang")
    if missing := missing_keys(languages, texts):
        raise UserError(
            f"{folder}/utt2lang lacks {len(missing)} utterances of {folder}/text, for example "
            f"{missing[0]}. Run stage 4 again."
        )
    units, kept = convert(kind, texts, languages, folder.name)
    kept.tell(tool, folder.name)
    return units


def _tell(name: str, units: Mapping[str, Sequence[str]], tokens: Sequence[str]) -> None:
    total, known = sum(map(len, units.values())), set(tokens)
    unknown = Counter(unit for row in units.values() for unit in row if unit not in known)
    logging.info("%s: %d texts, %.1f units each", name, len(units), total / max(1, len(units)))
    if unknown:
        told = "%s: %d units are not in the training texts, and count as <unk>: %s"
        logging.warning(told, name, unknown.total(), " ".join(by_frequency(unknown)[:20]))
