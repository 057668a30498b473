"""CTC between the encoder's layers, with units of its own: auxiliary targets.

ESPnet's ``aux_ctc`` gives a layer other labels, but spells them in the letters' own list, through
the letters' own output layer, so that decoding could write phonemes.  Here the units have a list
and an output layer of their own, and decoding knows nothing of either.

Shapes: B utterances, T frames, D features, U units, V units in the list.
"""

from collections.abc import Sequence

import torch
from espnet2.asr.ctc import CTC

from asr_dro_plugin.espnet.model.group_scores import best_path_ids
from asr_dro_plugin.espnet.model.losses import ctc_losses, num_needed_frames
from asr_dro_plugin.scoring.edit_distance import count_edits
from asr_dro_plugin.text.auxiliary import INPUT

BLANK_ID = 0  # of a list that stage 5 makes
NO_UNITS = (
    f"model_conf.aux_ctc names {INPUT}, whose list of units is not given. Give --aux_token_list "
    "(in the recipe --aux_text phonemes or --aux_text romanised)."
)
NO_DATA = (
    f" Give a data entry of the kind {INPUT},{INPUT},text_int; stage 10 writes the file where the "
    "recipe has --aux_text."
)
NO_OBJECTIVE = f"aux_ctc: {INPUT} needs an objective. Set objective: ctc, or leave it out."


class AuxiliaryCTC(CTC):
    """ESPnet's CTC layer for ``token_list``; it takes (B, T, D) from any layer of the encoder."""

    def __init__(
        self, token_list: Sequence[str], encoder_output_size: int, dropout_rate: float = 0.0
    ) -> None:
        super().__init__(len(token_list), encoder_output_size, dropout_rate)

    def losses(
        self,
        hidden: torch.Tensor,
        num_frames: torch.Tensor,
        units: torch.Tensor,
        units_lengths: torch.Tensor,
    ) -> torch.Tensor:
        """Loss (B,) in nats of (B, T, D) with frames (B,) and units (B, U); 0 where these are more
        than the frames allow: the text of such an utterance may be learnt all the same."""
        too_few = num_needed_frames(units, units_lengths) > num_frames
        loss = ctc_losses(self, hidden, num_frames, units, units_lengths)
        return loss.masked_fill(too_few, 0.0)

    @torch.no_grad()
    def count_errors(
        self,
        hidden: torch.Tensor,
        num_frames: torch.Tensor,
        units: torch.Tensor,
        units_lengths: torch.Tensor,
    ) -> tuple[list[float], list[int]]:
        """Wrong units on the best path of each utterance (NaN: the model gave NaN), and all that
        there should be."""
        hyps = best_path_ids(self.ctc_lo(hidden).float(), num_frames, BLANK_ID)
        refs = [row[:n] for row, n in zip(units.tolist(), units_lengths.tolist(), strict=True)]
        errors = [
            float("nan") if hyp is None else float(count_edits(ref, hyp).errors)
            for ref, hyp in zip(refs, hyps, strict=True)
        ]
        return errors, [len(ref) for ref in refs]
