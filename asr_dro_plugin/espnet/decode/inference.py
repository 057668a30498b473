"""A trained experiment as something that turns speech into an ``Emission``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.tasks.asr import ASRTask

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.decoding.build import refuse_without_ctc
from asr_dro_plugin.decoding.chunks import chunked, refuse_uncounted
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.adapters import left_out_of
from asr_dro_plugin.experiment.config_paths import config_in_place
from asr_dro_plugin.experiment.model_files import find_model_file, read_experiment_config
from asr_dro_plugin.stack.frames import FrameCounter, frame_counter


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
        """Seconds that the pretrained model takes at most; None where it takes any."""
        parts = (self.model.frontend, self.model.encoder)
        limits = (getattr(part, "max_duration", None) for part in parts)
        return min(filter(None, limits), default=None)

    @torch.inference_mode()
    def emission(self, speech: Sequence[np.ndarray]) -> Emission:
        """Log probabilities of utterances.

        Args:
            speech: B float32 arrays (num_samples,) at ``SAMPLE_RATE``, in -1..1, each long enough
                for a frame (``frames.num_frames``); what is longer than the model takes is read in
                overlapping chunks.
        """
        if self.longest and max(map(len, speech)) > self.longest * SAMPLE_RATE:
            return self._chunked(speech, self.longest)
        encoder_out, encoder_out_lens = self.encoded(speech)
        log_probs = self.model.ctc.log_softmax(encoder_out).float()
        shift, blank_id = self.frames.frame_shift, self.model.blank_id
        return Emission(log_probs, encoder_out_lens, shift, blank_id, self.tokens)

    def _chunked(self, speech: Sequence[np.ndarray], longest: float) -> Emission:
        """The same, one by one, none longer than ``longest`` seconds at once."""
        refuse_uncounted(self.frames)
        shift = self.frames.frame_shift
        length = shift * int(longest / shift + 1e-6)  # chunks are of whole frames
        hop = round(shift * SAMPLE_RATE)
        found = [chunked(self.emission, samples, hop, length) for samples in speech]
        rows = [torch.from_numpy(each.log_probs[0]) for each in found]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return replace(found[0], log_probs=padded, lengths=torch.tensor([len(row) for row in rows]))

    @torch.inference_mode()
    def encoded(self, speech: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the encoder makes of utterances, (B, S, H), and its frames, (B,)."""
        order = sorted(range(len(speech)), key=lambda row: -len(speech[row]))
        if order != list(range(len(speech))):  # ESPnet's recurrent encoders want the longest first
            encoder_out, encoder_out_lens = self.encoded([speech[row] for row in order])
            back = torch.tensor(order, device=encoder_out.device).argsort()
            return encoder_out[back], encoder_out_lens[back]
        padded, lengths = _padded(speech)
        device = next(self.model.parameters()).device
        encoder_out, encoder_out_lens = self.model.encode(
            torch.from_numpy(padded).to(device), torch.from_numpy(lengths).to(device)
        )
        if isinstance(encoder_out, tuple):
            encoder_out = encoder_out[0]
        return encoder_out, encoder_out_lens


def _padded(speech: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(B, N) float32 with zeros behind each utterance, and (B,) its samples."""
    lengths = np.array([len(samples) for samples in speech])
    rows = [np.pad(samples, (0, lengths.max() - len(samples))) for samples in speech]
    return np.stack(rows).astype(np.float32), lengths


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
    config = read_experiment_config(exp)
    path = find_model_file(exp, model_file)
    if needs_ctc:
        refuse_without_ctc(config, exp)
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
    return as_recogniser(model, args, path)


def as_recogniser(model: ESPnetASRModel, args, path: Path) -> Recogniser:
    """A built model with ESPnet's arguments, read from ``path``; its parameters are numbers."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise UserError(f"{path} holds NaN in {name}: training diverged. Give another model.")
    frames = frame_counter(vars(args))
    groups = (args.model_conf or {}).get("groups")
    untagged = (getattr(args, "preprocessor_conf", None) or {}).get("whisper_language")
    tokens = list(args.token_list)
    return Recogniser(model.eval(), tokens, args.token_type, frames, groups, untagged)
