"""A trained experiment as something that turns speech into an ``Emission``."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.asr.frontend.default import DefaultFrontend
from espnet2.asr.frontend.s3prl import S3prlFrontend
from espnet2.layers.stft import Stft
from espnet2.tasks.asr import ASRTask

from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.adapters import left_out_of
from asr_dro_plugin.frame_rules import WAV2VEC2_CONVOLUTIONS
from asr_dro_plugin.model_files import find_model_file, read_experiment_config
from asr_dro_plugin.named_files import config_in_place
from asr_dro_plugin.stack import FrameCounter, frame_counter


@dataclass(frozen=True)
class Recogniser:
    """A model in evaluation mode with what is needed to read its output.

    Attributes:
        untagged_lang: the language of a model that was trained on texts without a tag, where it
            writes one all the same (Whisper's ``whisper_language``).
    """

    model: ESPnetASRModel
    tokens: list[str]
    token_type: str
    frames: FrameCounter
    groups: list[str] | None
    untagged_lang: str | None = None

    @property
    def longest(self) -> float | None:
        """Seconds that the encoder takes at most; None where it takes any."""
        return getattr(self.model.encoder, "max_duration", None)

    @torch.inference_mode()
    def emission(self, speech: Sequence[np.ndarray]) -> Emission:
        """Log probabilities of utterances.

        Args:
            speech: B float32 arrays (num_samples,) at ``SAMPLE_RATE``, in -1..1, each long enough
                for a frame (``frames.num_frames``).
        """
        encoder_out, encoder_out_lens = self.encoded(speech)
        log_probs = self.model.ctc.log_softmax(encoder_out).float()
        shift, blank_id = self.frames.frame_shift, self.model.blank_id
        return Emission(log_probs, encoder_out_lens, shift, blank_id, self.tokens)

    @torch.inference_mode()
    def encoded(self, speech: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the encoder makes of utterances, (B, S, H), and its frames, (B,).

        ESPnet's STFT mirrors the signal at the end of the *batch*, so that the last frames of a
        shorter utterance, and through its mean all others, would depend on its company.  Here each
        is mirrored at its own ends, which gives it what it has alone.
        """
        stft = _centred_stft(self.model)
        padded, lengths = _padded(speech, stft.n_fft // 2 if stft else 0)
        device = next(self.model.parameters()).device
        with _uncentred(stft):
            encoder_out, encoder_out_lens = self.model.encode(
                torch.from_numpy(padded).to(device), torch.from_numpy(lengths).to(device)
            )
        if isinstance(encoder_out, tuple):
            encoder_out = encoder_out[0]
        return encoder_out, encoder_out_lens


def _centred_stft(model: ESPnetASRModel) -> Stft | None:
    """The STFT that mirrors what it is given; None in other frontends."""
    frontend = model.frontend
    stft = frontend.stft if isinstance(frontend, DefaultFrontend) else None
    return stft if stft is not None and stft.center else None


@contextlib.contextmanager
def _uncentred(stft: Stft | None) -> Iterator[None]:
    """While the signals bring their own mirror images."""
    if stft is None:
        yield
        return
    stft.center = False
    try:
        yield
    finally:
        stft.center = True


def _padded(speech: Sequence[np.ndarray], mirrored: int) -> tuple[np.ndarray, np.ndarray]:
    """(B, N) float32 with zeros behind each utterance, and (B,) its samples.

    Args:
        speech: utterances.
        mirrored: samples added on either side, the utterance in reverse.

    Raises:
        RuntimeError: an utterance too short to be mirrored, as torch's STFT does.
    """
    shortest = min(map(len, speech))
    if shortest <= mirrored:
        raise RuntimeError(f"{shortest} samples are too short to be mirrored by {mirrored}")
    lengths = np.array([len(samples) + 2 * mirrored for samples in speech])
    padded = np.zeros((len(speech), lengths.max()), dtype=np.float32)
    for row, samples in zip(padded, speech, strict=True):
        row[mirrored : mirrored + len(samples)] = samples
        if mirrored:
            row[:mirrored] = samples[mirrored:0:-1]
            end = mirrored + len(samples)
            row[end : end + mirrored] = samples[-2 : -mirrored - 2 : -1]
    return padded, lengths


def load_recogniser(
    exp: str | Path, model_file: str, device: str = "cpu", needs_ctc: bool = True
) -> Recogniser:
    """Load a trained experiment.

    ESPnet's own loader builds the model and fills it non-strictly, so a parameter that stayed
    random would go unnoticed: the names are compared here.

    Raises:
        UserError: no experiment, no such model file, a file that its config names is missing,
            parameters that do not match the model, or are no numbers.
    """
    exp = Path(exp)
    read_experiment_config(exp)
    path = find_model_file(exp, model_file)
    with config_in_place(exp) as config_file:
        model, args = ASRTask.build_model_from_file(config_file, path, device)
    given = set(torch.load(path, map_location="meta", weights_only=True, mmap=True))
    wanted = set(model.state_dict())
    if not wanted - left_out_of(model) <= given <= wanted:
        raise UserError(
            f"{path} does not fit {exp}/config.yaml: missing "
            f"{sorted(wanted - given - left_out_of(model))[:3]}, "
            f"unexpected {sorted(given - wanted)[:3]}. Train again, or restore the config."
        )
    if model.ctc is None and needs_ctc:
        raise UserError(
            f"{exp} was trained without CTC, whose frames are needed here. It can be decoded "
            "(asr-dro decode, transcribe) with a configuration of mode greedy or espnet."
        )
    return as_recogniser(model, args, path)


def as_recogniser(model: ESPnetASRModel, args, path: Path) -> Recogniser:
    """A built model with ESPnet's arguments, read from ``path``; its parameters are numbers."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise UserError(f"{path} holds NaN in {name}: training diverged. Give another model.")
    frames = frame_counter(vars(args))
    if isinstance(model.frontend, S3prlFrontend) and frames.exact:
        model.frontend.register_forward_hook(_own_last_frames)
    groups = (args.model_conf or {}).get("groups")
    untagged = (getattr(args, "preprocessor_conf", None) or {}).get("whisper_language")
    tokens = list(args.token_list)
    return Recogniser(model.eval(), tokens, args.token_type, frames, groups, untagged)


def _own_last_frames(frontend: S3prlFrontend, inputs: tuple, output: tuple) -> tuple:
    """s3prl rounds the frames up, repeating the last one of the *batch*: each repeats its own.

    A shorter utterance would get a frame of the padding there, which is often a symbol too many.
    """
    feats, feats_lens = output
    if frontend.tile_factor != 1:
        return output
    found = inputs[1]
    for kernel, stride in WAV2VEC2_CONVOLUTIONS:
        found = torch.div(found - kernel, stride, rounding_mode="floor") + 1
    frames = torch.arange(feats.shape[1], device=feats.device)
    index = torch.minimum(frames, found.to(feats.device).clamp(min=1)[:, None] - 1)
    return feats.gather(1, index[:, :, None].expand_as(feats)), feats_lens
