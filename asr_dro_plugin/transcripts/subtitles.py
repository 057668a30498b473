"""Subtitles of a transcript: cues that can be read, as SubRip (.srt) and WebVTT (.vtt).

A cue ends at a pause, or before it would grow too long for two lines or too slow to follow.  The
limits are those of common subtitling guidelines (BBC: 37 to 42 characters a line, two lines, 7 s).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asr_dro_plugin.transcripts.transcript import Hypothesis, Unit

LINE_CHARS, LINES = 42, 2
MAX_CHARS = LINE_CHARS * LINES
MAX_SECONDS = 7.0
PAUSE = 0.7  # seconds without a word that end a cue
MIN_SECONDS = 1.0  # on the screen, where the next cue leaves the time


@dataclass(frozen=True)
class Cue:
    """A text on the screen: its lines, from ``start`` to ``end`` in milliseconds."""

    start: int
    end: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Piece:
    """A word, or a part of one that is longer than a cue."""

    unit: Unit
    space: bool  # whether a space stands before it


def srt(hypothesis: Hypothesis) -> str:
    """The whole ``.srt`` file; empty without words."""
    blocks = [
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n" + "\n".join(cue.lines)
        for number, cue in enumerate(cues(hypothesis), 1)
    ]
    return "".join(f"{block}\n\n" for block in blocks)


def vtt(hypothesis: Hypothesis) -> str:
    """The whole ``.vtt`` file; its header alone without words."""
    blocks = ["WEBVTT"]
    for cue in cues(hypothesis):
        lines = [line.replace("&", "&amp;").replace("<", "&lt;") for line in cue.lines]
        blocks.append("\n".join([f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}", *lines]))
    return "".join(f"{block}\n\n" for block in blocks)


def cues(hypothesis: Hypothesis) -> list[Cue]:
    """Cues in order, which never overlap."""
    groups = list(_groups(_pieces(hypothesis)))
    starts = [round(1000 * group[0].unit.start) for group in groups]
    made = []
    for group, start, after in zip(groups, starts, [*starts, None][1:], strict=True):
        end = max(round(1000 * group[-1].unit.end), start + round(1000 * MIN_SECONDS))
        end = end if after is None else max(min(end, after), start)
        made.append(Cue(start, end, _lines(group)))
    return made


def needs_characters(hypothesis: Hypothesis) -> bool:
    """Whether cues can only be made with ``chars``: a word is too long, as without spaces."""
    return any(map(_is_too_long, hypothesis.words))


def _is_too_long(word: Unit) -> bool:
    return len(word.text) > LINE_CHARS or word.end - word.start > MAX_SECONDS


def units_of_cues(hypothesis: Hypothesis) -> list[list[tuple[Unit, bool]]]:
    """The words (or characters) of each cue, and whether a space stands before them."""
    groups = _groups(_pieces(hypothesis))
    return [[(piece.unit, piece.space) for piece in group] for group in groups]


def _groups(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces cue by cue."""
    group: list[_Piece] = []
    for piece in pieces:
        if group and _ends_before(group, piece):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _ends_before(group: Sequence[_Piece], piece: _Piece) -> bool:
    return (
        piece.unit.start - group[-1].unit.end >= PAUSE
        or piece.unit.end - group[0].unit.start > MAX_SECONDS
        or len(_text([*group, piece])) > MAX_CHARS
        or len(_lines([*group, piece])) > LINES
    )


def _text(pieces: Sequence[_Piece]) -> str:
    return "".join(" " * piece.space + piece.unit.text for piece in pieces).strip()


def _lines(pieces: Sequence[_Piece]) -> tuple[str, ...]:
    """The text on one line, or on two of like lengths; more only where nothing else fits."""
    text = _text(pieces)
    if len(text) <= LINE_CHARS:
        return (text,)
    halves = [(_text(pieces[:cut]), _text(pieces[cut:])) for cut in range(1, len(pieces))]
    best = min(halves, key=lambda two: max(map(len, two)), default=None)
    if best and max(map(len, best)) <= LINE_CHARS:
        return best
    filled: list[list[_Piece]] = []
    for piece in pieces:
        if filled and len(_text([*filled[-1], piece])) <= LINE_CHARS:
            filled[-1].append(piece)
        else:
            filled.append([piece])
    return tuple(_text(line) for line in filled)


def _pieces(hypothesis: Hypothesis) -> list[_Piece]:
    """The words; one too long for a line or a cue (a script without spaces) as its characters."""
    left = list(hypothesis.chars)
    pieces: list[_Piece] = []
    for word in hypothesis.words:
        chars = _characters_of(word, left)
        left = left[len(chars) :]
        units = chars if _is_too_long(word) and chars else [word]
        pieces += [_Piece(unit, space=number == 0) for number, unit in enumerate(units)]
    return pieces


def _characters_of(word: Unit, chars: Sequence[Unit]) -> Sequence[Unit]:
    """The first of ``chars``, as many as spell the word; none if they spell something else."""
    spelled = ""
    for number, char in enumerate(chars, 1):
        spelled += char.text
        if len(spelled) >= len(word.text):
            return chars[:number] if spelled == word.text else ()
    return ()


def _time(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{rest:03d}"
