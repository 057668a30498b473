"""Texts of many languages as units, in one process, language by language.

Whatever a tool does not read keeps its letters, and the log says what and how much.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.auxiliary import KINDS, PHONEMES, romanised
from asr_dro_plugin.text.auxiliary.espeak import espeak
from asr_dro_plugin.text.auxiliary.letters import letters_of
from asr_dro_plugin.text.auxiliary.phonemes import Phonemizer
from asr_dro_plugin.text.auxiliary.voices import read_voices
from asr_dro_plugin.text.normalizers import lower_no_punct, split_tag
from asr_dro_plugin.text.tokens import UNK

EXAMPLES = 5
Reader = Callable[[str], list[str]]


@dataclass
class Kept:
    """What kept its letters.

    Attributes:
        languages: language -> number of texts, of which the tool reads none.
        texts: language -> texts that the tool read as nothing.
        words: language -> words within texts that it does read, counted.
    """

    languages: Counter[str] = field(default_factory=Counter)
    texts: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    words: dict[str, Counter[str]] = field(default_factory=dict)

    def tell(self, tool: str, where: str) -> None:
        """A line for each kind, with the names of the languages."""
        if self.languages:
            names = ", ".join(f"{lang} ({n:,})" for lang, n in sorted(self.languages.items()))
            logging.warning("%s: %s does not read %s: letters stay.", where, tool, names)
        for lang, words in sorted(self.words.items()):
            if words:
                some = ", ".join(word for word, _ in words.most_common(EXAMPLES))
                told = "%s: %d words of %s are not in its voice's script: letters stay (%s)."
                logging.warning(told, where, words.total(), lang, some)
        for lang, utt_ids in sorted(self.texts.items()):
            told = "%s: %s reads %d texts of %s as nothing: letters stay (%s)."
            some = ", ".join(utt_ids[:EXAMPLES])
            logging.warning(told, where, tool, len(utt_ids), lang, some)


def tool_of(kind: str) -> str:
    """Name and version of the tool behind a kind, for logs and for the mark of the stage.

    Raises:
        UserError: no such kind, or the tool is not here.
    """
    if kind not in KINDS:
        raise UserError(f"--aux_text is {' or '.join(KINDS)}, not '{kind}'.")
    if kind == PHONEMES:
        return f"espeak-ng {espeak().version}"
    return f"uroman {romanised.version()}"


def convert(
    kind: str, texts: Mapping[str, str], languages: Mapping[str, str], where: str
) -> tuple[dict[str, list[str]], Kept]:
    """Units of every text.

    Args:
        kind: ``phonemes`` or ``romanised``.
        texts: utterance id -> text, with or without a language tag.
        languages: utterance id -> ISO 639-3 code.
        where: the set's name, for the progress.

    Returns:
        Utterance id -> units, in the order of ``texts``, ``<unk>`` alone for a text without a
        letter; and what kept its letters.
    """
    by_language: dict[str, list[str]] = defaultdict(list)
    for utt_id in texts:
        by_language[languages[utt_id]].append(utt_id)
    found, kept = {}, Kept()
    reader_of = _phonemizers(kept) if kind == PHONEMES else _romanisers()
    with Progress(len(texts), f"{kind} of {where}") as progress:
        for lang, utt_ids in sorted(by_language.items()):
            read = reader_of(lang)
            if read is None:
                kept.languages[lang] = len(utt_ids)
            for utt_id in utt_ids:
                plain = lower_no_punct(split_tag(texts[utt_id])[1], lang)
                found[utt_id], is_read = _units_of(plain, read)
                if read and not is_read:
                    kept.texts[lang].append(utt_id)
                progress.advance()
    return {utt_id: found[utt_id] for utt_id in texts}, kept


def _units_of(plain: str, read: Reader | None) -> tuple[list[str], bool]:
    """Units of a text, and whether they are what was asked for."""
    if read and (units := read(plain)):
        return units, True
    letters = letters_of(plain)
    return letters or [UNK], not letters


def _phonemizers(kept: Kept) -> Callable[[str], Reader | None]:
    engine, voices = espeak(), read_voices()

    def reader_of(lang: str) -> Reader | None:
        voice = voices.get(lang)
        if voice is None or not engine.use(voice.name, voice.dictionary):
            return None
        reader = Phonemizer(engine, voice)
        kept.words[lang] = reader.foreign
        return reader

    return reader_of


def _romanisers() -> Callable[[str], Reader]:
    romanise = romanised.Romaniser()
    return lambda lang: lambda text: romanise(text, lang)
