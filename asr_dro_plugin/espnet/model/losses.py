"""The loss of each utterance, where ESPnet keeps only the batch's mean.

Nothing here looks at a value on the host, so that a step stalls no accelerator, with one exception
that only ``ctc_conf.zero_infinity: false`` reaches (see ``refuse_infeasible``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from espnet2.asr.ctc import CTC
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.legacy.nets.pytorch_backend.transformer.label_smoothing_loss import LabelSmoothingLoss

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.model.ctc_scorer import has_ctc

PER_UTTERANCE = ("losses_B", "group_ids_B", "durations_B", "num_frames_B", "num_labels_B")


@dataclass
class UtteranceLosses:
    """What an objective needs of a batch of B utterances, and what validation needs beside it.

    ``add`` the parts of the loss, then ``finish``.

    Attributes:
        group_ids_B: group of each utterance.
        durations_B: seconds of audio, float32.
        num_frames_B, num_labels_B: encoder frames and labels.
        encoder_out, encoder_out_lens: (B, T, D), (B,).
        losses_B: what is optimised, in nats, float32; +inf where ``bad_B``, with no gradient.
        loss_ctc_B, loss_att_B: its parts, detached; None where the model has no such part.
        aux_errors: wrong and right units of each utterance's auxiliary targets, in evaluation.
        infeasible_B: no alignment exists: fewer frames than labels and repeats.
        bad_B: infeasible, or the loss is not finite.
        decoder_ids: (B, U + 1) likeliest labels given the right ones before them, or None.
        stats: ESPnet's further stats of this batch.
    """

    group_ids_B: torch.Tensor
    durations_B: torch.Tensor
    num_frames_B: torch.Tensor
    num_labels_B: torch.Tensor
    encoder_out: torch.Tensor
    encoder_out_lens: torch.Tensor
    losses_B: torch.Tensor | None = None
    loss_ctc_B: torch.Tensor | None = None
    loss_att_B: torch.Tensor | None = None
    aux_errors: tuple[list[float], list[int]] | None = None
    infeasible_B: torch.Tensor | None = None
    bad_B: torch.Tensor | None = None
    decoder_ids: torch.Tensor | None = None
    stats: dict[str, torch.Tensor | float | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.losses_B is None:
            self.losses_B = torch.zeros_like(self.durations_B)
            self.infeasible_B = self.bad_B = torch.zeros_like(self.durations_B, dtype=torch.bool)

    def add(self, losses_B: torch.Tensor, weight: float, of_gradient: float | None = None) -> None:
        """Add a part of the loss; 0 + 1.0 * x is x to the last bit.

        With ``of_gradient`` the part has this weight where parameters learn from it, and ``weight``
        in the value, by which the objective weighs groups.
        """
        part = weight * losses_B
        if of_gradient is not None and of_gradient != weight:
            part = part.detach() + of_gradient * (losses_B - losses_B.detach())
        self.losses_B = self.losses_B + part

    def finish(self) -> "UtteranceLosses":
        """Cut the bad utterances off from the gradient."""
        self.bad_B = self.infeasible_B | ~self.losses_B.detach().isfinite()
        self.losses_B = self.losses_B.masked_fill(self.bad_B, float("inf"))
        return self

    def by_utterance(self) -> dict[str, torch.Tensor]:
        """What an objective is given, by its own names."""
        return {name: getattr(self, name) for name in PER_UTTERANCE}

    def mean(self, values_B: torch.Tensor) -> torch.Tensor:
        """Sum over the good utterances / B, as ESPnet's CTC averages under ``zero_infinity``."""
        return values_B.masked_fill(self.bad_B, 0.0).sum() / values_B.shape[0]


def refuse_without_losses(model: ESPnetASRModel, objective: str) -> None:
    """Refuse a stack that has a loss of the batch alone.

    Raises:
        UserError: a transducer, a classifier, or another CTC than torch's.
    """
    if model.use_transducer_decoder or model.use_linear_decoder:
        raise UserError(
            f"objective {objective} needs the loss of each utterance, which a transducer or linear "
            "decoder does not give. Use CTC or an attention decoder, or objective: none."
        )
    if has_ctc(model) and model.ctc.ctc_type != "builtin":
        raise UserError(
            f"objective {objective} needs the loss of each utterance, which ctc_conf.ctc_type "
            f"{model.ctc.ctc_type} does not give. Set it to builtin, or objective: none."
        )


def use_blank(ctc: torch.nn.Module | None, blank_id: int) -> None:
    """Make CTC's loss take the blank from the token list; ESPnet's takes the first symbol for it.

    Raises:
        UserError: a kind of CTC that cannot, and the blank is not the first symbol.
    """
    if not isinstance(ctc, CTC):
        return
    if isinstance(ctc.ctc_loss, torch.nn.CTCLoss):
        ctc.ctc_loss.blank = blank_id
    elif blank_id != 0:
        raise UserError(
            f"ctc_conf.ctc_type {ctc.ctc_type} takes the first token for CTC's blank, but the "
            f"token list has <blank> as number {blank_id}. Set ctc_type: builtin."
        )


def num_needed_frames(text: torch.Tensor, text_lengths: torch.Tensor) -> torch.Tensor:
    """Frames (B,) that CTC needs at least: one a label, and a blank between two equal ones.

    Args:
        text: (B, U) labels, anything beyond the lengths.
        text_lengths: (B,).
    """
    position = torch.arange(1, text.shape[1], device=text.device)
    repeats = (text[:, 1:] == text[:, :-1]) & (position < text_lengths[:, None])
    return text_lengths + repeats.sum(dim=1)


def ctc_losses(
    ctc: CTC,
    encoder_out: torch.Tensor,
    encoder_out_lens: torch.Tensor,
    text: torch.Tensor,
    text_lengths: torch.Tensor,
) -> torch.Tensor:
    """CTC loss (B,) in nats, float32, bit-equal to what ESPnet's ``CTC`` sums up.

    The labels stay padded: ESPnet cuts them apart with one look at the host for each utterance.
    Its dropout acts in training only; ESPnet forgets to switch it off for validation.

    Args:
        encoder_out: (B, T, D) and its lengths (B,).
        text: (B, U) padded with -1 and its lengths (B,).
    """
    logits = ctc.ctc_lo(F.dropout(encoder_out, p=ctc.dropout_rate, training=ctc.training))
    log_probs = logits.transpose(0, 1).log_softmax(2).float()
    return ctc.ctc_loss(log_probs, text, encoder_out_lens, text_lengths)


def attention_losses(
    criterion: LabelSmoothingLoss, decoder_out: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Label-smoothed cross entropy (B,), whose mean over the batch is ESPnet's loss.

    It is the Kullback-Leibler divergence from the smoothed target: 1 - s for the right label and
    s / (V - 1) for each other one (Szegedy et al. 2016, section 7), summed over the labels.

    Args:
        criterion: ESPnet's, for its smoothing s, padding and whether to divide by the length.
        decoder_out: (B, U, V) logits.
        target: (B, U) labels padded with ``criterion.padding_idx``.
    """
    padding = target == criterion.padding_idx
    log_probs = decoder_out.float().log_softmax(dim=-1)
    right = log_probs.gather(2, target.masked_fill(padding, 0)[..., None])[..., 0]
    smoothing, others = criterion.smoothing, criterion.size - 1
    share = smoothing / others
    cross_entropy = -criterion.confidence * right - share * (log_probs.sum(dim=-1) - right)
    parts = [(criterion.confidence, criterion.confidence), (smoothing, share)]
    entropy = -sum(mass * math.log(each) for mass, each in parts if mass)
    losses = (cross_entropy - entropy).masked_fill(padding, 0.0).sum(dim=1)
    if criterion.normalize_length:
        return losses * len(losses) / (~padding).sum()
    return losses


def accuracy(predicted: torch.Tensor, target: torch.Tensor, padding_idx: int) -> torch.Tensor:
    """Share of the labels (B, U) that are right, on the device (ESPnet's ``th_accuracy``)."""
    counted = target != padding_idx
    return ((predicted == target) & counted).sum() / counted.sum()


def refuse_infeasible(infeasible: torch.Tensor, utt_ids: Sequence[str] | None) -> None:
    """Stop at utterances without an alignment, where the user asked not to pass over them.

    Raises:
        UserError: with the first utterance's name.
    """
    rows = infeasible.nonzero().flatten().tolist()
    if rows:
        names = [utt_ids[row] if utt_ids else f"row {row}" for row in rows]
        raise UserError(
            f"{len(rows)} utterances have more labels than CTC has frames (first: {names[0]}). "
            "Filter them (stage 4), use a stack with less subsampling, or set "
            "ctc_conf.zero_infinity: true to pass over them."
        )
