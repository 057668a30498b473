"""Whether a list of tokens is in capitals or in small letters, and a text in the other case."""

from collections.abc import Iterable, Mapping, Sequence

from asr_dro_plugin.text.steps import lower, upper


def casing_of(tokens: Iterable[str]) -> str:
    """``upper`` or ``lower`` where a list of tokens has one case, ``mixed`` for both, ``none``.

    Special symbols (``<unk>``, ``[PAD]``) and language tags do not count.  Letters without the
    other case among many of one (``ß`` in capitals) do not make a list mixed.
    """
    letters = {char for token in tokens if not is_special(token) for char in token}
    upper = {char for char in letters if char.lower() != char and char.upper() == char}
    lower = {char for char in letters if char.upper() != char and char.lower() == char}
    if not upper | lower:
        return "none"
    if lower & {char.lower() for char in upper}:
        return "mixed"
    return "upper" if len(upper) > len(lower) else "lower"


def case_remedy(tokens: Sequence[str], unknown: Mapping[str, int]) -> str:
    """What to do where a text and a list of tokens are of different case; else an empty string.

    Args:
        tokens: the list.
        unknown: characters of the text that no token spells, with their counts.
    """
    case = casing_of(tokens)
    if case not in ("upper", "lower"):
        return ""
    known = {char for token in tokens if not is_special(token) for char in token}
    cased = lower if case == "lower" else upper
    mended = sum(n for char, n in unknown.items() if set(cased(char)) <= known)
    if not mended or 2 * mended < sum(unknown.values()):
        return ""
    return (
        f"The list is in {case} case and the text is not: run stage 1 with --text_norm "
        f"{case}_no_punct, or with a YAML that has case: {case}."
    )


def is_special(token: str) -> bool:
    """Whether a token is a symbol and no text: ``<unk>``, ``<|en|>``, ``[PAD]``, ``[eng]``."""
    return len(token) > 2 and (token[0] + token[-1]) in ("<>", "[]")
