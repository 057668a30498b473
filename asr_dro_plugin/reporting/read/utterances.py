"""``utts.tsv`` of a decoding: the errors of each utterance, with both texts as compared."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.scores import COLUMNS

SHORT = 10  # characters; below this a single slip makes a high rate
EACH_LANGUAGE = 3  # utterances among the worst that any language may have, however many there are
KINDS = {"equal": "equal", "replace": "sub", "delete": "del", "insert": "ins"}
# (kind, of the reference, of the hypothesis): "equal", "sub", "del" or "ins" and the two pieces.
AlignedPiece = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class ScoredUtterance:
    """One row: character errors by kind, what they are counted on, and the texts."""

    utt_id: str
    group: str
    unit: str
    errors: int
    ref_chars: int
    lid: str
    ref: str
    hyp: str

    @property
    def rate(self) -> float:
        """Character errors per reference character; of an empty reference 1 if there are any."""
        return self.errors / self.ref_chars if self.ref_chars else float(self.errors > 0)


def read_utterances(path: str | os.PathLike) -> list[ScoredUtterance] | None:
    """The rows in file order; None where there is no such file.

    Raises:
        UserError: another header, or a row of another width or without numbers.
    """
    path = Path(path)
    if not path.exists():
        return None
    lines = read_lines(path)
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        raise UserError(f"{path} does not begin with the columns of a score. Score the set again.")
    return [_row(path, number, line) for number, line in enumerate(lines[1:], 2)]


def _row(path: Path, number: int, line: str) -> ScoredUtterance:
    cells = line.split("\t")
    try:
        row = dict(zip(COLUMNS, cells, strict=True))
        return ScoredUtterance(
            row["utt_id"], row["group"], row["unit"], int(row["cer_errors"]), int(row["cer_ref"]),
            row["lid"], row["ref"], row["hyp"],
        )  # fmt: skip
    except ValueError:
        raise UserError(
            f"{path}:{number} is no row of {len(COLUMNS)} cells with their counts. "
            "Score the set again."
        ) from None


def worst_utterances(utterances: Sequence[ScoredUtterance], most: int) -> list[ScoredUtterance]:
    """The ``most`` utterances of highest character error, of no language more than its share.

    Very short references come last: there one slip is a high rate.
    """
    ranked = sorted(
        (utterance for utterance in utterances if utterance.errors),
        key=lambda u: (u.ref_chars < SHORT, -u.rate, -u.errors, u.utt_id),
    )
    languages = {utterance.group for utterance in ranked}
    share = max(EACH_LANGUAGE, -(-most // max(len(languages), 1)))
    kept: list[ScoredUtterance] = []
    taken: dict[str, int] = {}
    for utterance in ranked:
        taken[utterance.group] = taken.get(utterance.group, 0) + 1
        if taken[utterance.group] <= share:
            kept.append(utterance)
    return kept[:most]


def aligned_pieces(ref: str, hyp: str) -> list[AlignedPiece]:
    """Runs of equal, substituted, deleted and inserted characters that make up both texts.

    Ties are broken as in scoring, by rapidfuzz.
    """
    return [
        (KINDS[code.tag], ref[code.src_start : code.src_end], hyp[code.dest_start : code.dest_end])
        for code in Levenshtein.opcodes(ref, hyp)
    ]
