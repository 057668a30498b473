"""A trained experiment as something that turns speech into an ``Emission``."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.tasks.asr import ASRTask

from asr_dro_plugin.decoding.greedy import greedy, tokens_to_text
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.named_files import check_named_files
from asr_dro_plugin.stack import FrameCounter, frame_counter

SAMPLE_RATE = 16000


@dataclass(frozen=True)
class Recogniser:
    """A model in evaluation mode with what is needed to read its output."""

    model: ESPnetASRModel
    tokens: list[str]
    token_type: str
    frames: FrameCounter
    groups: list[str] | None

    def texts(self, speech: Sequence[np.ndarray]) -> list[str]:
        """Greedy hypotheses of utterances; see ``emission``."""
        ids = greedy(self.emission(speech))
        return [tokens_to_text(row, self.tokens, self.token_type) for row in ids]

    @torch.no_grad()
    def emission(self, speech: Sequence[np.ndarray]) -> Emission:
        """Log probabilities of utterances.

        Args:
            speech: B float32 arrays (num_samples,) at 16 kHz, in -1..1.

        ESPnet's STFT mirrors the signal at the end of the *batch*: the last frame or two of a
        shorter utterance, and through the utterance's mean all others a little, depend on its
        company.  Our networks add nothing to that.
        """
        device = next(self.model.parameters()).device
        lengths = torch.tensor([len(x) for x in speech])
        padded = torch.zeros(len(speech), int(lengths.max()))
        for row, samples in zip(padded, speech, strict=True):
            row[: len(samples)] = torch.from_numpy(np.asarray(samples, dtype=np.float32))
        encoder_out, encoder_out_lens = self.model.encode(padded.to(device), lengths.to(device))
        if isinstance(encoder_out, tuple):
            encoder_out = encoder_out[0]
        log_probs = self.model.ctc.log_softmax(encoder_out).float()
        shift, blank_id = self.frames.frame_shift, self.model.blank_id
        return Emission(log_probs, encoder_out_lens, shift, blank_id, self.tokens)


def find_model_file(exp: Path, model_file: str) -> Path:
    """The model file in ``exp``; an absent one is an error that lists what is there."""
    path = exp / model_file
    if not path.exists():
        there = sorted(file.name for file in exp.glob("*.pth"))
        raise UserError(f"{path} does not exist. {exp} has: {' '.join(there) or 'no model'}.")
    return path


def read_experiment_config(exp: Path, tokenizer: bool = False) -> dict:
    """``config.yaml`` of an experiment, all of whose files are there."""
    path = exp / "config.yaml"
    if not path.exists():
        raise UserError(f"{exp} holds no config.yaml. Give --exp a trained experiment (stage 11).")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    check_named_files(config, path, tokenizer)
    return config


def load_recogniser(exp: str | Path, model_file: str, device: str = "cpu") -> Recogniser:
    """Load a trained experiment.

    ESPnet's own loader builds the model and fills it non-strictly, so a parameter that stayed
    random would go unnoticed: the names are compared here.

    Raises:
        UserError: no experiment, no such model file, a file that its config names is missing, or
            parameters that do not match the model.
    """
    exp = Path(exp)
    read_experiment_config(exp)
    path = find_model_file(exp, model_file)
    model, args = ASRTask.build_model_from_file(exp / "config.yaml", path, device)
    given = set(torch.load(path, map_location="meta", weights_only=True, mmap=True))
    wanted = set(model.state_dict())
    if given != wanted:
        raise UserError(
            f"{path} does not fit {exp}/config.yaml: missing {sorted(wanted - given)[:3]}, "
            f"unexpected {sorted(given - wanted)[:3]}. Train again, or restore the config."
        )
    if model.ctc is None:
        raise UserError(f"{exp} was trained without CTC; use an inference config of mode espnet.")
    return Recogniser(
        model.eval(),
        list(args.token_list),
        args.token_type,
        frame_counter(vars(args)),
        (args.model_conf or {}).get("groups"),
    )


class BeamSearch:
    """ESPnet's own ``Speech2Text``, one utterance at a time.

    Args:
        exp: the experiment.
        model_file: its model.
        options: keyword arguments of ``Speech2Text`` (beam_size, ctc_weight, penalty …).
    """

    def __init__(self, exp: str | Path, model_file: str, device: str, options: dict) -> None:
        from espnet2.bin.asr_inference import Speech2Text

        self.frames = frame_counter(read_experiment_config(Path(exp), tokenizer=True))
        path = find_model_file(Path(exp), model_file)
        try:
            self.speech2text = Speech2Text(
                asr_train_config=str(Path(exp) / "config.yaml"),
                asr_model_file=str(path),
                device=device,
                **options,
            )
        except TypeError as error:
            raise UserError(f"The inference config does not suit ESPnet: {error}") from None

    def texts(self, speech: Sequence[np.ndarray]) -> list[str]:
        """The best hypothesis of each utterance, (num_samples,) at 16 kHz."""
        return [self.speech2text(samples)[0][0] or "" for samples in speech]


def transcribe(
    recogniser: Recogniser | BeamSearch, speech: Mapping[str, np.ndarray]
) -> dict[str, str]:
    """Texts of utterances by name, decoded as one batch.

    An utterance of which the stack makes not one frame (shorter than half an STFT window, or than
    what an SSL model's convolutions see) would be an error alone and noise in a batch: its text is
    empty, and a warning names it.
    """
    texts = dict.fromkeys(speech, "")
    long_enough: dict[str, np.ndarray] = {}
    for name, samples in speech.items():
        if recogniser.frames.num_frames(len(samples)) > 0:
            long_enough[name] = samples
        else:
            seconds = len(samples) / SAMPLE_RATE
            logging.warning("%s is too short for the model (%.3f s): no text.", name, seconds)
    if long_enough:
        found = recogniser.texts(list(long_enough.values()))
        texts.update(zip(long_enough, found, strict=True))
    return texts


def read_inference_config(path: str | Path) -> dict:
    """The YAML of stage 12: ``mode`` (greedy or espnet) and that mode's options."""
    with open(path, encoding="utf-8") as stream:
        config = yaml.safe_load(stream) or {}
    return {"mode": "greedy", **config}
