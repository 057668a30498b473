"""ESPnet's own decoding (``mode: espnet``), with transcripts as of every other decoder."""

import inspect
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from espnet2.bin.asr_inference import Speech2Text

from asr_dro_plugin.audio.read_ahead import SpeechItem
from asr_dro_plugin.decoding.build import has_ctc, tokens_of
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.decode.inference import as_recogniser
from asr_dro_plugin.experiment.config_paths import config_in_place
from asr_dro_plugin.experiment.model_files import find_model_file, read_experiment_config
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.transcribing.transcriber import Transcriber, TranscriberSettings, finite
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript

OURS = ("mode", "batch_duration", "times")  # keys of the configuration that ESPnet does not know


def suited_options(experiment: Mapping, config: Mapping) -> dict[str, Any]:
    """Arguments of ``Speech2Text`` that suit a model.

    The weight of CTC is 0 where there is none, and a beam holds no more than the vocabulary, of
    which the search would otherwise ask for more than there is.

    Args:
        experiment: its ``config.yaml``.
        config: the decoding configuration, as ``decoder_for`` has judged it.
    """
    options = {key: value for key, value in config.items() if key not in OURS}
    if not has_ctc(experiment):
        options.setdefault("ctc_weight", 0.0)
    default = inspect.signature(Speech2Text).parameters["beam_size"].default
    beam_size, num_tokens = options.get("beam_size", default), len(tokens_of(experiment))
    if beam_size > num_tokens:
        logging.warning("beam_size is %d, as many as there are tokens.", num_tokens)
        options["beam_size"] = num_tokens
    return options


class BeamSearch(Transcriber):
    """ESPnet's ``Speech2Text``, one utterance at a time; the text is as ESPnet spells it.

    Args:
        exp: the experiment.
        model_file: its model.
        device: cpu or cuda.
        config: the decoding configuration: keyword arguments of ``Speech2Text`` (beam_size,
            ctc_weight, penalty, nbest …) and ours.

    Raises:
        UserError: as ``load_recogniser``, or an argument that ``Speech2Text`` does not have.
    """

    takes_chunks = False

    def __init__(self, exp: str | Path, model_file: str, device: str, config: Mapping) -> None:
        experiment = read_experiment_config(exp, tokenizer=True)
        path = find_model_file(exp, model_file)
        options = suited_options(experiment, config)
        try:
            with config_in_place(exp) as config_file:
                self.speech2text = Speech2Text(
                    asr_train_config=str(config_file),
                    asr_model_file=str(path),
                    device=device,
                    **options,
                )
        except TypeError as error:
            raise UserError(f"The inference config does not suit ESPnet: {error}") from None
        model, args = self.speech2text.asr_model, self.speech2text.asr_train_args
        super().__init__(as_recogniser(model, args, path), None, TranscriberSettings.of(config))

    @torch.no_grad()
    def _decoded(self, batch: Sequence[SpeechItem]) -> list[Transcript]:
        return [self._searched(utterance) for utterance in batch]

    def _searched(self, utterance: SpeechItem) -> Transcript:
        found = [
            (Hypothesis(text or "", finite(float(hypothesis.score))), ids)
            for text, _, ids, hypothesis in self.speech2text(utterance.samples)
        ] or [(Hypothesis("", 0.0), [])]
        hypotheses = [hypothesis for hypothesis, _ in found]
        if self.settings.times:
            emission = self.recogniser.emission([utterance.samples])
            hypotheses[0] = self._timed(hypotheses[0], found[0][1], utterance, emission, 0)
        lang = split_tag(hypotheses[0].text)[0] or utterance.lang
        return Transcript(utterance.utt_id, tuple(hypotheses), lang, round(utterance.duration, 6))
