"""Stage 4: which utterances of a dump are fit for their role, and which characters are new.

Training and validation lose what cannot teach or measure: empty texts, and durations outside
``min_duration <= duration <= max_duration`` (both bounds are kept).  A test set keeps everything
that has sound, an empty reference too: leaving hard utterances out would flatter the score.
"""

import logging
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.files import atomic_write, write_text
from asr_dro_plugin.base.kaldi_io import read_lines, read_table
from asr_dro_plugin.data.drop_ledger import REMEDY, DropLedger
from asr_dro_plugin.data.utt_tables import REQUIRED, UttTables
from asr_dro_plugin.text.casing import case_remedy
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.text.tokens import characters_of_tokens

ROLES = ("train", "valid", "test")
DUMP_TABLES = (*REQUIRED, "wav.scp", "utt2num_samples")
MARKS = ("feats_type", "audio_format")
UNSEEN_HEADER = "lang\tcharacter\tcode_point\tname\tcount\tnum_utts\tfirst_utt"


@dataclass(frozen=True)
class FilterLimits:
    """What an utterance must fulfil to be trained on or validated with."""

    min_duration: float = 0.1
    max_duration: float = 20.0
    min_num_chars: int = 1
    fs: int = SAMPLE_RATE


def filter_dir(
    in_dir: str,
    out_dir: str,
    role: str,
    limits: FilterLimits,
    max_drop: float,
    train_dir: str | None = None,
    token_list: str | None = None,
) -> None:
    """Copy a dump's tables without the utterances that are unfit; the sound stays where it is.

    Args:
        in_dir: a dump of stage 3.
        out_dir: where the tables go, with ``dropped.tsv`` and ``unseen_characters.tsv``.
        role: train, valid or test.
        limits: bounds for train and valid.
        max_drop: largest share of a language that may be left out.
        train_dir: whose text tells which characters a model can know.
        token_list: a given list of tokens, which decides instead.

    Raises:
        UserError: damaged tables, or a language that would lose more than its share.
    """
    data = UttTables.read(in_dir, DUMP_TABLES)
    Path(out_dir, "wav.scp").unlink(missing_ok=True)
    known = None
    if token_list:
        known = characters_of_tokens(read_lines(token_list))
    elif train_dir:
        text = read_table(Path(train_dir, "text"))
        known = {symbol for line in text.values() for symbol in symbols_of(line)}
    ledger = DropLedger()
    for utt_id in data.utt_ids:
        num_samples = int(data.tables["utt2num_samples"][utt_id])
        if found := unfit(data.tables["text"][utt_id], num_samples, role, limits):
            ledger.add(utt_id, data.lang(utt_id), *found)
    unseen = {} if known is None else _unseen(data, known, ledger.utt_ids)
    if role == "train" and token_list:
        for utt_id, symbols in unseen.items():
            detail = " ".join(f"{symbol} {code_points(symbol)}" for symbol in symbols)
            ledger.add(utt_id, data.lang(utt_id), "characters outside the token list", detail)
    _write_unseen(Path(out_dir, "unseen_characters.tsv"), data, unseen)
    remedy = _case_remedy(data, unseen, token_list) or REMEDY
    ledger.conclude(data.totals(), Path(out_dir, "dropped.tsv"), out_dir, max_drop, remedy)
    for name in MARKS:
        value = "".join(f"{line}\n" for line in read_lines(Path(in_dir, name)))
        write_text(Path(out_dir, name), value)
    data.write(out_dir, set(data.utt_ids) - ledger.utt_ids)


def unfit(text: str, num_samples: int, role: str, limits: FilterLimits) -> tuple[str, str] | None:
    """(reason, detail) for an utterance that must go, None for one that stays."""
    if num_samples <= 0:
        return "zero-length audio", ""
    if role == "test":
        return None
    duration = num_samples / limits.fs
    if duration < limits.min_duration:
        return "audio too short", f"{duration:.3f} s < {limits.min_duration:g} s"
    if duration > limits.max_duration:
        return "audio too long", f"{duration:.2f} s > {limits.max_duration:g} s"
    words = split_tag(text)[1].strip()
    if not words:
        return "empty text", ""
    if len(words) < limits.min_num_chars:
        return "text too short", words
    return None


def symbols_of(text: str) -> list[str]:
    """Characters of a transcript, spaces aside, and its language tag as one symbol."""
    lang, words = split_tag(text)
    return ([f"[{lang}]"] if lang else []) + [char for char in words if not char.isspace()]


def code_points(symbol: str) -> str:
    """``U+0439``; for a symbol of several characters their code points joined by ``+``."""
    return "+".join(f"U+{ord(char):04X}" for char in symbol) if len(symbol) < 4 else "tag"


def _case_remedy(data: UttTables, unseen: Mapping[str, list[str]], token_list: str | None) -> str:
    """What to do where a given list lacks letters for their case alone."""
    if not token_list:
        return ""
    spelled = (symbols_of(data.tables["text"][utt_id]) for utt_id in unseen)
    lacking = {symbol for symbols in unseen.values() for symbol in symbols}
    counts = Counter(char for text in spelled for char in text if char in lacking)
    return case_remedy(read_lines(token_list), counts)


def _unseen(data: UttTables, known: set[str], dropped: set[str]) -> dict[str, list[str]]:
    """Utterances with symbols outside ``known``: utt_id -> those symbols, each once."""
    unseen = {}
    for utt_id in data.utt_ids:
        new = [s for s in symbols_of(data.tables["text"][utt_id]) if s not in known]
        if new and utt_id not in dropped:
            unseen[utt_id] = list(dict.fromkeys(new))
    return unseen


def _write_unseen(path: Path, data: UttTables, unseen: Mapping[str, list[str]]) -> None:
    """List unseen characters by language and count, and say how many there are."""
    counts: Counter[tuple[str, str]] = Counter()
    utts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for utt_id, symbols in unseen.items():
        spelled = Counter(symbols_of(data.tables["text"][utt_id]))
        for symbol in symbols:
            counts[data.lang(utt_id), symbol] += spelled[symbol]
            utts[data.lang(utt_id), symbol].append(utt_id)
    per_lang: Counter[str] = Counter()
    with atomic_write(path) as stream:
        stream.write(UNSEEN_HEADER + "\n")
        for (lang, symbol), count in sorted(counts.items(), key=lambda i: (i[0][0], -i[1], i[0])):
            name = unicodedata.name(symbol, "no name") if len(symbol) == 1 else "language tag"
            where = utts[lang, symbol]
            fields = [lang, symbol, code_points(symbol), name, count, len(where), where[0]]
            stream.write("\t".join(map(str, fields)) + "\n")
            per_lang[lang] += count
    told = "%s: %d unseen characters in %s, listed in %s"
    for lang, count in sorted(per_lang.items()):
        logging.warning(told, data.path, count, lang, path)
