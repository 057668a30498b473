"""Hidden states of a pretrained model as features: chosen, pooled, and summed by learnt weights.

The sum is that of ELMo (Peters et al. 2018, arXiv:1802.05365) and SUPERB (Yang et al. 2021,
arXiv:2105.01051), with whose tool s3prl it also shares the name ``normalize``.

Shapes: B utterances, N samples, S frames of the model, T = ceil(S / pool), L chosen hidden states,
D features.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.features import SAMPLE_RATE
from asr_dro_plugin.features.whisper_mel import HOP, WhisperLogMel
from asr_dro_plugin.nets.masks import frame_mask, strided_length
from asr_dro_plugin.nets.whisper import WhisperEncoder


class HiddenLayers(nn.Module):
    """Speech (B, N) -> the sum (B, T, D) of hidden states; ``states`` of a subclass gives them all.

    Args:
        model: the pretrained network.
        num_states: hidden states that it has, with what enters its first block.
        output_size: D.
        layers: numbers of those that are used, 0 for what enters the first block, negative ones
            from the end; None is all.
        pool: so many neighbouring frames become one, their mean.
        normalize: bring the features of each frame of each state to mean 0 and variance 1, without
            parameters.  Some states are several times as large as others (Whisper base: 0.35 to
            2.1, root of the variance), and weights would first have to make up for that.

    Attributes:
        numbers: the hidden states that are used, ascending, none negative.

    Raises:
        UserError: a hidden state that is not there or there twice, none, a ``pool`` below 1.
    """

    def __init__(
        self,
        model: nn.Module,
        num_states: int,
        output_size: int,
        layers: Sequence[int] | None,
        pool: int,
        normalize: bool,
    ) -> None:
        super().__init__()
        if pool < 1:
            raise UserError(f"frontend_conf.pool is {pool}. It must be at least 1 (no pooling).")
        self.numbers = chosen_states(layers, num_states)
        self.pool, self.normalize, self.output_size = pool, normalize, output_size
        self.model = model
        self.layer_weights = nn.Parameter(torch.zeros(len(self.numbers)))  # before the softmax

    def states(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[Iterator[torch.Tensor], torch.Tensor]:
        """(B, N), (B,) -> hidden states (B, S, D), one after the other, and their frames (B,)."""
        raise NotImplementedError

    @property
    def kept_settings(self) -> dict:
        """What decides the hidden states beside the model's weights."""
        return {"states": self.numbers, "pool": self.pool, "normalize": self.normalize}

    def forward(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N), (B,) -> (B, T, D), (B,)."""
        hidden, frames = self.hidden_layers(speech, lengths)
        return self.weighted_sum(hidden), frames

    def hidden_layers(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N), (B,) -> the chosen states (B, T, L, D), pooled and normalised, and (B,).

        Nothing behind them but ``weighted_sum`` belongs to the frontend, so that they may be kept;
        normalised ones are no larger than the root of D, which float16 holds.
        """
        states, frames = self.states(speech, lengths)
        kept = []
        for number, state in enumerate(states):
            if number in self.numbers:
                state = pooled(state, frames, self.pool)
                kept.append(F.layer_norm(state, state.shape[2:]) if self.normalize else state)
        return torch.stack(kept, dim=2), strided_length(frames, self.pool)

    def weighted_sum(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B, T, L, D) -> (B, T, D), the weights a softmax."""
        return torch.einsum("l,btld->btd", self.layer_weights.softmax(0), hidden)


class WhisperHiddenLayers(HiddenLayers):
    """Hidden states of a Whisper's encoder, a frame in 20 ms x ``pool``.

    Args:
        model_config: content of Hugging Face's ``config.json``.
        layers, pool, normalize: see ``HiddenLayers``; the network ends with the last of ``layers``.
        do_pad_trim: whether Whisper hears every utterance in 30 s, the rest of it silence, as it
            was trained; frames behind the utterance are left out of the features.  Without, it
            hears the utterance alone: several times faster on short ones.
        dropout, attention_dropout, activation_dropout, layerdrop, mask_time_prob, mask_time_length,
            mask_feature_prob, mask_feature_length, gradient_checkpointing: see ``WhisperEncoder``.
    """

    def __init__(
        self,
        model_config: dict,
        layers: list[int] | None = None,
        pool: int = 1,
        normalize: bool = True,
        do_pad_trim: bool = False,
        dropout: float | None = None,
        attention_dropout: float | None = None,
        activation_dropout: float | None = None,
        layerdrop: float | None = None,
        mask_time_prob: float | None = None,
        mask_time_length: int | None = None,
        mask_feature_prob: float | None = None,
        mask_feature_length: int | None = None,
        gradient_checkpointing: bool = False,
    ) -> None:
        model = WhisperEncoder(
            model_config, do_pad_trim=do_pad_trim, dropout=dropout,
            attention_dropout=attention_dropout, activation_dropout=activation_dropout,
            layerdrop=layerdrop, mask_time_prob=mask_time_prob, mask_time_length=mask_time_length,
            mask_feature_prob=mask_feature_prob, mask_feature_length=mask_feature_length,
            gradient_checkpointing=gradient_checkpointing,
        )  # fmt: skip
        num_states = len(model.layers) + 1
        super().__init__(model, num_states, model.output_size, layers, pool, normalize)
        model.end_with(self.numbers[-1])
        sizes = model.sizes
        self.features = WhisperLogMel(
            sizes.num_mel_bins, 2 * sizes.max_source_positions, do_pad_trim
        )

    @property
    def kept_settings(self) -> dict:
        """See ``HiddenLayers``; sizes that the shapes of the weights do not tell."""
        sizes, more = self.model.sizes, ("encoder_attention_heads", "activation_function")
        own = {"do_pad_trim": self.model.do_pad_trim, **{key: getattr(sizes, key) for key in more}}
        return {**super().kept_settings, **own}

    @property
    def max_duration(self) -> float:
        """Seconds of speech that the model takes."""
        return self.features.max_frames * HOP / SAMPLE_RATE

    def states(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[Iterator[torch.Tensor], torch.Tensor]:
        """See ``HiddenLayers``.

        Raises:
            UserError: speech that is longer than ``max_duration``, which would be cut.
        """
        seconds = speech.shape[1] / SAMPLE_RATE
        if seconds > self.max_duration:
            raise UserError(
                f"An utterance of {seconds:g} s came to a Whisper, which takes "
                f"{self.max_duration:g} s. Cut it (asr-dro segment)."
            )
        features, heard = self.features(speech, lengths)
        spoken = (lengths // HOP).clamp(min=1)
        most = strided_length(max(speech.shape[1] // HOP, 1), 2)
        states = self.model.states(features, heard, spoken)
        return (state[:, :most] for state in states), strided_length(spoken, 2)


def chosen_states(layers: Sequence[int] | None, num_states: int) -> tuple[int, ...]:
    """Numbers of hidden states, ascending, none negative.

    Raises:
        UserError: one that is not there or there twice, or none.
    """
    given = range(num_states) if layers is None else layers
    there = (n for n in given if isinstance(n, int) and -num_states <= n < num_states)
    numbers = {number % num_states for number in there}
    if not numbers or len(numbers) < len(given):
        raise UserError(
            f"frontend_conf.layers is {list(given)}. Legal: a list of different hidden states, 0 "
            f"(what enters the first block) to {num_states - 1}, or -{num_states} to -1 from the "
            "end; left out, it is all."
        )
    return tuple(sorted(numbers))


def pooled(x: torch.Tensor, lengths: torch.Tensor, pool: int) -> torch.Tensor:
    """(B, S, D), (B,) -> (B, ceil(S / pool), D): the mean of ``pool`` neighbouring frames, or of
    those that are left at an utterance's end."""
    if pool == 1:
        return x
    inside = frame_mask(lengths, x.shape[1]).transpose(1, 2)
    whole = strided_length(x.shape[1], pool) * pool
    sums, counts = (
        F.pad(each.to(x.dtype), (0, 0, 0, pool - 1))[:, :whole]
        .reshape(x.shape[0], -1, pool, each.shape[2])
        .sum(2)
        for each in (x.masked_fill(~inside, 0.0), inside)
    )
    return sums / counts.clamp(min=1)
