"""What ESPnet's own search finds in the place of a part that a model does not have.

``Speech2Text`` weighs a decoder with ``1 - ctc_weight``, 0.5 if nothing is said, and lets the
decoder's scores choose the few tokens that CTC is asked for.  Where the decoder is None they are
all alike, and the search looks at the first tokens of the list, whatever is said.  A decoder that
gives CTC's own scores makes the sum CTC's, for any weight.  Where there is no CTC, its half of the
sum cannot be had, and the search ended in "NoneType has no attribute".

Shapes: N hypotheses, U tokens, T frames, D features, V vocabulary.
"""

from typing import Any

import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.legacy.nets.scorer_interface import BatchScorerInterface
from espnet2.legacy.nets.scorers.ctc import CTCPrefixScorer

from asr_dro_plugin.errors import UserError

WINDOW_MARGIN = 100  # frames, the default of Speech2Text's ctc_window_margin


class CTCAsDecoder(torch.nn.Module, BatchScorerInterface):
    """ESPnet's prefix scores of CTC for every token that may come next.

    A state is that of CTC after all V tokens; which one was taken, the next call sees in the
    prefix, for ESPnet tells a decoder no earlier.  The module has no parameters: the layer stays
    the model's.

    Args:
        ctc: ESPnet's CTC layer.
        eos: id of the end of a sentence.
    """

    def __init__(self, ctc: torch.nn.Module, eos: int) -> None:
        super().__init__()
        self.prefixes = CTCPrefixScorer(ctc, eos, WINDOW_MARGIN)

    def init_state(self, x: torch.Tensor) -> tuple[Any, None]:
        """Before the first token of (T, D)."""
        return self.prefixes.init_state(x), None

    def score(self, y: torch.Tensor, state: tuple, x: torch.Tensor) -> tuple[torch.Tensor, tuple]:
        """(V,) behind the prefix (U,)."""
        before, ids = state
        if ids is not None:
            before = self.prefixes.select_state(before, int(y[-1]))
        ids = torch.arange(self.prefixes.impl.x.shape[1])
        scores, after = self.prefixes.score_partial(y, ids, before, x)
        return scores, (after, ids)

    def select_state(self, state: Any, i: int, new_id: int | None = None) -> Any:
        """That of one hypothesis of N; a state of one is its own."""
        return state[i] if isinstance(state, list) else state

    def batch_init_state(self, x: torch.Tensor, xs_lengths: torch.Tensor | None = None) -> None:
        """Before the first token of (T, D), or of a batch."""
        return self.prefixes.batch_init_state(x, xs_lengths)

    def batch_score(
        self, ys: torch.Tensor, states: list, xs: torch.Tensor
    ) -> tuple[torch.Tensor, list]:
        """(N, V) behind the prefixes (N, U)."""
        before = [
            state and self.prefixes.select_state(state[0], state[1], token)
            for state, token in zip(states, ys[:, -1].tolist(), strict=True)
        ]
        scores, after = self.prefixes.batch_score_partial(ys, None, before, xs)
        return scores, [(after, row) for row in range(len(ys))]

    def extend_prob(self, x: torch.Tensor) -> None:
        """More frames came, in a stream."""
        self.prefixes.extend_prob(x)


class NoCTC(torch.nn.Module):
    """In the place of a CTC layer that a model does not have."""

    def log_softmax(self, hs_pad: torch.Tensor) -> torch.Tensor:
        """What ESPnet's search asks CTC for first.

        Raises:
            UserError: always.
        """
        raise UserError(
            "This model was trained without CTC, which ESPnet's search counts half unless told "
            "otherwise. Give Speech2Text ctc_weight=0.0."
        )


def has_ctc(model: ESPnetASRModel) -> bool:
    """Whether a model, ours or ESPnet's own, has a layer of CTC."""
    return model.ctc is not None and not isinstance(model.ctc, NoCTC)
