"""The transcriber that a decoding configuration asks for, and stage 12, which puts it to work."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.audio.read_ahead import batches_of, read_ahead
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.decoding.abs_decoder import AbsDecoder
from asr_dro_plugin.decoding.build import decoder_for
from asr_dro_plugin.decoding.command_line import Request
from asr_dro_plugin.decoding.parts import Locations, log_ended_early, log_faults
from asr_dro_plugin.decoding.runaway import WritingLimits
from asr_dro_plugin.espnet.decode.attention_transcriber import AttentionTranscriber
from asr_dro_plugin.espnet.decode.beam_search import BeamSearch
from asr_dro_plugin.espnet.decode.inference import EspnetRecogniser, load_recogniser
from asr_dro_plugin.espnet.model.ctc_scorer import has_ctc
from asr_dro_plugin.experiment.model_files import read_experiment_config
from asr_dro_plugin.transcribing.transcriber import Transcriber, TranscriberSettings
from asr_dro_plugin.transcripts.partial import GrowingHypotheses


def load_requested(request: Request) -> Transcriber:
    """The transcriber of a command line, whose decoder is made already."""
    model = request.model
    return load_transcriber(model.exp, model.file, model.device, request.config, request.decoder)


def told_languages(transcriber: Transcriber, request: Request) -> Transcriber:
    """The same model, which gives every utterance the language that it is said to be in.

    Args:
        transcriber: of ``load_requested``, for a request that has a decoder.
        request: of a decoding with ``lang: forced``.
    """
    return _transcriber_of(transcriber.recogniser, request.decoder, request.config)


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
    return _transcriber_of(recogniser, decoder, config)


def _transcriber_of(
    recogniser: EspnetRecogniser, decoder: AbsDecoder, config: Mapping
) -> Transcriber:
    settings = TranscriberSettings.of(config)
    if not has_ctc(recogniser.model):
        limits = WritingLimits.of(config)
        return AttentionTranscriber(recogniser, decoder.language, settings, limits)
    return Transcriber(recogniser, decoder, settings, decoder.language.only)


def decode_rest(
    transcriber: Transcriber,
    request: Request,
    transcripts: GrowingHypotheses,
    utt_ids: Sequence[str],
    durations: Mapping[str, float],
    locations: Locations,
) -> None:
    """Decode what is left of one part of a data directory, batch by batch.

    They are planned over all utterances, so that a batch's company stays the same after a kill.

    Args:
        transcriber: the model at work.
        request: how it decodes.
        transcripts: the part's file, which may hold some already.
        utt_ids: the part.
        durations: seconds of each utterance.
        locations: where each lies.
    """
    batches = batches_of(utt_ids, durations, request.config["batch_duration"])
    left = [batch for batch in batches if not transcripts.done.issuperset(batch)]
    places = ([locations[utt_id] for utt_id in batch] for batch in left)
    with transcripts, Progress(len(utt_ids), f"decode {locations.path.parent.name}") as bar:
        bar.advance(len(utt_ids) - sum(map(len, left)))
        for batch in read_ahead(places):
            found = transcriber(batch)
            log_faults(found, request.strict)
            log_ended_early(found)
            transcripts.add(found)
            bar.advance(len(batch))
