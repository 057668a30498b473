"""Texts that are tokens and no words, and sclite's notation: read by their rule, or refused.

pieces       ``▁hel lo ▁world``           sentencepiece: U+2581 begins a word
bpe          ``hel@@ lo world``           subword-nmt: ``@@`` ends what goes on
word pieces  ``hel ##lo world``           BERT: ``##`` goes on
characters   ``h e l l o <space> w``      ESPnet: words are parted by ``<space>``
letters      ``h e l l o | w |``          wav2letter and fairseq: by ``|``

One text that shows a rule decides for the file.  A language tag at the beginning stays.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.alternatives import ALTERNATIVES, OPTIONAL, refuse_nested
from asr_dro_plugin.text.normalizers import add_tag, split_tag
from asr_dro_plugin.text.tokens import SPACE, WORD_START

COMMENT = ";;"  # begins a line of sclite's that is none
LEAST_LETTERS = 10  # words of one letter, before a file is one of letters
Words = list[str]


def _joined_at(mark: str) -> Callable[[Words], str]:
    return lambda words: "".join(words).replace(mark, " ")


def _without_ends(words: Words) -> str:
    return re.sub(r"@@( |$)", "", " ".join(words))


def _without_starts(words: Words) -> str:
    return " ".join(words).replace(" ##", "")


def _are_letters(words: Words) -> bool:
    return all(len(word) == 1 for word in words)


# name -> whether a text shows it, and its words from its tokens
RULES: dict[str, tuple[Callable[[Words], bool], Callable[[Words], str]]] = {
    "sentencepiece's pieces (▁)": (
        lambda words: any(WORD_START in word for word in words),
        _joined_at(WORD_START),
    ),
    "pieces of BPE (@@)": (
        lambda words: any(word.endswith("@@") and len(word) > 2 for word in words[:-1]),
        _without_ends,
    ),
    "word pieces (##)": (
        lambda words: any(word.startswith("##") and len(word) > 2 for word in words[1:]),
        _without_starts,
    ),
    "characters (<space>)": (lambda words: SPACE in words, _joined_at(SPACE)),
    "letters (|)": (
        lambda words: "|" in words and len(words) > 2 and _are_letters(words),
        _joined_at("|"),
    ),
}


def words_of(texts: Mapping[str, str], where: str, may_choose: bool = False) -> dict[str, str]:
    """The texts as words: tokens joined by the rule that the file follows, if by any.

    Args:
        texts: utterance id -> text.
        where: the file or folder, for messages.
        may_choose: whether sclite's alternatives may stay, for ``alternatives.chosen``.

    Raises:
        UserError: alternatives that nobody chooses from, or such within others.
    """
    (refuse_nested if may_choose else _refuse_alternatives)(texts, where)
    parted = {utt_id: split_tag(text) for utt_id, text in texts.items()}
    split = {utt_id: words.split() for utt_id, (_, words) in parted.items()}
    for name, (shows, join) in RULES.items():
        if any(map(shows, split.values())):
            logging.warning("%s holds %s, which are joined to words.", where, name)
            joined = {utt_id: " ".join(join(words).split()) for utt_id, words in split.items()}
            return {u: add_tag(parted[u][0], t) if parted[u][0] else t for u, t in joined.items()}
    return dict(texts)


def _refuse_alternatives(texts: Mapping[str, str], where: str) -> None:
    for utt_id, text in texts.items():
        if found := ALTERNATIVES.search(text):
            raise UserError(
                f"{where}: '{utt_id}' has sclite's alternatives '{found[0]}', which only a "
                "reference may have. Leave one of them in the text."
            )


def refuse_optional(text: str, where: str) -> None:
    """Raise for an optional word of sclite's, ``(uh)``, in a hypothesis of its trn form."""
    if found := OPTIONAL.search(text):
        raise UserError(
            f"{where} has sclite's optional word '({found[1]})', which only a reference may have. "
            f"Write '{found[1]}', or leave it out."
        )


def refuse_letters(
    texts: Mapping[str, str], others: Mapping[str, str], where: str, spaced: Iterable[str]
) -> None:
    """Raise where texts are letters with spaces between them, and those they are held to words.

    Args:
        texts: utterance id -> text.
        others: of the other side.
        where: the file of ``texts``.
        spaced: utterances in languages that are written with spaces.
    """
    both = [utt_id for utt_id in spaced if utt_id in texts and utt_id in others]
    words = _cased_words(texts[utt_id] for utt_id in both)
    other = _cased_words(others[utt_id] for utt_id in both)
    if len(words) < LEAST_LETTERS or not _are_letters(words) or not other:
        return
    if 2 * sum(len(word) > 1 for word in other) >= len(other):
        raise UserError(
            f"{where} has single letters with spaces between them, and nothing that parts words. "
            f"Write {SPACE} between words, or give the words."
        )


def _cased_words(texts: Iterable[str]) -> Sequence[str]:
    """Words of letters with two cases: other scripts may be written without spaces."""
    words = (word for text in texts for word in split_tag(text)[1].split())
    return [word for word in words if word.lower() != word.upper()]
