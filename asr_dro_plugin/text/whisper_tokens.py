"""Whisper's tokens: text to pieces and back, and what stands before a text.

A token list of Whisper's has its own order and ids.  The token of a language is named by the tag
that the recipe's texts have, ``[eng]`` for ``<|en|>``, so that it is a tag everywhere else; a
language that Whisper does not know gets a token of its own at the end of the list, which begins as
the mean of the languages that Whisper does know.  The decoder reads

    <|startoftranscript|> [eng] <|transcribe|> <|notimestamps|> pieces of the text <|endoftext|>

of which a text's tokens are the tag and the pieces; the first and the last are ESPnet's
``sym_sos`` and ``sym_eos``, and what stands behind the tag is the model's ``text_prompt``.
Pieces are of byte-level BPE: letters stand for the bytes of UTF-8 (Radford et al. 2019, GPT-2).
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import add_tag, split_tag
from asr_dro_plugin.text.whisper_languages import WHISPER_LANGUAGES

SOT, EOT, NO_TIMES = "<|startoftranscript|>", "<|endoftext|>", "<|notimestamps|>"
TASKS = ("transcribe", "translate")
TOKENIZER = "tokenizer.json"  # pieces and merges, as Hugging Face's tokenizers write them
# What these tokens make of ESPnet's model; a YAML may say otherwise.  ESPnet's own error rates are
# of pieces as they are spelled, not of words: those of the groups are right.
MODEL_CONF = {
    "sym_sos": SOT, "sym_eos": EOT, "text_prompt": [f"<|{TASKS[0]}|>", NO_TIMES],
    "report_cer": False, "report_wer": False,
}  # fmt: skip
SPECIAL = re.compile(r"<\|.*\|>")
_LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


def is_whisper_list(tokens: Sequence[str]) -> bool:
    """Whether a token list is one of Whisper's."""
    return SOT in tokens


def read_tokenizer(path: str | os.PathLike):
    """The ``tokenizers.Tokenizer`` of a file, or of a Whisper folder.

    A folder has ``tokenizer.json``, or ``vocab.json``, ``merges.txt`` and ``added_tokens.json``.

    Raises:
        UserError: the files are not there, or are none of a tokenizer of Whisper's.
    """
    path = Path(path)
    try:
        tokenizer = _found(path)
    except Exception as error:  # the package raises bare ones
        line = " ".join(str(error).split())
        raise UserError(f"{path} holds no tokenizer ({line}). Fetch it again.") from None
    if tokenizer is None:
        raise UserError(
            f"{path} has no tokenizer: neither {TOKENIZER} nor vocab.json and merges.txt. "
            "Give the folder of a Whisper model."
        )
    needed = (SOT, EOT, NO_TIMES, f"<|{TASKS[0]}|>")
    if missing := [name for name in needed if tokenizer.token_to_id(name) is None]:
        raise UserError(
            f"{path} has a tokenizer without {missing[0]}, so it is none of Whisper's, or lacks "
            f"{TOKENIZER} or added_tokens.json. Fetch them, or give the folder of a Whisper model."
        )
    return tokenizer


def _found(path: Path):
    """The tokenizer of a file or a folder, None where none is there."""
    from tokenizers import Tokenizer

    file = path / TOKENIZER if path.is_dir() else path
    if file.is_file():
        return Tokenizer.from_file(str(file))
    if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
        return _of_parts(path)
    return None


def _of_parts(folder: Path):
    """A tokenizer from the files of older models."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    bpe = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    added = folder / "added_tokens.json"
    ids = json.loads(added.read_text("utf-8")) if added.is_file() else {}
    names = sorted(ids, key=ids.get)
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])
    return tokenizer


def token_names(tokenizer, num_rows: int = 0, tags: Iterable[str] = ()) -> list[str]:
    """The token list of a tokenizer, by id.

    Args:
        tokenizer: as ``read_tokenizer`` gives it.
        num_rows: rows of the model's embedding; those without a token are named by their number.
        tags: language tags of the texts; one that Whisper has no token for is appended.

    Raises:
        UserError: a tokenizer with more tokens than rows.
    """
    vocab = tokenizer.get_vocab(with_added_tokens=True)
    size = max(vocab.values()) + 1
    if num_rows and size > num_rows:
        raise UserError(
            f"The tokenizer has {size} tokens, the model {num_rows} rows: they are of two models."
        )
    names = [f"<|unused{number}|>" for number in range(max(size, num_rows))]
    for name, number in vocab.items():
        if name:  # multilingual Whispers have one token of no byte
            names[number] = name
    tags = sorted(set(tags))
    return with_new_tags([_tag_of(name, tags) for name in names], tags)


def _tag_of(name: str, tags: Sequence[str]) -> str:
    """A language's token named by its tag: the one that the texts have, else the usual one."""
    match = _LANGUAGE.fullmatch(name)
    isos = WHISPER_LANGUAGES.get(match[1], ()) if match else ()
    if not isos:
        return name
    return next((f"[{iso}]" for iso in isos if f"[{iso}]" in tags), f"[{isos[0]}]")


def with_new_tags(names: Sequence[str], tags: Iterable[str]) -> list[str]:
    """The list with those tags at its end that it does not have."""
    known = set(names)
    return [*names, *(tag for tag in tags if tag not in known)]


def copy_tokenizer(folder: Path, out: Path, tags: Iterable[str]) -> list[str]:
    """Write the tokenizer of a Whisper folder to ``out``; the token list that goes with it."""
    tokenizer, rows = read_tokenizer(folder), _num_rows(folder / "config.json")
    save_tokenizer(tokenizer, out / TOKENIZER)
    return token_names(tokenizer, rows, tags)


def _num_rows(config: Path) -> int:
    """Rows of the embedding that a ``config.json`` tells of; 0 where there is none."""
    if not config.is_file():
        return 0
    try:
        return int(json.loads(config.read_text("utf-8")).get("vocab_size", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{config} tells no vocab_size ({error}). Fetch it again.") from None


def save_tokenizer(tokenizer, path: str | os.PathLike) -> None:
    """Write pieces and merges as one file, atomically."""
    with atomic_write(path) as stream:
        stream.write(tokenizer.to_str())


class WhisperTokenizer:
    """Text to the names of its tokens: its language and its pieces.

    Args:
        path: ``tokenizer.json`` or a folder with it.
        language: ISO 639-3 of texts without a tag; None: they must have one.

    Raises:
        UserError: as ``read_tokenizer``.
    """

    def __init__(self, path: str | os.PathLike, language: str | None = None) -> None:
        self.language, self._tokenizer = language, read_tokenizer(path)
        self._tokenizer.encode_special_tokens = True  # "<|endoftext|>" in a text is its letters

    def __call__(self, text: str) -> list[str]:
        """``"[eng] hello"`` -> ``["[eng]", "Ġhello"]``.

        Raises:
            UserError: neither a tag nor ``language``.
        """
        lang, words = split_tag(text)
        lang = lang or self.language
        if lang is None:
            raise UserError(
                f"The text '{text[:40]}' has no language tag, which Whisper's tokens begin with. "
                "Set preprocessor_conf.whisper_language (an ISO 639-3 code), or run stage 1 with "
                "--lid true."
            )
        return [add_tag(lang, ""), *self.pieces(words)]

    def pieces(self, words: str) -> list[str]:
        """The text alone; it begins with a space, as after Whisper's own prompt."""
        words = words.strip()
        return self._tokenizer.encode(f" {words}", add_special_tokens=False).tokens if words else []


def strict_ids(tokens: Sequence[str]) -> Callable[[Iterable[str]], list[int]]:
    """Names to ids; a name that the list lacks, a language's above all, is an error."""
    ids = {token: number for number, token in enumerate(tokens)}

    def to_ids(names: Iterable[str]) -> list[int]:
        try:
            return [ids[name] for name in names]
        except KeyError as error:
            raise UserError(
                f"The token list lacks {error.args[0]}. Run stage 5 again with this data, or take "
                "the texts of that language out."
            ) from None

    return to_ids


@cache
def byte_letters() -> dict[str, int]:
    """Letter -> byte: printable ones of Latin-1 stand for themselves, the others from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {
        chr(0x100 + number): byte for number, byte in enumerate(others)
    }


def spelled_bytes(token: str) -> bytes:
    """What a token adds to the text: a tag stands alone, other special tokens are nothing."""
    if split_tag(token)[0]:
        return f" {token} ".encode()
    letters = byte_letters()
    if SPECIAL.fullmatch(token) or any(letter not in letters for letter in token):
        return b""
    return bytes(letters[letter] for letter in token)


def joined_bytes(parts: Iterable[bytes]) -> str:
    """The text of its tokens' bytes, words separated by single spaces.

    A letter that was cut short at the end of a decoding is left out.
    """
    return " ".join(b"".join(parts).decode("utf-8", "ignore").split())
