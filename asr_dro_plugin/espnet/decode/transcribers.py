"""The transcriber that a decoding configuration asks for."""

from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.decoding.abs_decoder import AbsDecoder
from asr_dro_plugin.decoding.build import decoder_for
from asr_dro_plugin.decoding.command_line import Request
from asr_dro_plugin.espnet.decode.attention_transcriber import AttentionTranscriber
from asr_dro_plugin.espnet.decode.beam_search import BeamSearch
from asr_dro_plugin.espnet.decode.inference import load_recogniser
from asr_dro_plugin.espnet.decode.transcriber import Transcriber, TranscriberSettings
from asr_dro_plugin.experiment.model_files import read_experiment_config


def load_requested(request: Request) -> Transcriber:
    """The transcriber of a command line, whose decoder is made already."""
    model = request.model
    return load_transcriber(model.exp, model.file, model.device, request.config, request.decoder)


def load_transcriber(
    exp: str | Path,
    model_file: str,
    device: str,
    config: Mapping,
    decoder: AbsDecoder | None = None,
) -> Transcriber:
    """Load a trained experiment with the decoder of ``config`` (``read_decode_config``).

    Args:
        exp: the experiment.
        model_file: its model file.
        device: cpu or cuda.
        config: the decoding configuration.
        decoder: of ``decoder_for``; None makes it, without a language model.

    Raises:
        UserError: as ``load_recogniser`` and ``decoder_for``.
    """
    decoder = decoder or decoder_for(read_experiment_config(exp), config)
    if decoder is None:
        return BeamSearch(exp, model_file, device, config)
    recogniser = load_recogniser(exp, model_file, device, needs_ctc=False)
    settings = TranscriberSettings.of(config)
    if recogniser.model.ctc is None:
        return AttentionTranscriber(recogniser, decoder.language, settings)
    return Transcriber(recogniser, decoder, settings, decoder.language.only)
