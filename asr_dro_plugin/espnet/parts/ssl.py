"""ESPnet's two ways to a pretrained model, prepared by ``compat``: the same classes, put right.

Subclasses rather than patches; registered under ESPnet's own names, so that training, decoding and
``Speech2Text`` compute the same.
"""

import functools

import torch
from espnet2.asr.encoder.wav2vec2_encoder import FairSeqWav2Vec2Encoder
from espnet2.asr.frontend.s3prl import S3prlFrontend
from espnet2.layers.utterance_mvn import UtteranceMVN

from asr_dro_plugin.compat import fairseq, s3prl
from asr_dro_plugin.nets.masks import frame_mask, moments
from asr_dro_plugin.stack.components.espnet_frontends import S3PRL_320
from asr_dro_plugin.stack.components.wav2vec2 import CONVOLUTIONS


class PreparedS3prlFrontend(S3prlFrontend):
    """``S3prlFrontend`` whose hidden states are the same in every layout, number and company.

    s3prl rounds the number of frames up and repeats the last one to get there, but that of the
    *batch*: a shorter utterance would end in a frame of padding, often a symbol too many.
    """

    @functools.wraps(S3prlFrontend.__init__)  # ESPnet reads the options from the signature
    def __init__(self, *args, **kwargs):
        s3prl.import_s3prl()
        super().__init__(*args, **kwargs)
        s3prl.prepare_frontend(self)
        upstream = (kwargs.get("frontend_conf") or {}).get("upstream") or ""
        self._is_like_wav2vec2 = str(upstream).startswith(S3PRL_320)

    @property
    def pretrained(self) -> torch.nn.Module:
        """What makes the hidden states."""
        return self.upstream

    @property
    def kept_settings(self) -> dict:
        """What decides them beside its weights."""
        model = self.upstream.upstream
        of_hf = getattr(getattr(model, "extracter", None), "do_normalize", None)
        return {
            "upstream": type(model).__module__,
            "do_normalize": getattr(model, "wav_normalize", of_hf),
            "normalize": self.upstream.normalize,
            "states": self._numbers,
        }

    @property
    def _numbers(self) -> list[int]:
        """Numbers of the hidden states that are used, -1 for the last."""
        return list(range(self.upstream.num_layers)) if self._sums else [self.layer]

    @property
    def _sums(self) -> bool:
        return self.multilayer_feature and self.layer == -1

    def forward(
        self, input: torch.Tensor, input_lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N) samples or (B, T, L * D) kept hidden states, and (B,) -> (B, T, D), (B,).

        Each utterance repeats its own last frame.
        """
        if input.dim() == 3:
            features = self.weighted_sum(input.float().unflatten(2, (len(self._numbers), -1)))
            is_tiled = self.layer == -1 and self.tile_factor != 1  # as ESPnet does
            return self._tile_representations(features) if is_tiled else features, input_lengths
        feats, feats_lens = super().forward(input, input_lengths)
        return self._with_own_last_frames(feats, input_lengths), feats_lens

    def hidden_layers(
        self, speech: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N), (B,) -> the hidden states that are used (B, T, L, D), and (B,)."""
        states, frames = self.upstream(speech, lengths)
        used = [self._with_own_last_frames(states[n], lengths) for n in self._numbers]
        return torch.stack(used, dim=2), frames[0]

    def weighted_sum(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B, T, L, D) -> (B, T, D), by weights that learn where there are several states."""
        if not self._sums:
            return hidden[:, :, 0]
        states = list(hidden.unbind(2))
        frames = torch.full((len(hidden),), hidden.shape[1], device=hidden.device)
        return self.featurizer(states, [frames] * len(states))[0]

    def _with_own_last_frames(self, feats: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, T, D) whose frames behind an utterance's end are its last."""
        if self.tile_factor != 1 or not self._is_like_wav2vec2:
            return feats
        found = lengths.to(feats.device)
        for kernel, stride in CONVOLUTIONS:
            found = torch.div(found - kernel, stride, rounding_mode="floor") + 1
        frames = torch.arange(feats.shape[1], device=feats.device)
        index = torch.minimum(frames, found.clamp(min=1)[:, None] - 1)
        return feats.gather(1, index[:, :, None].expand_as(feats))


class PreparedWav2Vec2Encoder(FairSeqWav2Vec2Encoder):
    """``FairSeqWav2Vec2Encoder`` with a quiet fairseq, that reports the keys it drops.

    Its forward pass is ESPnet's but for two things.  The mask of (B, samples) is not cut from a
    square of samples x samples, 100 GB for 20 s.  ``freeze_finetune_updates`` is left to
    ``freezing.py``: ESPnet counts forward passes here, those of validation too.
    """

    @functools.wraps(FairSeqWav2Vec2Encoder.__init__)
    def __init__(self, *args, **kwargs):
        fairseq.prepare_encoder(kwargs)
        with fairseq.kept_root_logger():
            super().__init__(*args, **kwargs)
        fairseq.finish_encoder(self)

    def forward(
        self, xs_pad: torch.Tensor, ilens: torch.Tensor, prev_states: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """(B, samples), (B,) -> (B, T, D), (B,), None; masks its own features in training."""
        padding = ~frame_mask(ilens.to(xs_pad.device), xs_pad.shape[1])[:, 0]
        encoded = self.encoders(xs_pad, padding, mask=self.training, features_only=True)
        out, padding = encoded["x"], encoded["padding_mask"]
        if padding is None:
            lengths = torch.full_like(ilens, out.shape[1])
        else:
            lengths = (~padding).sum(dim=1)
        if self.output_layer is not None:
            out = self.output_layer(out)
        if self.normalize_before:
            out = self.after_norm(out)
        return out, lengths, None


class PreparedUtteranceMVN(UtteranceMVN):
    """``UtteranceMVN`` that takes a waveform without a square of samples x samples."""

    def forward(
        self, x: torch.Tensor, ilens: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, samples) or (B, T, D), and (B,) -> the same, normalised over each utterance."""
        if x.dim() != 2 or ilens is None:
            return super().forward(x, ilens)
        x, centred, variance = moments(x, ilens)
        out = centred if self.norm_means else x
        if self.norm_vars:
            out = out / variance.sqrt().clamp(min=self.eps)
        return out, ilens
