"""wav2vec 2.0, HuBERT and WavLM as transformers has them, in a forward pass of our own.

The modules and the names of the parameters are those of transformers' ``Wav2Vec2Model``,
``HubertModel`` and ``WavLMModel`` (so that their checkpoints fit, and adapters find the layers they
look for); what happens between the modules is here: normalisation, lengths and masks, masking of
features in training, layer drop, and the sum over layers.

Padding does not reach an utterance, group-normalised models included: these take mean and variance
over the frames of the utterance alone.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import nn

from asr_dro_plugin.errors import UserError, how_to_install
from asr_dro_plugin.nets.conv_features import conv_features, fits
from asr_dro_plugin.nets.cpu_linear import use_wide_linear
from asr_dro_plugin.nets.masks import frame_mask, masked_spans, moments
from asr_dro_plugin.nets.position_conv import fits as position_conv_fits
from asr_dro_plugin.nets.position_conv import position_conv
from asr_dro_plugin.pretrained.hf_folders import read_weights
from asr_dro_plugin.pretrained.layouts import WAV2VEC2_TYPES
from asr_dro_plugin.pretrained.regularisation import WAV2VEC2_SHARES, regularisation_problems

MASK = "masked_spec_embed"  # which a model that was trained without masking may lack


class HFWav2Vec2Net(nn.Module):
    """Speech (B, N) at 16 kHz -> hidden states (B, S, H); random weights until some are loaded.

    Args:
        model_config: content of a ``config.json`` with ``model_type`` wav2vec2, hubert or wavlm.
        layers: ``last``; ``weighted``, a sum of the input of the first layer and the outputs of
            all with weights that are learned (a softmax); or a number n >= 1, as if the network
            ended with its n-th layer.
        do_normalize: each utterance to mean 0 and variance 1 first, as the preprocessor does.
        attention_mask: keep padding out.  Without, it counts as speech everywhere, as transformers
            has it with a preprocessor that says ``return_attention_mask: false``.
        mask_time_prob, mask_time_length, mask_feature_prob, mask_feature_length: SpecAugment on the
            features in training; None is the model's own.
        layerdrop: chance that a layer is left out of a training step.
        hidden_dropout, attention_dropout, activation_dropout, feat_proj_dropout: None is the
            model's own.
        gradient_checkpointing: compute the layers once more in the backward pass, for memory.
    """

    def __init__(
        self,
        model_config: dict,
        input_size: int = 1,
        layers: str | int = "last",
        do_normalize: bool = True,
        attention_mask: bool = True,
        mask_time_prob: float | None = None,
        mask_time_length: int | None = None,
        mask_feature_prob: float | None = None,
        mask_feature_length: int | None = None,
        layerdrop: float | None = None,
        hidden_dropout: float | None = None,
        attention_dropout: float | None = None,
        activation_dropout: float | None = None,
        feat_proj_dropout: float | None = None,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        changes = {
            "mask_time_prob": mask_time_prob, "mask_time_length": mask_time_length,
            "mask_feature_prob": mask_feature_prob, "mask_feature_length": mask_feature_length,
            "layerdrop": layerdrop, "hidden_dropout": hidden_dropout,
            "attention_dropout": attention_dropout, "activation_dropout": activation_dropout,
            "feat_proj_dropout": feat_proj_dropout,
        }  # fmt: skip
        changes = {key: value for key, value in changes.items() if value is not None}
        self.layers = layers
        self.model = build_model({**model_config, **changes}, layers)
        self.config = self.model.config
        for problem in regularisation_problems(vars(self.config), WAV2VEC2_SHARES):
            raise ValueError(problem)
        self.do_normalize, self.attention_mask = do_normalize, attention_mask
        num_states = self.config.num_hidden_layers + 1
        weighted = layers == "weighted"
        self.layer_weights = nn.Parameter(torch.zeros(num_states)) if weighted else None
        if gradient_checkpointing:
            self.model.activation_checkpointing_enable({"use_reentrant": False})

    @property
    def output_size(self) -> int:
        """H."""
        config = self.config
        return config.output_hidden_size if self.model_adapter is not None else config.hidden_size

    @property
    def model_adapter(self) -> nn.Module | None:
        """The convolutions that halve the frames behind some models (``add_adapter``)."""
        return getattr(self.model, "adapter", None)

    def forward(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) samples and (B,) -> (B, S, H) and (B,)."""
        looked_at = lengths if self.attention_mask else torch.full_like(lengths, speech.shape[1])
        if self.do_normalize:
            speech = normalized(speech, looked_at)
        features = extract_features(self.model.feature_extractor, speech, looked_at)
        lengths = self.num_frames(lengths)
        projected = self.model.feature_projection(features)
        x = projected[0] if isinstance(projected, tuple) else projected  # HuBERT gives one
        x = self._masked(x, lengths)
        x = self._encode(x, self._padding(x, lengths))
        return self._adapted(x, lengths) if self.model_adapter is not None else (x, lengths)

    def load_pretrained(self, folder: str | Path) -> None:
        """Take the weights of a Hugging Face folder; heads for other ends are left aside.

        Raises:
            UserError: a damaged file, a weight that is missing or has another shape.
        """
        prefix = f"{self.model.base_model_prefix}."
        given = read_weights(Path(folder))
        self.load_weights({name.removeprefix(prefix): given[name] for name in given}, folder)

    def load_weights(self, given: Mapping[str, torch.Tensor], where: str | Path) -> None:
        """Take weights by the names of transformers' model; ``where`` they are from, for messages.

        Every weight of the network there must have its place; with fewer ``layers`` some are left.

        Raises:
            UserError: names the first weight that is missing, left over, or has another shape.
        """
        wanted = self.model.state_dict()
        bodies = tuple({name.split(".")[0] for name in wanted})
        missing = sorted(wanted.keys() - given.keys() - {MASK})
        left = sorted(name for name in given if name.split(".")[0] in bodies and name not in wanted)
        if missing:
            raise UserError(
                f"{where} lacks {len(missing)} weights of its network (first: {missing[0]}). Fetch "
                "it again, or give another model."
            )
        if left and self.layers in ("last", "weighted"):
            raise UserError(
                f"{where} holds {len(left)} weights that its settings have no place for (first: "
                f"{left[0]}). Fetch it again, or give another model."
            )
        for name, tensor in wanted.items():
            if name in given and given[name].shape != tensor.shape:
                raise UserError(
                    f"{name} is {tuple(given[name].shape)} in {where} and {tuple(tensor.shape)} by "
                    "its settings. Fetch it again, or give another model."
                )
            if name in given:
                tensor.copy_(given[name])

    def num_frames(self, num_samples: torch.Tensor) -> torch.Tensor:
        """Frames that the convolutions give for so many samples."""
        for kernel, stride in zip(self.config.conv_kernel, self.config.conv_stride, strict=True):
            num_samples = (num_samples - kernel) // stride + 1
        return num_samples.clamp(min=0)

    def _masked(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Features (B, S, H) with spans over time and over features masked, in training."""
        if not (self.training and getattr(self.config, "apply_spec_augment", True)):
            return x
        embedding = getattr(self.model, "masked_spec_embed", None)
        return masked_spans(x, lengths, self.config, embedding)

    def _padding(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor | None:
        """(B, S), true at an utterance's frames; None where nothing is to be kept out."""
        if not self.attention_mask:
            return None
        if not torch.jit.is_tracing() and bool((lengths >= x.shape[1]).all()):
            return None  # attention's fastest kernels take no mask
        return frame_mask(lengths, x.shape[1])[:, 0]

    def _encode(self, x: torch.Tensor, inside: torch.Tensor | None) -> torch.Tensor:
        """The transformer over (B, S, H)."""
        encoder, stable = self.model.encoder, self.config.do_stable_layer_norm
        if inside is not None:
            x = x.masked_fill(~inside[..., None], 0.0)
        x = x + self._positions(x)
        x = encoder.dropout(x if stable else encoder.layer_norm(x))
        last, states = len(encoder.layers), enumerate(self._states(x, inside))
        return self._combined(
            encoder.layer_norm(state) if stable and number == last else state
            for number, state in states
        )

    def _combined(self, states: Iterator[torch.Tensor]) -> torch.Tensor:
        """The last of the hidden states (B, S, H), or their sum by the weights."""
        weights = None if self.layer_weights is None else self.layer_weights.softmax(0)
        total = 0.0
        for number, state in enumerate(states):
            if weights is not None:
                total = total + weights[number] * state
        return state if weights is None else total

    def _positions(self, x: torch.Tensor) -> torch.Tensor:
        """What the position convolution adds to (B, S, H)."""
        embed = self.model.encoder.pos_conv_embed
        if getattr(embed, "batch_norm", None) is None and position_conv_fits(embed.conv, x):
            return embed.activation(position_conv(embed.conv, x))
        return embed(x)

    def _states(self, x: torch.Tensor, inside: torch.Tensor | None) -> Iterator[torch.Tensor]:
        """The input of the first layer and the output of each; one that is dropped repeats."""
        yield x
        relative = self.config.model_type == "wavlm"  # which adds a bias by distance, made once
        mask, bias = inside, None
        if inside is not None and not relative:
            mask = inside[:, None, None, :]
        for number, layer in enumerate(self.model.encoder.layers):
            if self._drops(first=number == 0):
                pass
            elif relative:
                x, bias = layer(x, attention_mask=mask, position_bias=bias, index=number)
            else:
                x = layer(x, attention_mask=mask)
            yield x

    def _drops(self, first: bool) -> bool:
        """Whether to leave a layer out of this step; the first one of WavLM makes the bias."""
        if not self.training or self.config.layerdrop <= 0:
            return False
        if first and self.config.model_type == "wavlm":
            return False
        return bool(torch.rand(()) < self.config.layerdrop)

    def _adapted(self, x: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, S, H), (B,) -> fewer frames, none of which has seen padding."""
        adapter = self.model_adapter
        if adapter.proj is not None:
            x = adapter.proj_layer_norm(adapter.proj(x))
        x = x.transpose(1, 2)
        for layer in adapter.layers:
            if self.attention_mask:
                x = x.masked_fill(~frame_mask(lengths, x.shape[2]), 0.0)
            x = layer(x)
            kernel, stride = layer.conv.kernel_size[0], layer.conv.stride[0]
            lengths = ((lengths + 2 - kernel) // stride + 1).clamp(min=0)
        return x.transpose(1, 2), lengths


def extract_features(
    extractor: nn.Module, speech: torch.Tensor, num_samples: torch.Tensor
) -> torch.Tensor:
    """Speech (B, N) and (B,) -> features (B, S, C) of the convolutions.

    A group norm looks at the ``num_samples`` of each utterance alone.
    """
    if fits(extractor, speech):
        return conv_features(extractor, speech, num_samples)
    x, frames = speech[:, None], num_samples
    for layer in extractor.conv_layers:  # the extractor itself would ask for the speech's gradient
        conv, norm = layer.conv, getattr(layer, "layer_norm", None)
        frames = (frames - conv.kernel_size[0]) // conv.stride[0] + 1
        if isinstance(norm, nn.GroupNorm):
            x = layer.activation(group_norm(conv(x), norm, frames))
        else:
            x = layer(x)
    return x.transpose(1, 2)


def group_norm(x: torch.Tensor, norm: nn.GroupNorm, frames: torch.Tensor) -> torch.Tensor:
    """(B, C, T), each channel normalised over the first ``frames`` (B,) of its utterance."""
    inside = frame_mask(frames, x.shape[2])
    counts = frames[:, None, None].to(x)
    centred = (x - (x * inside).sum(2, keepdim=True) / counts) * inside
    variance = centred.square().sum(2, keepdim=True) / counts
    scale = norm.weight[:, None] * torch.rsqrt(variance + norm.eps)
    return torch.addcmul(norm.bias[:, None], centred, scale)


def normalized(speech: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """(B, N) with mean 0 and variance 1 over each utterance, and zeros behind it."""
    _, centred, variance = moments(speech, lengths)
    return centred * torch.rsqrt(variance + 1e-7)


def build_model(model_config: Mapping, layers: str | int) -> nn.Module:
    """transformers' model with random weights.

    Raises:
        UserError: transformers is not installed, or does not take the configuration.
    """
    try:
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        raise UserError(
            "encoder hf_wav2vec2 needs transformers, which is not here: " + how_to_install("ssl")
        ) from error
    conf = {key: value for key, value in model_config.items() if not key.startswith("_")}
    model_type = conf.pop("model_type", None)
    if model_type not in WAV2VEC2_TYPES:
        raise UserError(
            f"encoder_conf.model_config.model_type is {model_type}. Legal: "
            f"{', '.join(WAV2VEC2_TYPES)}."
        )
    if not isinstance(layers, str):
        total = conf.get("num_hidden_layers", 12)
        if not 1 <= layers <= total:
            raise UserError(f"encoder_conf.layers is {layers}. Legal: last, weighted, 1..{total}.")
        conf["num_hidden_layers"] = layers
    elif layers not in ("last", "weighted"):
        raise UserError(f"encoder_conf.layers is {layers}. Legal: last, weighted or a number.")
    config = AutoConfig.for_model(model_type, **conf)
    attention = "eager" if model_type == "wavlm" else "sdpa"
    model = AutoModel.from_config(config, attn_implementation=attention)
    use_wide_linear(model)
    return model
