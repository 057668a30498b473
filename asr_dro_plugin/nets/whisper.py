"""Whisper's encoder and decoder (Radford et al. 2022, arXiv:2212.04356) in plain torch.

Parameters have Hugging Face's names, so that its weights load as they are; attention is torch's
``scaled_dot_product_attention``.  The encoder takes utterances shorter than the 30 s that it was
trained on, with the rest masked; the decoder remembers what it has seen, for decoding.

Shapes: B utterances, M mel channels, T mel frames, S encoder frames, H channels, U tokens,
V vocabulary.
"""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from asr_dro_plugin.nets.cpu_linear import use_wide_linear, wide_linear
from asr_dro_plugin.nets.masks import frame_mask, masked_spans
from asr_dro_plugin.nets.whisper_layers import (
    DecoderLayer,
    EncoderLayer,
    LayerMemory,
    Memory,
    WhisperSizes,
)

FRAMES_AT_ONCE = 1500  # of the encoder, on a CPU that decodes: what one 30 s window has
HIGHEST_RATE = 10000.0  # the slowest of the sinusoids that mark positions, against the fastest


class WhisperEncoder(nn.Module):
    """Two convolutions and a transformer; one frame in 20 ms.

    Args:
        model_config: content of Hugging Face's ``config.json``.
        input_size: of who makes the features; nothing here depends on it.
        do_pad_trim: whether every utterance fills all positions, so that nothing is masked (which
            attention is fastest without).
        dropout, attention_dropout, activation_dropout, layerdrop: None is the model's own.
        mask_time_prob, mask_time_length, mask_feature_prob, mask_feature_length: SpecAugment on the
            mel frames in training; None is the model's own, which most often is none.
        gradient_checkpointing: compute layers again in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        model_config: dict,
        input_size: int = 1,
        do_pad_trim: bool = True,
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
        super().__init__()
        masks = {} if mask_time_prob is mask_feature_prob is None else {"apply_spec_augment": True}
        sizes = self.sizes = WhisperSizes.of(
            {**model_config, **masks}, dropout=dropout, attention_dropout=attention_dropout,
            activation_dropout=activation_dropout, encoder_layerdrop=layerdrop,
            mask_time_prob=mask_time_prob, mask_time_length=mask_time_length,
            mask_feature_prob=mask_feature_prob, mask_feature_length=mask_feature_length,
        )  # fmt: skip
        self.output_size, self.gradient_checkpointing = sizes.d_model, gradient_checkpointing
        self.do_pad_trim = do_pad_trim
        self.conv1 = nn.Conv1d(sizes.num_mel_bins, sizes.d_model, 3, padding=1)
        self.conv2 = nn.Conv1d(sizes.d_model, sizes.d_model, 3, stride=2, padding=1)
        self.embed_positions = Sinusoids(sizes.max_source_positions, sizes.d_model)
        self.layers = nn.ModuleList(EncoderLayer(sizes) for _ in range(sizes.encoder_layers))
        self.layer_norm = nn.LayerNorm(sizes.d_model)
        initialise(self, sizes.init_std)
        use_wide_linear(self)

    def forward(
        self, features: torch.Tensor, lengths: torch.Tensor, spoken: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T, M), (B,) -> (B, S, H), (B,) with S = ceil(T / 2); see ``states``."""
        most = max(1, 2 * FRAMES_AT_ONCE // features.shape[1])
        if features.device.type == "cpu" and not torch.is_grad_enabled() and len(features) > most:
            return self._in_parts(most, features, lengths, spoken)
        for x in self.states(features, lengths, spoken):
            last = x
        return last, (lengths + 1) // 2

    def states(
        self, features: torch.Tensor, lengths: torch.Tensor, spoken: torch.Tensor | None = None
    ) -> Iterator[torch.Tensor]:
        """Hidden states (B, S, H): what enters the first layer, then the output of each layer, the
        last one behind the final layer norm, as transformers' ``output_hidden_states`` has them.

        Args:
            features: (B, T, M).
            lengths: (B,) mel frames.
            spoken: (B,) frames before the silence that fills an utterance up, if any: where
                SpecAugment masks.

        Raises:
            ValueError: more frames than the model has positions for.
        """
        num_frames = (features.shape[1] + 1) // 2
        if not torch.jit.is_tracing() and num_frames > self.sizes.max_source_positions:
            most = 2 * self.sizes.max_source_positions
            raise ValueError(f"{features.shape[1]} mel frames, and Whisper takes {most} at most")
        features = self._masked(features, lengths if spoken is None else spoken)
        x, mask = features.transpose(1, 2), None
        if self.do_pad_trim:
            x = F.gelu(self.conv1(x))
        else:
            valid = frame_mask(lengths, features.shape[1])
            x = F.gelu(self.conv1(x * valid)) * valid
            mask = frame_mask((lengths + 1) // 2, num_frames)[:, None]
        x = F.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.embed_positions.weight[:num_frames]
        x = F.dropout(x, self.sizes.dropout, self.training)
        for layer in self.layers:
            yield x
            if not is_skipped(self.training, self.sizes.encoder_layerdrop):
                x = self._layer(layer, x, mask)
        yield self.layer_norm(x)

    def end_with(self, number: int) -> None:
        """Let the network end with its state ``number``: what only later ones need is gone."""
        if number < len(self.layers):
            del self.layers[number:]
            self.layer_norm = nn.Identity()

    def _in_parts(
        self, size: int, *batch: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """``forward`` of so many utterances after the other, whose numbers stay in the cache."""
        firsts = range(0, len(batch[0]), size)
        parts = (
            self(*(each if each is None else each[first : first + size] for each in batch))
            for first in firsts
        )
        hidden, lengths = zip(*parts, strict=True)
        return torch.cat(hidden), torch.cat(lengths)

    @property
    def feature_extractor(self) -> nn.Module:
        """The convolutions, for ``freeze_cnn`` and ``feature_grad_mult``."""
        return nn.ModuleList([self.conv1, self.conv2])

    def _masked(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Features with spans over time and over mel channels masked, in training."""
        if not (self.training and self.sizes.apply_spec_augment):
            return features
        return masked_spans(features, lengths, self.sizes)

    def _layer(
        self, layer: EncoderLayer, x: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        if self.gradient_checkpointing and self.training:
            return checkpoint(layer, x, mask, use_reentrant=False)
        return layer(x, mask)


class WhisperDecoder(nn.Module):
    """A transformer over tokens that attends to an encoder's frames; its output layer is its
    embedding.

    Args:
        vocab_size: tokens of the list, V; Whisper's own come first.
        encoder_output_size: H, which is the model's own.
        model_config: content of Hugging Face's ``config.json``.
        dropout, attention_dropout, activation_dropout, layerdrop: None is the model's own.
        gradient_checkpointing: compute layers again in the backward pass instead of keeping them.
        suppress_tokens, begin_suppress_tokens: ids that decoding never writes, and not as the first
            of a text; those of a published Whisper are in its ``generation_config.json``.
    """

    def __init__(
        self,
        vocab_size: int,
        encoder_output_size: int,
        model_config: dict,
        dropout: float | None = None,
        attention_dropout: float | None = None,
        activation_dropout: float | None = None,
        layerdrop: float | None = None,
        gradient_checkpointing: bool = False,
        suppress_tokens: Sequence[int] = (),
        begin_suppress_tokens: Sequence[int] = (),
    ) -> None:
        super().__init__()
        sizes = self.sizes = WhisperSizes.of(
            model_config, vocab_size=vocab_size, dropout=dropout,
            attention_dropout=attention_dropout, activation_dropout=activation_dropout,
            decoder_layerdrop=layerdrop,
        )  # fmt: skip
        if encoder_output_size != sizes.d_model:
            width = sizes.d_model
            raise ValueError(f"the encoder gives {encoder_output_size}, not d_model {width}")
        self.suppress_tokens = tuple(suppress_tokens)
        self.begin_suppress_tokens = tuple(begin_suppress_tokens)
        self.gradient_checkpointing = gradient_checkpointing
        self.embed_tokens = nn.Embedding(sizes.vocab_size, sizes.d_model)
        self.embed_positions = nn.Embedding(sizes.max_target_positions, sizes.d_model)
        self.layers = nn.ModuleList(DecoderLayer(sizes) for _ in range(sizes.decoder_layers))
        self.layer_norm = nn.LayerNorm(sizes.d_model)
        initialise(self, sizes.init_std)
        use_wide_linear(self)

    def forward(
        self, ids: torch.Tensor, encoder_out: torch.Tensor, encoder_out_lens: torch.Tensor
    ) -> torch.Tensor:
        """Logits (B, U, V) of the token after each of (B, U), all given at once."""
        return self.step(ids, self.remember(encoder_out, encoder_out_lens))

    def remember(self, encoder_out: torch.Tensor, encoder_out_lens: torch.Tensor) -> Memory:
        """The memory before the first token.

        Args:
            encoder_out: (B, S, H).
            encoder_out_lens: (B,).
        """
        mask = frame_mask(encoder_out_lens, encoder_out.shape[1])[:, None]
        if mask.device.type == "cpu" and mask.all():  # elsewhere a look would stall the device
            mask = None
        attentions = (layer.encoder_attn for layer in self.layers)
        return Memory(mask, [LayerMemory(each.keys_values(encoder_out)) for each in attentions])

    def step(self, ids: torch.Tensor, memory: Memory, last: bool = False) -> torch.Tensor:
        """Logits (B, U, V) after each of the next tokens (B, U); ``memory`` then knows them.

        Args:
            ids: (B, U).
            memory: of the tokens before.
            last: only the logits after the last of them are wanted, (B, 1, V).

        Raises:
            ValueError: more tokens than the model has positions for.
        """
        first = memory.num_tokens
        memory.num_tokens += ids.shape[1]
        if memory.num_tokens > self.sizes.max_target_positions:
            most = self.sizes.max_target_positions
            raise ValueError(f"{memory.num_tokens} tokens, and Whisper takes {most} at most")
        x = self.embed_tokens(ids) + self.embed_positions.weight[first : memory.num_tokens]
        x = F.dropout(x, self.sizes.dropout, self.training)
        for layer, remembered in zip(self.layers, memory.layers, strict=True):
            if not is_skipped(self.training, self.sizes.decoder_layerdrop):
                x = self._layer(layer, x, remembered, memory.mask)
        x = x[:, -1:] if last else x
        return wide_linear(self.layer_norm(x), self.embed_tokens.weight)

    def _layer(
        self, layer: DecoderLayer, x: torch.Tensor, memory: LayerMemory, mask: torch.Tensor | None
    ) -> torch.Tensor:
        if not (self.gradient_checkpointing and self.training):
            return layer(x, memory, mask)

        def run(x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
            return layer(x, LayerMemory((keys, values)), mask)  # a memory for each computation

        return checkpoint(run, x, *memory.encoder, use_reentrant=False)


def is_skipped(training: bool, layerdrop: float) -> bool:
    """Whether a layer is left out of this step (Fan et al. 2019); 0 draws no random number."""
    return training and layerdrop > 0 and float(torch.rand(())) < layerdrop


def initialise(module: nn.Module, std: float) -> None:
    """Weights from a normal distribution, biases zero; layer norms as they are."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Embedding):
            nn.init.normal_(part.weight, std=std)
        if isinstance(part, nn.Linear | nn.Conv1d) and part.bias is not None:
            nn.init.zeros_(part.bias)


class Sinusoids(nn.Module):
    """What marks the encoder's positions, (length, channels): sines, then cosines, whose periods
    lie in a geometric row.  It does not learn."""

    def __init__(self, length: int, channels: int) -> None:
        super().__init__()
        steps = math.log(HIGHEST_RATE) / (channels // 2 - 1)
        rates = torch.exp(-steps * torch.arange(channels // 2, dtype=torch.float32))
        angles = torch.arange(length, dtype=torch.float32)[:, None] * rates
        self.register_buffer("weight", torch.cat([angles.sin(), angles.cos()], dim=1))
