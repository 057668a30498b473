"""The transcriber that a decoding configuration asks for."""

import os
from collections.abc import Mapping
from pathlib import Path

from asr_dro_plugin.decoding.build import build_decoder
from asr_dro_plugin.decoding.options import LANGUAGE_RULES
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.decode.attention_transcriber import AttentionTranscriber
from asr_dro_plugin.espnet.decode.beam_search import BeamSearch
from asr_dro_plugin.espnet.decode.inference import load_recogniser
from asr_dro_plugin.espnet.decode.transcriber import Transcriber, TranscriberSettings
from asr_dro_plugin.experiment.model_files import read_experiment_config


def load_transcriber(
    exp: str | Path,
    model_file: str,
    device: str,
    config: Mapping,
    lm_dir: str | os.PathLike | None = None,
    strict: bool = False,
) -> Transcriber:
    """Load a trained experiment with the decoder of ``config`` (``read_decode_config``).

    Raises:
        UserError: as ``load_recogniser`` and ``build_decoder``.
    """
    if config["mode"] == "espnet":
        _refuse_whisper(exp)
        return BeamSearch(exp, model_file, device, config)
    recogniser = load_recogniser(exp, model_file, device, needs_ctc=False)
    if recogniser.model.ctc is None:
        return AttentionTranscriber(recogniser, config)
    blank_id = recogniser.model.blank_id
    decoder = build_decoder(
        config, recogniser.tokens, recogniser.token_type, blank_id, lm_dir, strict
    )
    return Transcriber(recogniser, decoder, TranscriberSettings.of(config), only_language(config))


def _refuse_whisper(exp: str | Path) -> None:
    """ESPnet's search knows neither its prompt nor its tokens."""
    if read_experiment_config(exp).get("decoder") == "hf_whisper":
        raise UserError(
            f"{exp} is a Whisper, which ESPnet's own search cannot decode. Use "
            "conf/decode_asr_greedy.yaml."
        )


def only_language(config: Mapping) -> str | None:
    """The language that ``lang`` leaves, where it leaves one alone."""
    codes = config.get("lang", "free").split()
    return codes[0] if len(codes) == 1 and codes[0] not in LANGUAGE_RULES else None
