"""The vocabulary of a Hugging Face CTC model as our list of tokens, and back.

Blank, space and the unknown symbol have names of their own there (``[PAD]`` or ``<pad>``, ``|``,
``[UNK]`` or ``<unk>``); all others are kept.  The id of a token is the row of the head.
"""

import json
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.pretrained.hf_folders import find_json, read_json
from asr_dro_plugin.text.tokens import BLANK, SPACE, UNK

VOCAB, ADDED = "vocab.json", "added_tokens.json"
TOKENIZER, SPECIAL = "tokenizer_config.json", "special_tokens_map.json"
# What Wav2Vec2CTCTokenizer takes where its files say nothing, in the order in which it adds them.
DEFAULTS = {
    "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
    "word_delimiter_token": "|",
}  # fmt: skip
DELIMITER = DEFAULTS["word_delimiter_token"]
MAX_LENGTH = 1_000  # characters of a token
ROW = "[0-9]{1,9}"  # a number in text
NO_TEXT = "[\x00-\x1f\x7f\ud800-\udfff]"  # control characters, halves of characters
OTHER_UNK = "[UNK]"  # as the recipe that most fine-tuned models come from calls it
OURS = {"pad_token": BLANK, "unk_token": UNK, "word_delimiter_token": SPACE}


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by row, and what the tokenizer's files say beside them.

    Attributes:
        tokens: ours, V of them.
        names: our special symbol -> the name there.
        do_lower_case: what its tokenizer calls so: text is put into upper case before its letters
            are looked up, and recognised text into lower case.
        left_out: tokens that the tokenizer knows beyond the head's rows.
    """

    tokens: list[str]
    names: dict[str, str] = field(default_factory=dict)
    do_lower_case: bool = False
    left_out: tuple[str, ...] = ()


def read_vocabulary(
    folder: Path, num_rows: int, lang: str | None = None, pad_id: int | None = None
) -> Vocabulary:
    """The vocabulary beside a model, or one directory above it.

    Args:
        folder: with ``vocab.json`` and, if they are there, ``added_tokens.json``,
            ``tokenizer_config.json`` and ``special_tokens_map.json``.
        num_rows: V, outputs of the head.
        lang: whose vocabulary, where ``vocab.json`` holds one for each of several languages.
        pad_id: the blank's row as ``config.json`` has it, for a tokenizer that does not name it.

    Raises:
        UserError: no ``vocab.json``, or one that does not fit the head.
    """
    where = find_json(folder, VOCAB)
    if where is None:
        raise UserError(
            f"{folder} has no {VOCAB}, nor has the directory above: without it nobody knows what "
            f"its {num_rows} outputs stand for. Put it there, or give --new_vocab tokens.txt."
        )
    settings: dict = {}
    for name in (SPECIAL, TOKENIZER):
        if find_json(folder, name):
            settings |= read_json(folder, name)
    ids = _of_language(read_json(folder, VOCAB), lang or settings.get("target_lang"), where)
    special = _special(settings, ids, pad_id)
    rows, left_out = _rows(ids, _added(folder, settings), special, num_rows, where)
    names = {ours: special[key] for key, ours in OURS.items() if special[key] in rows}
    if BLANK not in names:
        raise UserError(
            f"{where} has no {special['pad_token']}, the pad_token, which is CTC's blank in such "
            f"models. Name the right one in {TOKENIZER}."
        )
    back = {name: ours for ours, name in names.items()}
    tokens = [back.get(name, name) for name in rows]
    _refuse_lines(tokens, where)
    return Vocabulary(tokens, names, bool(settings.get("do_lower_case")), left_out)


def _special(
    settings: Mapping, ids: Mapping[str, int], pad_id: int | None
) -> dict[str, str | None]:
    """What each special token is called: as the files say, else as the vocabulary lets one see."""
    names = {**DEFAULTS}
    if names["pad_token"] not in ids:
        names["pad_token"] = next((t for t, n in ids.items() if n == pad_id), names["pad_token"])
    if names["unk_token"] not in ids and OTHER_UNK in ids:
        names["unk_token"] = OTHER_UNK
    return {key: _content(settings.get(key, name)) for key, name in names.items()}


def _content(value: object) -> str | None:
    """A special token is text, or an object with its text as ``content``."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _of_language(ids: Mapping, lang: str | None, where: Path) -> dict[str, int]:
    """One language's vocabulary, where there are several (as MMS has them)."""
    if ids and all(isinstance(value, Mapping) for value in ids.values()):
        if lang not in ids:
            some = ", ".join(sorted(ids)[:8])
            raise UserError(
                f"{where} has the vocabularies of {len(ids)} languages ({some} ...), and "
                f"{f'none of {lang}' if lang else 'nothing says which'}. Give --lang CODE."
            )
        ids = ids[lang]
    if not ids or not all(type(value) is int for value in ids.values()):  # a bool is an int
        raise UserError(f"{where} is not a table of tokens and their numbers. Fetch it again.")
    return dict(ids)


def _added(folder: Path, settings: Mapping) -> dict[str, int]:
    """Tokens that the tokenizer has beyond ``vocab.json``."""
    found = read_json(folder, ADDED) if find_json(folder, ADDED) else {}
    decoder = settings.get("added_tokens_decoder")
    for number, token in (decoder if isinstance(decoder, Mapping) else {}).items():
        if re.fullmatch(ROW, str(number)) and _content(token) is not None:
            found.setdefault(_content(token), int(number))
    return {token: number for token, number in found.items() if type(number) is int}


def _rows(
    ids: Mapping[str, int],
    added: Mapping[str, int],
    special: Mapping[str, str | None],
    num_rows: int,
    where: Path,
) -> tuple[list[str], tuple[str, ...]]:
    """The name of each row, and the tokens that have none."""
    rows: dict[int, str] = {}
    for token, number in [*ids.items(), *added.items()]:
        if rows.setdefault(number, token) != token:
            raise UserError(
                f"{where}: {rows[number]!r} and {token!r} are both number {number}. Fetch it again."
            )
    known = set(rows.values())
    for token in special.values():  # which the tokenizer adds where they are not listed
        if token is not None and token not in known:
            rows[max(rows) + 1] = token
            known.add(token)
    beyond = sorted(number for number in rows if number >= num_rows)
    listed = [rows[number] for number in beyond if rows[number] in ids]
    holes = [number for number in range(num_rows) if number not in rows]
    if listed or holes or min(rows) < 0:
        what = f"number {holes[0]} is missing" if holes else f"{len(listed)} are too many"
        raise UserError(
            f"{where} has {len(ids)} tokens and does not fit the {num_rows} outputs of the head: "
            f"{what}. Give the vocabulary that the model was trained with, or replace the head: "
            "--new_vocab tokens.txt."
        )
    return [rows[number] for number in range(num_rows)], tuple(rows[number] for number in beyond)


def _refuse_lines(tokens: Sequence[str], where: Path) -> None:
    """Every token must be a line of a list, and one of its own."""
    for row, token in enumerate(tokens):
        line = token.splitlines() == [token] and token[1:] == token[1:].rstrip()
        if not line or len(token) > MAX_LENGTH or re.search(NO_TEXT, token):
            words = reprlib.repr(token)
            raise UserError(
                f"{where}: token number {row} is {words}, which is no line of a list. Rename it."
            )
    if len(set(tokens)) < len(tokens):
        twice = next(token for row, token in enumerate(tokens) if token in tokens[:row])
        raise UserError(f"{where} has both {twice!r} and what stands for it here. Rename it.")


def tokenizer_files(
    tokens: Sequence[str], names: Mapping[str, str] | None = None, do_lower_case: bool = False
) -> dict[str, bytes]:
    """The files of a ``Wav2Vec2CTCTokenizer`` that gives our tokens their ids, by name.

    Args:
        tokens: ours, ``<blank>`` among them.
        names: our special symbol -> its name there, where it had one; as ``Vocabulary.names``.
        do_lower_case: as ``Vocabulary.do_lower_case``.

    Raises:
        UserError: a symbol that its tokenizer takes for the space.
    """
    if DELIMITER in tokens and SPACE in tokens:
        raise UserError(
            f"The tokens have {DELIMITER} beside {SPACE}, and Hugging Face's tokenizer takes "
            f"{DELIMITER} for the space. Train with a normaliser that removes it."
        )
    # A name for the blank that no other token has.
    blank = next(name for name in ("<pad>", "[PAD]", BLANK) if name not in tokens or name == BLANK)
    names = {BLANK: blank, UNK: UNK, SPACE: DELIMITER, **(names or {})}
    spelled = [names.get(token, token) for token in tokens]
    special = {key: names[OURS[key]] for key in ("pad_token", "unk_token") if OURS[key] in tokens}
    ends = {key: DEFAULTS[key] for key in ("bos_token", "eos_token") if DEFAULTS[key] in spelled}
    settings = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer", "do_lower_case": do_lower_case,
        "word_delimiter_token": DELIMITER, "replace_word_delimiter_char": " ",
        **dict.fromkeys(("unk_token", "bos_token", "eos_token")), **special, **ends,
    }  # fmt: skip
    rows = {token: row for row, token in enumerate(spelled)}
    made = {VOCAB: rows, TOKENIZER: settings, SPECIAL: {**special, **ends}}
    return {
        name: (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()
        for name, content in made.items()
    }
