"""What ``asr-dro tune-lm`` found for a decoding: ``EXP/<inference_tag>/decode.json``."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.errors import UserError

FILE = "decode.json"
WEIGHTS = {"lm_weight": "alpha", "word_score": "beta", "blank_penalty": "blank penalty"}


@dataclass(frozen=True)
class LanguageRow:
    """One language of a tuning; rates are 0..1, on the set that was tuned on.

    Args:
        num_utts, num_chars: what was decided to be of this language.
        joint, together: CER of what is of this language with the joint weights, and with those by
            language; None where no reference is of it.
        held_out: rate with weights chosen without the utterances they are measured on.
        weights: alpha, beta, blank penalty.
        reason: why they are the joint ones; empty where they are not.
    """

    lang: str
    num_utts: int
    num_chars: int
    joint: float | None
    together: float | None
    held_out: float
    weights: tuple[float, float, float]
    reason: str


@dataclass(frozen=True)
class Tuning:
    """Weights by language.

    ``metric`` (cer, wer) is what was made small; ``macro`` are the macro CERs with joint weights
    and with those by language.
    """

    set_name: str
    metric: str
    macro: tuple[float, float]
    joint_weights: tuple[float, float, float]
    rows: Sequence[LanguageRow]


def tuning_paths(exp: Path) -> Iterator[Path]:
    """The files there are, by inference tag."""
    yield from sorted(exp.glob(f"*/{FILE}"))


def read_tuning(path: str | os.PathLike) -> Tuning | None:
    """A tuning; None where it was not by language.

    Raises:
        UserError: the file is damaged.
    """
    try:
        found = json.loads(Path(path).read_text("utf-8"))
        by_language = found.get("by_language")
        if not by_language:
            return None
        joint, together = found["best"], by_language["trial"]
        rows = [_row(choice, joint["cer"], together["cer"]) for choice in by_language["choices"]]
        return Tuning(
            str(found["set"]), found["criterion"].rpartition("_")[2],
            (float(joint["macro_cer"]), float(together["macro_cer"])),
            tuple(float(joint[name]) for name in WEIGHTS), rows,
        )  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise UserError(f"{path} holds no trials that can be read. Tune again.") from None


def _row(choice: Mapping, joint: Mapping, together: Mapping) -> LanguageRow:
    lang = str(choice["lang"])
    alpha, beta, penalty = map(float, choice["point"])
    return LanguageRow(
        lang, int(choice["num_utts"]), int(choice["num_chars"]), joint.get(lang),
        together.get(lang), float(choice["held_out"]), (alpha, beta, penalty),
        str(choice["reason"]),
    )  # fmt: skip
