"""Emissions of a data directory, computed once."""

import logging
from collections.abc import Sequence
from pathlib import Path

from asr_dro_plugin.audio.read_ahead import SpeechItem, batches_of, read_ahead
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.decoding.command_line import Request
from asr_dro_plugin.decoding.lm_tuning import EmissionStore
from asr_dro_plugin.decoding.parts import Locations, read_durations
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.espnet.decode.inference import load_recogniser
from asr_dro_plugin.transcribing.abs_recogniser import AbsRecogniser


def fill_store(request: Request, data_dir: Path, store: EmissionStore) -> dict[str, str]:
    """Fill an empty store with a data directory's emissions; the faults of those that have none.

    Raises:
        UserError: as ``load_recogniser``; not one can be decoded, or with ``strict`` one cannot.
    """
    model, faults = request.model, {}
    recogniser = load_recogniser(model.exp, model.file, model.device)
    locations, durations = Locations(data_dir, {}), read_durations(data_dir)
    utt_ids = sorted(durations, key=lambda utt_id: (-durations[utt_id], utt_id))
    batches = batches_of(utt_ids, durations, request.config["batch_duration"])
    places = ([locations[utt_id] for utt_id in batch] for batch in batches)
    with Progress(len(utt_ids), f"emissions {data_dir.name}") as bar:
        for batch in read_ahead(places):
            whole = _without_faults(recogniser, batch, faults)
            if whole:
                emission = recogniser.emission([each.samples for each in whole])
                store.add([each.utt_id for each in whole], emission)
            bar.advance(len(batch))
    if faults and request.strict:
        utt_id, fault = next(iter(faults.items()))
        raise UserError(f"{utt_id}: {fault} (--strict true).")
    if not len(store):
        raise UserError(f"No utterance of {data_dir} can be decoded. See the warnings above.")
    return faults


def _without_faults(
    recogniser: AbsRecogniser, batch: Sequence[SpeechItem], faults: dict[str, str]
) -> list[SpeechItem]:
    whole = []
    for each in batch:
        fault = each.fault
        if not fault and len(each.samples) < recogniser.min_samples:
            fault = f"is too short for the model ({each.duration:.3f} s)"
        if fault:
            faults[each.utt_id] = fault
            logging.warning("%s has no text: %s", each.utt_id, fault)
        else:
            whole.append(each)
    return whole
