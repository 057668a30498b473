"""What a candidate costs in characters: its texts against those of 32 bits, language by language.

Both answer the same references, so the paired test of ``scoring`` decides, with Holm's correction
for the number of languages.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.decoding.build import build_decoder
from asr_dro_plugin.decoding.greedy import speller
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.export.int8.data import FEWEST, References
from asr_dro_plugin.export.int8.sessions import log_probs_of, opened
from asr_dro_plugin.scoring import Score, score
from asr_dro_plugin.scoring.paired import compare_scores

SIGNIFICANT = "significant"
MOST_TOLERANCE = 100.0  # percent: everything passes


class Reader:
    """Log probabilities of one utterance in, its text out.

    Args:
        tokens: the V symbols; ``token_type``: as the manifest has it.
        blank_id: the blank's column.
        frame_shift: seconds.
        decode: a decoding configuration; greedy where it is empty, or wants a language model.
    """

    def __init__(
        self, tokens: list[str], token_type: str, blank_id: int, frame_shift: float,
        decode: Mapping | None = None,
    ) -> None:  # fmt: skip
        config = read_decode_config(decode or {})
        if config["mode"] not in ("greedy", "beam"):
            config = read_decode_config({})
        self.facts = frame_shift, blank_id, tokens
        self.decoder = build_decoder(config, tokens, token_type, blank_id)
        self.spell = speller(tokens, token_type)

    def __call__(self, log_probs: np.ndarray) -> str:
        """(T, V) -> the text."""
        emission = Emission(log_probs[None], np.array([len(log_probs)]), *self.facts)
        return self.spell(self.decoder(emission)[0][0].ids)


def texts_of(
    model: str | os.PathLike, references: References, read: Callable[[np.ndarray], str],
    bar: Progress,
) -> dict[str, str]:  # fmt: skip
    """What the model hears in each utterance, by id."""
    session, found = opened(model, os.cpu_count() or 1), {}
    for utt_id, samples in references.speech.items():
        found[utt_id] = read(log_probs_of(session, samples))
        bar.advance(note=Path(model).name)
    return found


def scored(texts: Mapping[str, str], references: References, text_norm: str) -> Score:
    """The texts against the references."""
    return score(
        references.texts, texts, references.languages, text_norm, no_space=references.no_space
    )


def compared(base: Score, other: Score, references: References) -> dict:
    """CER of both, the difference and its interval: of each language, and of all text pooled.

    ``{"languages": {iso: row}, "all": row}``; a row has ``cer`` and ``cer_fp32`` (0..1),
    ``difference``, ``ci`` (a pair, or None of too few utterances), ``p``, ``significant``,
    ``utterances``.
    """
    found = compare_scores(base, other, references.units)["cer"]
    rows = {name: _row(each, base.groups[name].num_utts) for name, each in found["groups"].items()}
    return {"languages": rows, "all": _row(found["micro"], base.total.num_utts)}


def _row(found: Mapping, num_utts: int) -> dict:
    both = found["rates"]
    return {
        "utterances": num_utts,
        "cer_fp32": both[0], "cer": both[1], "difference": found["difference"],
        "ci": found["ci"], "p": found.get("p_holm", found["p_value"]),
        "significant": found["significant"],
    }  # fmt: skip


@dataclass(frozen=True)
class LossGate:
    """What a candidate must not cost.

    Attributes:
        tolerance: percent of CER, absolute, that the upper end of each language's interval may
            reach; None: no language may be significantly worse, and one of fewer than ``FEWEST``
            utterances, where hardly anything is significant, not worse at all.
    """

    tolerance: float | None = None

    @classmethod
    def of(cls, word: str) -> "LossGate":
        """The gate of ``--int8_gate``: ``significant``, or a number of percent.

        Raises:
            UserError: something else.
        """
        if word == SIGNIFICANT:
            return cls()
        try:
            tolerance = float(word)
        except ValueError:
            tolerance = -1.0
        if not 0 <= tolerance <= MOST_TOLERANCE:
            raise UserError(
                f"--int8_gate {word} is neither '{SIGNIFICANT}' nor percent of CER, absolute, from "
                "0 to 100, such as 0.2."
            )
        return cls(tolerance)

    def __str__(self) -> str:
        if self.tolerance is None:
            return "no language significantly worse (paired test, Holm's correction, 5 %)"
        return f"no language's CER worse by more than {self.tolerance:g} % absolute (interval)"

    def fails(self, comparison: Mapping) -> list[str]:
        """The languages that are too much worse."""
        return [lang for lang, row in comparison["languages"].items() if self._is_worse(row)]

    def _is_worse(self, row: Mapping) -> bool:
        if self.tolerance is None:
            shown = row["significant"] or row["utterances"] < FEWEST
            return shown and row["difference"] > 0
        upper = row["ci"][1] if row["ci"] else row["difference"]
        return 100 * upper > self.tolerance + 1e-9
