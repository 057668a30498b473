"""ESPnet's recurrent encoders for batches in any order; they take the longest utterance first."""

from typing import Any

import torch
from espnet2.asr.encoder.rnn_encoder import RNNEncoder
from espnet2.asr.encoder.vgg_rnn_encoder import VGGRNNEncoder

Encoded = tuple[torch.Tensor, torch.Tensor, Any]


class _LongestFirst:
    """Sorts a batch on the way in, and back on the way out."""

    def forward(
        self, xs_pad: torch.Tensor, ilens: torch.Tensor, prev_states: Any = None
    ) -> Encoded:
        """(B, T, D), (B,) -> (B, S, H), (B,), states; without ``prev_states``, longest first."""
        if prev_states is not None or bool((ilens[1:] <= ilens[:-1]).all()):
            return super().forward(xs_pad, ilens, prev_states)
        order = ilens.argsort(descending=True, stable=True)
        back = order.argsort()
        out, lengths, states = super().forward(xs_pad[order], ilens[order])
        return out[back], lengths[back.to(lengths.device)], states


class AnyOrderRNNEncoder(_LongestFirst, RNNEncoder):
    """``rnn``."""


class AnyOrderVGGRNNEncoder(_LongestFirst, VGGRNNEncoder):
    """``vgg_rnn``."""
