"""References that their language cannot have: letters of another script, rates nobody speaks at.

Such a text is not what was said, or not as the language is written; its errors are no fault of the
model.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from asr_dro_plugin.scoring.scores import ONE_GROUP, Utterances
from asr_dro_plugin.text.characters import is_foreign, script_of, scripts_of_language
from asr_dro_plugin.text.speaking_rate import possible_rates, speaking_rate

CODE = re.compile(r"[a-z]{3}")  # of a language
Marks = Sequence[bool]  # of the reference's characters: whether they stand in broken text


def broken_texts(
    utterances: Utterances,
    durations: Mapping[str, float],
    scripts: Mapping[str, str],
    trained: Mapping[str, Mapping[str, int]],
) -> list[tuple[str, Marks | None]]:
    """How each utterance's text breaks ('' where it does not), and at which characters."""
    texts: dict[str, list[str]] = defaultdict(list)
    rates: dict[str, list[float]] = defaultdict(list)
    rows = list(zip(utterances.utt_ids, utterances.refs, utterances.langs,
                    utterances.no_space.tolist(), strict=True))  # fmt: skip
    for utt_id, ref, lang, _ in rows:
        texts[lang].append(ref)
        if ref and utt_id in durations:
            rates[lang].append(speaking_rate(ref, durations[utt_id]))
    possible = {lang: possible_rates(found) for lang, found in rates.items()}
    foreign = {
        lang: _foreign(found, lang, scripts, trained.get(lang)) for lang, found in texts.items()
    }
    return [
        _rate_fault(ref, durations.get(utt_id), possible.get(lang))
        or _script_fault(ref, foreign[lang], is_spaceless)
        for utt_id, ref, lang, is_spaceless in rows
    ]


def _foreign(
    texts: Sequence[str],
    lang: str,
    scripts: Mapping[str, str],
    trained: Mapping[str, int] | None,
) -> frozenset[str]:
    """Letters in a language's references that are of another script than its own.

    Of a group that is no language nobody can tell.
    """
    if lang not in scripts and (lang == ONE_GROUP or not CODE.fullmatch(lang)):
        return frozenset()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    own = scripts_of_language(trained or counts, scripts.get(lang, ""))
    return frozenset(char for char in counts if is_foreign(char, own))


def _rate_fault(
    ref: str, seconds: float | None, possible: tuple[float, float] | None
) -> tuple[str, Marks] | None:
    if not ref or seconds is None or possible is None:
        return None
    rate = speaking_rate(ref, seconds)
    if possible[0] <= rate <= possible[1]:
        return None
    return f"{rate:.3g} characters/s", [True] * len(ref)


def _script_fault(
    ref: str, foreign: frozenset[str], is_spaceless: bool
) -> tuple[str, Marks | None]:
    found = sorted(foreign.intersection(ref), key=ref.index)
    if not found:
        return "", None
    marks = [char in foreign for char in ref]
    for word in () if is_spaceless else re.finditer(r" ?\S+", ref):
        if any(marks[word.start() : word.end()]):
            marks[word.start() : word.end()] = [True] * len(word[0])
    names = dict.fromkeys(script_of(char).capitalize() for char in found)
    return f"{' and '.join(names)} letters", marks
