"""Which recordings are plain speech, and which sentences may stand in which set."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.data.debian.spoken import (
    Spoken,
    has_markup,
    mixes_scripts,
    reason_to_leave_out,
    seconds_of,
    wrong_length,
)
from asr_dro_plugin.data.drop_ledger import DropLedger
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import lower_no_punct


def select(
    spoken: Iterable[Spoken],
    left_out: DropLedger,
    durations: dict[Path, float],
) -> Iterator[Spoken]:
    """Leave out what is no plain speech, each with its reason, and measure the others.

    A foreign word in its own letters stays: many pictures are letters or brands.

    Args:
        left_out: takes what is left out.
        durations: takes recording -> seconds; of a damaged one nothing.
    """
    seen: set[str] = set()
    for line in spoken:
        seconds = None if line.fault else seconds_of(line.audio)
        reason = line.fault or _reason(line, seconds)
        if not reason and line.ids[1] in seen:
            reason = "its id is another's too"
        if reason:
            left_out.add(line.ids[1], line.lang, reason, line.text or str(line.audio))
            continue
        seen.add(line.ids[1])
        if seconds:
            durations[line.audio] = seconds
        yield line


def _reason(line: Spoken, seconds: float | None) -> str:
    text = lower_no_punct(line.text, line.lang)
    return (
        wrong_length(seconds)
        or reason_to_leave_out(line.text, text, None)
        or ("has markup" if has_markup(line.text) else "")
        or ("mixes scripts in a word" if mixes_scripts(text) else "")
        or reason_to_leave_out(line.text, text, seconds)
    )


def without_shared_texts(
    sets: Mapping[str, Sequence[Spoken]], left_out: DropLedger
) -> dict[str, list[Spoken]]:
    """Train, dev and test without sentences of one in another; train keeps them, then test.

    Sentences are compared within a language, as ``lower_no_punct`` has them.
    """
    kept: dict[str, list[Spoken]] = {name: [] for name in sets}
    taken: dict[tuple[str, str], str] = {}
    for name in ("train", "test", "dev"):
        for line in sets[name]:
            owner = taken.setdefault((line.lang, lower_no_punct(line.text, line.lang)), name)
            if owner == name:
                kept[name].append(line)
            else:
                left_out.add(line.ids[1], line.lang, f"{name}: its text is in {owner}", line.text)
    return kept


def refuse_silent_languages(spoken: Iterable[Spoken], langs: Iterable[str], root: Path) -> None:
    """Raise if there is no recording at all of a language that was asked for."""
    lacking = sorted(set(langs) - {line.lang for line in spoken})
    if lacking:
        raise UserError(
            f"{root} has no speech of {' '.join(lacking)} that can be used. Add the packages of "
            "local/debian_packages.tsv, omit --data_source, or choose other --langs."
        )
