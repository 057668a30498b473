"""The one thing every stack produces and every decoder takes: frame-wise log probabilities.

Arrays may be torch tensors or numpy arrays; this module imports neither torch nor ESPnet, so that
exported models and the service use it too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asr_dro_plugin.errors import UserError


@dataclass(frozen=True)
class Emission:
    """Log probabilities of a batch with all that is needed to decode them.

    Args:
        log_probs: (B, T, V) float32, natural logarithm; frames past an utterance's length are
            never read.
        lengths: (B,) integers, frames of each utterance, 0..T.
        frame_shift: seconds from one frame to the next.
        blank_id: the CTC blank's column, 0..V-1.  It differs between imported models (first,
            last, the padding symbol), so it is data here and never a constant.
        tokens: the V symbols in column order.

    Raises:
        UserError: a token list or blank that does not fit the model's output size.
        ValueError: shapes or lengths that contradict each other (a fault of the caller).
    """

    log_probs: Any
    lengths: Any
    frame_shift: float
    blank_id: int
    tokens: Sequence[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))
        self._check_shapes()
        self._check_lengths()
        self._check_tokens()
        if not self.frame_shift > 0:
            raise ValueError(f"frame_shift must be seconds above 0, got {self.frame_shift!r}")

    def __len__(self) -> int:
        return self.log_probs.shape[0]

    def _check_shapes(self) -> None:
        shape, lengths_shape = tuple(self.log_probs.shape), tuple(self.lengths.shape)
        if len(shape) != 3:
            raise ValueError(f"log_probs must be (B, T, V), got {shape}")
        if lengths_shape != shape[:1]:
            raise ValueError(f"lengths must be ({shape[0]},) for log_probs {shape}, "
                             f"got {lengths_shape}")  # fmt: skip

    def _check_lengths(self) -> None:
        if not len(self):
            return
        shortest, longest = int(self.lengths.min()), int(self.lengths.max())
        if shortest < 0 or longest > self.log_probs.shape[1]:
            raise ValueError(
                f"lengths must lie in 0..{self.log_probs.shape[1]}, got {shortest}..{longest}"
            )

    def _check_tokens(self) -> None:
        size = self.log_probs.shape[2]
        if len(self.tokens) != size:
            raise UserError(
                f"The token list has {len(self.tokens)} symbols, the model gives {size}. "
                "Use the tokens.txt that the model was trained with."
            )
        if not 0 <= self.blank_id < size:
            raise UserError(
                f"blank_id {self.blank_id} is no column of a model with {size} symbols. "
                f"Give one of 0..{size - 1}."
            )
