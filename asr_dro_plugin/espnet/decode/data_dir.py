"""Stage 12 at work: what is left of one part of a data directory, batch by batch."""

from collections.abc import Mapping, Sequence

from asr_dro_plugin.audio.read_ahead import batches_of, read_ahead
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.decoding.command_line import Request
from asr_dro_plugin.decoding.parts import Locations, log_faults
from asr_dro_plugin.espnet.decode.transcribers import load_requested
from asr_dro_plugin.transcripts.partial import GrowingHypotheses


def decode_rest(
    request: Request,
    transcripts: GrowingHypotheses,
    utt_ids: Sequence[str],
    durations: Mapping[str, float],
    locations: Locations,
) -> None:
    """Batches that are not on the disk yet.

    They are planned over all utterances, so that a batch's company stays the same after a kill.

    Args:
        request: the model, and how it decodes.
        transcripts: the part's file, which may hold some already.
        utt_ids: the part.
        durations: seconds of each utterance.
        locations: where each lies.
    """
    transcriber = load_requested(request)
    batches = batches_of(utt_ids, durations, request.config["batch_duration"])
    left = [batch for batch in batches if not transcripts.done.issuperset(batch)]
    places = ([locations[utt_id] for utt_id in batch] for batch in left)
    with transcripts, Progress(len(utt_ids), f"decode {locations.path.parent.name}") as bar:
        bar.advance(len(utt_ids) - sum(map(len, left)))
        for batch in read_ahead(places):
            found = transcriber(batch)
            log_faults(found, request.strict)
            transcripts.add(found)
            bar.advance(len(batch))
