"""A trained experiment as something that turns speech into an ``Emission``."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from espnet2.asr.espnet_model import ESPnetASRModel
from espnet2.tasks.asr import ASRTask

from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.stack import frame_counter

SAMPLE_RATE = 16000


@dataclass(frozen=True)
class Recogniser:
    """A model in evaluation mode with what is needed to read its output."""

    model: ESPnetASRModel
    tokens: list[str]
    token_type: str
    frame_shift: float
    groups: list[str] | None

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
        return Emission(
            log_probs, encoder_out_lens, self.frame_shift, self.model.blank_id, self.tokens
        )


def find_model_file(exp: Path, model_file: str) -> Path:
    """The model file in ``exp``; an absent one is an error that lists what is there."""
    path = exp / model_file
    if not (exp / "config.yaml").exists():
        raise UserError(f"{exp} holds no config.yaml. Give --exp a trained experiment (stage 11).")
    if not path.exists():
        there = sorted(file.name for file in exp.glob("*.pth"))
        raise UserError(f"{path} does not exist. {exp} has: {' '.join(there) or 'no model'}.")
    return path


def load_recogniser(exp: str | Path, model_file: str, device: str = "cpu") -> Recogniser:
    """Load a trained experiment.

    ESPnet's own loader builds the model and fills it non-strictly, so a parameter that stayed
    random would go unnoticed: the names are compared here.

    Raises:
        UserError: no experiment, no such model file, or parameters that do not match the model.
    """
    exp = Path(exp)
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
        frame_counter(vars(args)).frame_shift,
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

    def text(self, speech: np.ndarray) -> str:
        """The best hypothesis of one utterance, (num_samples,) at 16 kHz."""
        results = self.speech2text(speech)
        return results[0][0] or ""


@contextlib.contextmanager
def quiet_import():
    """While ESPnet is imported and a model built, keep its warnings off a user's terminal."""
    import logging
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = logging.root.level
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
            logging.root.setLevel(level)


def read_inference_config(path: str | Path) -> dict:
    """The YAML of stage 12: ``mode`` (greedy or espnet) and that mode's options."""
    with open(path, encoding="utf-8") as stream:
        config = yaml.safe_load(stream) or {}
    return {"mode": "greedy", **config}
