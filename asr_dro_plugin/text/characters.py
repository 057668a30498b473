"""What a text is written in: its characters counted, the stray ones told, and a list of tokens.

A stray character is one that no word of the language is written with: a punctuation mark, a digit,
a symbol, or a letter of another script.  One ``?`` that escaped the clean-up of a text becomes a
token of the model; here every such character is listed with its count and its first utterance.
"""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.text.languages import read_languages
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.text.steps import JOINERS, is_invisible, is_mark

HEADER = "character\tcode_point\tname\tcount\tlanguages\tfirst_utt\tverdict"
KEPT, STRAY, MARK, RARE, NOT_ALLOWED = "kept", "stray letter", "mark", "rare", "not allowed"
LEFT_OUT = (RARE, NOT_ALLOWED)  # verdicts of characters that get no token
# ISO 15924 -> the first words of its letters' names in Unicode.
SCRIPTS = {
    "Latn": ("LATIN",), "Cyrl": ("CYRILLIC",), "Grek": ("GREEK",), "Arab": ("ARABIC",),
    "Hebr": ("HEBREW",), "Deva": ("DEVANAGARI",), "Beng": ("BENGALI",), "Thai": ("THAI",),
    "Thaa": ("THAANA",), "Telu": ("TELUGU",), "Taml": ("TAMIL",), "Sinh": ("SINHALA",),
    "Orya": ("ORIYA",), "Mymr": ("MYANMAR",), "Mlym": ("MALAYALAM",), "Laoo": ("LAO",),
    "Knda": ("KANNADA",), "Khmr": ("KHMER",), "Guru": ("GURMUKHI",), "Gujr": ("GUJARATI",),
    "Geor": ("GEORGIAN",), "Ethi": ("ETHIOPIC",), "Armn": ("ARMENIAN",), "Hans": ("CJK",),
    "Hant": ("CJK", "BOPOMOFO"), "Kore": ("HANGUL", "CJK"), "Tibt": ("TIBETAN",),
    "Jpan": ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "CJK", "IDEOGRAPHIC"),
}  # fmt: skip
# Letters that any script may have.
SHARED = ("MODIFIER", "COMBINING")
OWN_SHARE = 0.2  # of a language's letters, above which a script is one of the language's
MIXED_SHARE = 0.02  # the same, of texts whose languages nobody told: they may be many


@dataclass
class Characters:
    """Characters of texts, counted line by line: memory is that of the distinct ones.

    Attributes:
        counts: language -> character -> how often; '' where the language is not known.
        first: character -> the first of its utterances by name, in whatever order they come.
        num_utts: how many texts.
    """

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    first: dict[str, str] = field(default_factory=dict)
    num_utts: int = 0

    def add(self, text: str, lang: str, utt_id: str) -> None:
        """Count one text without its language tag."""
        self.num_utts += 1
        found = Counter(text)
        self.counts[lang].update(found)
        first = self.first
        for char in found:
            if char not in first or utt_id < first[char]:
                first[char] = utt_id

    @property
    def total(self) -> Counter[str]:
        """How often each character occurs in all languages."""
        return sum(self.counts.values(), Counter())


def characters_of(
    texts: Mapping[str, str], languages: Mapping[str, str] | None = None
) -> Characters:
    """The characters of a table of texts; languages are the tags', else those of ``languages``."""
    found = Characters()
    for utt_id, text in texts.items():
        tag, words = split_tag(text)
        found.add(words, tag or (languages or {}).get(utt_id, ""), utt_id)
    return found


@dataclass(frozen=True)
class CharacterRow:
    """One row of ``characters.tsv``.

    ``foreign`` are the languages, with counts, in whose text the letter is of another script though
    elsewhere it is at home, as a Cyrillic а that an English word is written with.
    """

    char: str
    count: int
    languages: tuple[str, ...]
    first_utt: str
    verdict: str
    foreign: tuple[tuple[str, int], ...] = ()

    @property
    def told(self) -> str:
        """``'?' U+003F QUESTION MARK``."""
        return f"'{self.char}' {code_point(self.char)} {name_of(self.char)}"


def judge(
    characters: Characters,
    scripts: Mapping[str, str] | None = None,
    allow: Collection[str] | None = None,
    min_count: int = 1,
) -> list[CharacterRow]:
    """A row for each character, by falling count and then by code point.

    Args:
        characters: what was counted.
        scripts: language -> ISO 15924 code; of others the text itself tells which are theirs.
        allow: the only characters that may become tokens; None: all, stray ones are told.
        min_count: characters that occur less often are left out.
    """
    own = {lang: _own_scripts(counts, (scripts or {}).get(lang, ""), bool(lang))
           for lang, counts in characters.counts.items()}  # fmt: skip
    total, rows = characters.total, []
    for char in sorted(total, key=lambda char: (-total[char], char)):
        langs = sorted(lang for lang, counts in characters.counts.items() if counts[char])
        verdict = _judged(char, [own[lang] for lang in langs], allow, total[char] < min_count)
        foreign = ()
        if verdict == KEPT and allow is None:
            odd = [lang for lang in langs if _verdict(char, [own[lang]]) == STRAY]
            foreign = tuple((lang, characters.counts[lang][char]) for lang in odd)
        first = characters.first[char]
        rows.append(CharacterRow(char, total[char], tuple(langs), first, verdict, foreign))
    return rows


def _judged(
    char: str,
    own: Sequence[frozenset[str]],
    allow: Collection[str] | None,
    is_rare: bool,
) -> str:
    """The verdict on a character; ``own`` are the scripts of each language that has it."""
    if char == " ":
        return KEPT
    if allow is not None and char not in allow:
        return NOT_ALLOWED
    if is_rare:
        return RARE
    return KEPT if allow is not None else _verdict(char, own)


def scripts_in(table: str | os.PathLike) -> dict[str, str]:
    """Language -> ISO 15924 code of its script; nothing where the table is not there."""
    if not os.path.exists(table):
        return {}
    return {iso: row.script for iso, row in read_languages(table).items()}


def script_of(char: str) -> str:
    """First word of a letter's name in Unicode: LATIN, CYRILLIC, CJK ..."""
    words = unicodedata.name(char, "").split(" ")
    return words[1] if words[0] in ("FULLWIDTH", "HALFWIDTH") and len(words) > 1 else words[0]


def _own_scripts(counts: Mapping[str, int], code: str, is_one_language: bool) -> frozenset[str]:
    """Scripts of a language: by its code, else those that a good part of its letters is in."""
    if code in SCRIPTS:
        return frozenset(SCRIPTS[code])
    return _frequent_scripts(counts, is_one_language)


def scripts_of_language(counts: Mapping[str, int], code: str = "") -> frozenset[str]:
    """Scripts that a language may be written in: its code's, and those of a good part of its text.

    So Serbian has two where its text has both, and no letter of a text in one of them is foreign.

    Args:
        counts: character -> how often, of the language's text.
        code: ISO 15924; '' where it is not known.
    """
    return frozenset(SCRIPTS.get(code, ())) | _frequent_scripts(counts, is_one_language=True)


def is_foreign(char: str, scripts: frozenset[str]) -> bool:
    """Whether a character is a letter of none of these scripts; marks and digits are no letters."""
    return char.isalpha() and _verdict(char, [scripts]) == STRAY


def _frequent_scripts(counts: Mapping[str, int], is_one_language: bool) -> frozenset[str]:
    by_script: Counter[str] = Counter()
    for char, count in counts.items():
        if char.isalpha() and script_of(char) not in SHARED:
            by_script[script_of(char)] += count
    least = (OWN_SHARE if is_one_language else MIXED_SHARE) * sum(by_script.values())
    return frozenset(script for script, count in by_script.items() if count >= least)


def _verdict(char: str, own: Sequence[frozenset[str]]) -> str:
    category = unicodedata.category(char)
    if is_invisible(char) or category == "Me":
        return MARK
    if char in "'" + JOINERS or is_mark(char):
        return KEPT
    if category[0] != "L":
        return MARK
    script = script_of(char)
    return KEPT if script in SHARED or any(script in scripts for scripts in own) else STRAY


def code_point(char: str) -> str:
    """``U+0439``."""
    return f"U+{ord(char):04X}"


def name_of(char: str) -> str:
    """Unicode's name; controls have none but a number."""
    return unicodedata.name(char, "no name")


def write_characters(path: str | os.PathLike, rows: Iterable[CharacterRow]) -> None:
    """Write ``characters.tsv``: one line a character; a space is written out as ``<space>``."""
    with atomic_write(path) as stream:
        stream.write(HEADER + "\n")
        for row in rows:
            shown = {" ": "<space>", "\t": "<tab>"}.get(row.char, row.char)
            langs = " ".join(filter(None, row.languages))
            fields = (shown, code_point(row.char), name_of(row.char), str(row.count),
                      langs, row.first_utt, row.verdict)  # fmt: skip
            stream.write("\t".join(fields) + "\n")


def remarks(rows: Sequence[CharacterRow], where: str, examples: int = 5) -> list[str]:
    """A line for each verdict but ``kept``: how many characters, which, and where first."""
    lines = []
    for verdict, what in (
        (STRAY, "letters of another script"),
        (MARK, "characters that are no letters"),
        (RARE, "rare characters were left out"),
        (NOT_ALLOWED, "characters outside --allow were left out"),
    ):
        found = [row for row in rows if row.verdict == verdict]
        if found:
            some = "; ".join(
                f"{row.told}, {row.count} times, first in {row.first_utt}"
                for row in found[:examples]
            )
            more = f"; and {len(found) - examples} more" if len(found) > examples else ""
            lines.append(f"{where}: {len(found)} {what}: {some}{more}")
    odd = [(lang, count, row) for row in rows for lang, count in row.foreign]
    if odd:
        some = "; ".join(
            f"{row.told} {count} times in {lang}" for lang, count, row in odd[:examples]
        )
        more = f"; and {len(odd) - examples} more" if len(odd) > examples else ""
        lines.append(f"{where}: letters of another script than their language's: {some}{more}")
    return lines


def symbols_kept(rows: Iterable[CharacterRow]) -> list[str]:
    """The characters that become tokens, in the rows' order; white space is no character."""
    return [row.char for row in rows if row.verdict not in LEFT_OUT and not row.char.isspace()]
