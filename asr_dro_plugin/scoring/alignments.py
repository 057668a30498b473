"""Alignments to read, as NIST's sclite prints them.

::

    id: (u1)
    Group: eng
    Scores: (#C #S #D #I) 2 1 1 1
    REF:  the CAT *** sat DOWN
    HYP:  the HAT AND sat ****
    Eval:     S   I       D

Wrong words are in capitals where the script has them; ``***`` stands where nothing does.  Languages
written without spaces are aligned by character.
"""

import os
import unicodedata
from collections.abc import Iterator, Sequence

from rapidfuzz.distance import Levenshtein

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.scoring.scores import Utterances

Column = tuple[str, str, str]  # reference, hypothesis, and C, S, D or I
MARKS = {"equal": "C", "replace": "S", "delete": "D", "insert": "I"}


def write_alignments(path: str | os.PathLike, utterances: Utterances) -> None:
    """Write every utterance's alignment, in order of group and id."""
    rows = zip(
        utterances.utt_ids, utterances.groups(), utterances.refs, utterances.hyps,
        utterances.no_space.tolist(), strict=True,
    )  # fmt: skip
    with atomic_write(path) as stream:
        for utt_id, group, ref, hyp, is_spaceless in rows:
            units = (list(ref), list(hyp)) if is_spaceless else (ref.split(), hyp.split())
            stream.write(f"id: ({utt_id})\nGroup: {group}\n")
            stream.write("\n".join(alignment_lines(*units)) + "\n\n")


def alignment_lines(ref: Sequence[str], hyp: Sequence[str]) -> list[str]:
    """Scores, REF, HYP and Eval of one pair of lists of words."""
    columns = list(_columns(ref, hyp))
    kinds = [kind for _, _, kind in columns]
    counts = " ".join(str(kinds.count(kind)) for kind in "CSDI")
    cells = [_cell(*column) for column in columns]
    rows = zip(*cells, strict=True) if cells else ((), (), ())
    labels = ("REF: ", "HYP: ", "Eval:")
    lines = [" ".join([label, *row]).rstrip() for label, row in zip(labels, rows, strict=True)]
    return [f"Scores: (#C #S #D #I) {counts}", *lines]


def _columns(ref: Sequence[str], hyp: Sequence[str]) -> Iterator[Column]:
    for kind, i, i_end, j, j_end in Levenshtein.opcodes(ref, hyp).as_list():
        for step in range(max(i_end - i, j_end - j)):
            yield (
                "" if kind == "insert" else ref[i + step],
                "" if kind == "delete" else hyp[j + step],
                MARKS[kind],
            )


def _cell(ref: str, hyp: str, kind: str) -> Column:
    if kind != "C":
        ref, hyp = ref.upper(), hyp.upper()
    ref, hyp = ref or "*" * max(_width(hyp), 1), hyp or "*" * max(_width(ref), 1)
    width = max(_width(ref), _width(hyp))
    mark = "" if kind == "C" else kind
    return tuple(each + " " * (width - _width(each)) for each in (ref, hyp, mark))


def _width(text: str) -> int:
    """Columns on a terminal: combining marks take none, East Asian characters two."""
    return sum(
        0 if unicodedata.category(char) in ("Mn", "Me") else
        2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )  # fmt: skip
