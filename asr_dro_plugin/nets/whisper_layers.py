"""What Whisper's encoder and decoder are made of: sizes, attention, blocks, and the memory of
tokens that were seen.

Shapes: B utterances, S encoder frames, H channels, N heads, D = H / N, U tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import torch
import torch.nn.functional as F
from torch import nn

from asr_dro_plugin.nets.cpu_attention import attention
from asr_dro_plugin.pretrained.regularisation import WHISPER_SHARES, regularisation_problems

ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu, "silu": F.silu}


@dataclass(frozen=True)
class WhisperSizes:
    """What of Hugging Face's ``config.json`` describes the network, with its defaults.

    ``scale_embedding`` is not among it: transformers reads it and never uses it.
    """

    vocab_size: int = 51865
    num_mel_bins: int = 80
    d_model: int = 384
    encoder_layers: int = 4
    encoder_attention_heads: int = 6
    encoder_ffn_dim: int = 1536
    decoder_layers: int = 4
    decoder_attention_heads: int = 6
    decoder_ffn_dim: int = 1536
    max_source_positions: int = 1500
    max_target_positions: int = 448
    activation_function: str = "gelu"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    encoder_layerdrop: float = 0.0
    decoder_layerdrop: float = 0.0
    init_std: float = 0.02
    apply_spec_augment: bool = False
    mask_time_prob: float = 0.05
    mask_time_length: int = 10
    mask_time_min_masks: int = 2
    mask_feature_prob: float = 0.0
    mask_feature_length: int = 10
    mask_feature_min_masks: int = 0

    @classmethod
    def of(cls, model_config: Mapping, **changes: object) -> "WhisperSizes":
        """From a ``config.json``; ``changes`` that are None change nothing.

        Raises:
            ValueError: another model's configuration, an activation that is not known, a share or
                a length that cannot be, heads that do not divide the width.
        """
        if model_config.get("model_type", "whisper") != "whisper":
            raise ValueError(f"model_config is of a {model_config['model_type']}, not of a Whisper")
        names = {each.name for each in fields(cls)}
        given = {**model_config, **{k: v for k, v in changes.items() if v is not None}}
        sizes = cls(**{name: given[name] for name in names & given.keys()})
        if sizes.activation_function not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"activation_function {sizes.activation_function} is none of {known}")
        for problem in regularisation_problems(vars(sizes), WHISPER_SHARES):
            raise ValueError(problem)
        for heads in (sizes.encoder_attention_heads, sizes.decoder_attention_heads):
            if heads < 1 or sizes.d_model % heads:
                raise ValueError(f"d_model {sizes.d_model} is not divided by {heads} heads")
        return sizes


class Attention(nn.Module):
    """Multi-head attention; the keys have no bias, as in the original."""

    def __init__(self, sizes: WhisperSizes, heads: int) -> None:
        super().__init__()
        self.heads, self.dropout, width = heads, sizes.attention_dropout, sizes.d_model
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """(B, U, H) -> (B, N, U, H / N)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (B, N, S, H / N) of (B, S, H)."""
        return self.split(self.k_proj(x)), self.split(self.v_proj(x))

    def forward(
        self,
        x: torch.Tensor,
        keys_values: tuple[torch.Tensor, torch.Tensor],
        mask: torch.Tensor | None = None,
        causal: bool = False,
    ) -> torch.Tensor:
        """(B, U, H) -> (B, U, H); ``mask`` (B, 1, 1, S) or (U, S) is true where a key may be
        seen."""
        queries, dropout = self.split(self.q_proj(x)), self.dropout if self.training else 0.0
        if mask is None and not causal and not dropout:
            seen = attention(queries, *keys_values)
        else:
            seen = F.scaled_dot_product_attention(
                queries, *keys_values, attn_mask=mask, dropout_p=dropout, is_causal=causal
            )
        return self.out_proj(seen.transpose(1, 2).flatten(2))


class WhisperBlock(nn.Module):
    """What encoder and decoder layers share: attention to themselves and the feed-forward part."""

    side = "encoder"

    def __init__(self, sizes: WhisperSizes) -> None:
        super().__init__()
        width, inner = sizes.d_model, getattr(sizes, f"{self.side}_ffn_dim")
        self.activation = ACTIVATIONS[sizes.activation_function]
        self.dropout, self.activation_dropout = sizes.dropout, sizes.activation_dropout
        self.self_attn = Attention(sizes, getattr(sizes, f"{self.side}_attention_heads"))
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def dropped(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` under dropout while training."""
        return F.dropout(x, self.dropout, self.training)

    def fed_forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` plus what the feed-forward part makes of it."""
        inner = self.activation(self.fc1(self.final_layer_norm(x)))
        inner = F.dropout(inner, self.activation_dropout, self.training)
        return x + self.dropped(self.fc2(inner))


class EncoderLayer(WhisperBlock):
    """Attention of every frame to every frame, then the feed-forward part."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """(B, S, H) -> (B, S, H)."""
        normed = self.self_attn_layer_norm(x)
        x = x + self.dropped(self.self_attn(normed, self.self_attn.keys_values(normed), mask))
        return self.fed_forward(x)


@dataclass
class LayerMemory:
    """Keys and values of one decoder layer: of the encoder's frames, and of the tokens so far."""

    encoder: tuple[torch.Tensor, torch.Tensor]
    tokens: tuple[torch.Tensor, torch.Tensor] | None = None

    def add(self, new: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Append the keys and values (B, N, U, D) of new tokens; returns those of all."""
        pairs = zip(self.tokens, new, strict=True) if self.tokens else ((each,) for each in new)
        self.tokens = tuple(torch.cat(pair, dim=2) for pair in pairs)
        return self.tokens

    def select(self, rows: torch.Tensor) -> None:
        """Keep some utterances."""
        self.encoder = tuple(each[rows] for each in self.encoder)
        self.tokens = tuple(each[rows] for each in self.tokens) if self.tokens else None


@dataclass
class Memory:
    """What the decoder keeps between steps.

    Attributes:
        mask: (B, 1, 1, S), true where an encoder frame belongs to its utterance; None: all do.
        layers: one a decoder layer.
        num_tokens: how many it has seen.
    """

    mask: torch.Tensor | None
    layers: list[LayerMemory] = field(default_factory=list)
    num_tokens: int = 0

    def select(self, rows: torch.Tensor) -> None:
        """Keep some utterances, by number, in that order."""
        self.mask = None if self.mask is None else self.mask[rows]
        for layer in self.layers:
            layer.select(rows)


class DecoderLayer(WhisperBlock):
    """Attention to the tokens so far, to the encoder's frames, then the feed-forward part."""

    side = "decoder"

    def __init__(self, sizes: WhisperSizes) -> None:
        super().__init__(sizes)
        self.encoder_attn = Attention(sizes, sizes.decoder_attention_heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(sizes.d_model)

    def forward(
        self, x: torch.Tensor, memory: LayerMemory, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """(B, U, H) of new tokens -> (B, U, H)."""
        normed = self.self_attn_layer_norm(x)
        first = memory.tokens is None
        seen = memory.add(self.self_attn.keys_values(normed))
        past = None if first else not_after(x.shape[1], seen[0].shape[2], x.device)
        x = x + self.dropped(self.self_attn(normed, seen, past, causal=first))
        normed = self.encoder_attn_layer_norm(x)
        x = x + self.dropped(self.encoder_attn(normed, memory.encoder, mask))
        return self.fed_forward(x)


def not_after(num_new: int, num_all: int, device: torch.device) -> torch.Tensor | None:
    """(U, all) of bool: which of all tokens the last U may see; None where U is 1 and sees all."""
    if num_new == 1:
        return None
    seen = torch.ones(num_new, num_all, dtype=torch.bool, device=device)
    return seen.tril(num_all - num_new)
