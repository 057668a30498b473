"""CER and loss of each group over a validation, for choosing a model by its worst group.

The same definition of an error as stage 13 (``scoring.error_rates``): Unicode code points, single
spaces between words included, language tags off; an unknown symbol is one wrong character.  The
text is the one the model was trained on, so no normaliser is applied again.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from asr_dro_plugin.decoding.greedy import greedy, tokens_to_text
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.scoring.error_rates import UNKNOWN, compare
from asr_dro_plugin.text.normalizers import none as as_it_is
from asr_dro_plugin.text.tokens import TOKEN_TYPES

UNKNOWN_IN_REFERENCE = "\ue001"  # one character, and no hypothesis holds it


class GroupScores:
    """Sums over the utterances of each of G groups, on the host, float64.

    ``sums`` (9, G) is all there is: several processes add theirs up.  Beside it ``ended_early``
    names the hypotheses of this process that were, for the log.
    """

    def __init__(self, num_groups: int) -> None:
        self.sums = np.zeros((9, num_groups))
        self.ended_early: set[str] = set()

    def reset(self) -> None:
        """Begin a new validation."""
        self.sums[:] = 0.0
        self.ended_early.clear()

    def add(
        self,
        group_ids: torch.Tensor,
        losses: torch.Tensor,
        errors: Iterable[float],
        ref_chars: Iterable[float],
        infeasible: torch.Tensor | None = None,
        ended_early: Sequence[bool] = (),
    ) -> None:
        """Add a batch of B utterances.

        Args:
            group_ids: (B,).
            losses: (B,) nats; an infeasible one is left out of the group's mean, another
                non-finite one makes it infinite.
            errors, ref_chars: wrong characters and the reference's, B each; NaN errors (the model
                gave NaN) count as infinitely many.
            infeasible: (B,) bool, utterances that CTC cannot align.
            ended_early: B, whether the hypothesis was (``decoding.runaway``); empty: none was.
        """
        ids = group_ids.detach().cpu().numpy()
        loss = losses.detach().cpu().double().numpy()
        left_out = np.zeros(len(ids), bool) if infeasible is None else infeasible.cpu().numpy()
        wrong = np.asarray(list(errors), dtype=np.float64)
        columns = (
            np.ones(len(ids)),
            np.where(np.isnan(wrong), np.inf, wrong),
            np.asarray(list(ref_chars), dtype=np.float64),
            ~left_out,
            np.where(left_out, 0.0, np.where(np.isfinite(loss), loss, np.inf)),
            left_out,
            np.asarray(ended_early or [False] * len(ids), dtype=np.float64),
        )
        for row, column in zip(self.sums[: len(columns)], columns, strict=True):
            np.add.at(row, ids, column)

    def add_auxiliary(
        self, group_ids: torch.Tensor, errors: Iterable[float], ref_units: Iterable[float]
    ) -> None:
        """Add wrong units of auxiliary targets (NaN counts as infinitely many) and all of them."""
        ids, wrong = group_ids.detach().cpu().numpy(), np.asarray(list(errors), dtype=np.float64)
        np.add.at(self.sums[7], ids, np.where(np.isnan(wrong), np.inf, wrong))
        np.add.at(self.sums[8], ids, np.asarray(list(ref_units), dtype=np.float64))

    @property
    def num_utts_G(self) -> np.ndarray:
        """Utterances (G,) seen since the last reset."""
        return self.sums[0]

    @property
    def num_ended_early(self) -> int:
        """Hypotheses that were ended early."""
        return int(self.sums[6].sum())

    @property
    def cer_G(self) -> np.ndarray:
        """Errors per reference character (G,), above 1 where many were inserted.

        NaN for a group without utterances; of references without a character 0 when nothing was
        recognised, else 1 (as ``scoring.edit_distance``).
        """
        errors, chars = self.sums[1], self.sums[2]
        rates = np.where(chars > 0, errors / np.maximum(chars, 1), np.minimum(errors, 1))
        return np.where(self.num_utts_G > 0, rates, np.nan)

    @property
    def loss_G(self) -> np.ndarray:
        """Mean loss of an utterance (G,) in nats; NaN for a group without any."""
        num, total = self.sums[3], self.sums[4]
        return np.where(num > 0, total / np.maximum(num, 1), np.nan)

    def stats(self, names: Sequence[str]) -> dict[str, float]:
        """Figures for a reporter; groups without an utterance have none.

        ``worst_group_cer``, ``macro_cer`` (plain mean over groups), ``worst_group_loss``,
        ``cer_<name>`` and ``loss_<name>``; of auxiliary targets ``ter_aux`` and ``ter_aux_<name>``.
        Without any utterance: nothing.
        """
        cer, loss = (
            {name: float(x) for name, x in zip(names, values, strict=True) if not np.isnan(x)}
            for values in (self.cer_G, self.loss_G)
        )
        found = {}
        if cer:
            found |= {"worst_group_cer": max(cer.values())}
            found |= {"macro_cer": sum(cer.values()) / len(cer)}
        if loss:
            found |= {"worst_group_loss": max(loss.values())}
        found |= {f"cer_{name}": value for name, value in cer.items()}
        found |= {f"loss_{name}": value for name, value in loss.items()}
        return found | self._auxiliary_stats(names)

    def _auxiliary_stats(self, names: Sequence[str]) -> dict[str, float]:
        """Wrong units of auxiliary targets per unit: of all, and of each group."""
        wrong, units = self.sums[7:]
        found = {"ter_aux": float(wrong.sum() / units.sum())} if units.any() else {}
        rates = {name: (w, n) for name, w, n in zip(names, wrong, units, strict=True) if n}
        return found | {f"ter_aux_{name}": float(w / n) for name, (w, n) in rates.items()}


def best_path_ids(
    logits: torch.Tensor, lengths: torch.Tensor, blank_id: int
) -> list[list[int] | None]:
    """Greedy hypotheses of (B, T, V) with frame counts (B,); None where a frame holds NaN.

    Logits do as well as log probabilities: their maximum is at the same place.
    """
    broken = logits.isnan().any(dim=-1)
    inside = torch.arange(logits.shape[1], device=logits.device) < lengths[:, None]
    tokens = [str(index) for index in range(logits.shape[2])]
    emission = Emission(logits.nan_to_num(), lengths, 1.0, blank_id, tokens)
    unusable = (broken & inside).any(dim=1).tolist()
    return [None if bad else ids for bad, ids in zip(unusable, greedy(emission), strict=True)]


def count_errors(
    refs: Sequence[Sequence[int]],
    hyps: Sequence[Sequence[int] | None],
    tokens: Sequence[str],
    token_type: str,
) -> tuple[list[float], list[int]]:
    """Wrong characters and reference characters of B pairs of token ids.

    NaN errors where there is no hypothesis to speak of (None).
    """
    spelled = token_type if token_type in TOKEN_TYPES else "word"
    errors, chars = [], []
    for ref_ids, hyp_ids in zip(refs, hyps, strict=True):
        ref = UNKNOWN.sub(UNKNOWN_IN_REFERENCE, tokens_to_text(ref_ids, tokens, spelled))
        hyp = tokens_to_text(hyp_ids or (), tokens, spelled)
        counts, _ = compare(ref, hyp, "", as_it_is)
        errors.append(float("nan") if hyp_ids is None else counts.errors)
        chars.append(counts.ref)
    return errors, chars
