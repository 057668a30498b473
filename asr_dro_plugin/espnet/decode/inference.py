"""A trained experiment as something that turns speech into an ``Emission``."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.tasks.asr import ASRTask

from asr_dro_plugin.decoding.abs_decoder import to_numpy
from asr_dro_plugin.decoding.build import refuse_without_ctc
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.start.adapters import left_out_of
from asr_dro_plugin.experiment.config_paths import config_in_place
from asr_dro_plugin.experiment.model_files import find_model_file, read_experiment_config
from asr_dro_plugin.stack.frames import FrameCounter, frame_counter
from asr_dro_plugin.transcribing.abs_recogniser import AbsRecogniser, OutOfMemory, padded


@contextlib.contextmanager
def memory_of_the_device() -> Iterator[None]:
    """Torch's lack of memory as ours; what is cached for tensors of other sizes is given back."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        torch.cuda.empty_cache()
        raise OutOfMemory(str(error)) from None


@dataclass(frozen=True)
class EspnetRecogniser(AbsRecogniser):
    """A trained experiment as a recogniser.

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
    def blank_id(self) -> int:
        return self.model.blank_id

    @property
    def frame_shift(self) -> float:
        return self.frames.frame_shift

    @property
    def exact_frames(self) -> bool:
        return self.frames.exact

    @property
    def min_samples(self) -> int:
        return self.frames.min_samples

    @property
    def longest(self) -> float | None:
        """Seconds that the pretrained model takes at most; None where it takes any."""
        parts = (self.model.frontend, self.model.encoder)
        limits = (getattr(part, "max_duration", None) for part in parts)
        return min(filter(None, limits), default=None)

    @memory_of_the_device()
    @torch.inference_mode()
    def emission(self, speech: Sequence[np.ndarray]) -> Emission:
        """As ``AbsRecogniser``; what is longer than ``longest`` is read in overlapping chunks."""
        if self.is_too_long(speech):
            return self.emission_in_chunks(speech)
        encoder_out, encoder_out_lens = self.encoded(speech)
        log_probs = to_numpy(self.model.ctc.log_softmax(encoder_out).float())
        lengths = to_numpy(encoder_out_lens)
        return Emission(log_probs, lengths, self.frame_shift, self.blank_id, self.tokens)

    @torch.inference_mode()
    def encoded(self, speech: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the encoder makes of utterances, (B, S, H), and its frames, (B,)."""
        order = sorted(range(len(speech)), key=lambda row: -len(speech[row]))
        if order != list(range(len(speech))):  # ESPnet's recurrent encoders want the longest first
            encoder_out, encoder_out_lens = self.encoded([speech[row] for row in order])
            back = torch.tensor(order, device=encoder_out.device).argsort()
            return encoder_out[back], encoder_out_lens[back]
        samples, lengths = padded(speech)
        device = next(self.model.parameters()).device
        encoder_out, encoder_out_lens = self.model.encode(
            torch.from_numpy(samples).to(device), torch.from_numpy(lengths).to(device)
        )
        if isinstance(encoder_out, tuple):
            encoder_out = encoder_out[0]
        return encoder_out, encoder_out_lens


def load_recogniser(
    exp: str | Path, model_file: str, device: str = "cpu", needs_ctc: bool = True
) -> EspnetRecogniser:
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


def as_recogniser(model: ESPnetASRModel, args, path: Path) -> EspnetRecogniser:
    """A built model with ESPnet's arguments, read from ``path``; its parameters are numbers."""
    for name, parameter in model.named_parameters():
        if not torch.isfinite(parameter).all():
            raise UserError(f"{path} holds NaN in {name}: training diverged. Give another model.")
    frames = frame_counter(vars(args))
    groups = (args.model_conf or {}).get("groups")
    untagged = (getattr(args, "preprocessor_conf", None) or {}).get("whisper_language")
    tokens = list(args.token_list)
    return EspnetRecogniser(model.eval(), tokens, args.token_type, frames, groups, untagged)
