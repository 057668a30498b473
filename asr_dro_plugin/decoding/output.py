"""Transcripts of recordings, to the terminal or into a folder, each as soon as it is made."""

import dataclasses
import logging
from collections.abc import Iterable, Iterator, Sequence

from asr_dro_plugin.audio.inputs import short_ids
from asr_dro_plugin.audio.read_ahead import Location
from asr_dro_plugin.base.overwrite import refuse_earlier
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.decoding.parts import log_ended_early, words_of_ended_early
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.transcripts.files import ONE_FILE_EACH, TranscriptFiles, content_of
from asr_dro_plugin.transcripts.transcript import Transcript


def check_output(
    out: str | None, formats: Sequence[str], locations: Sequence[Location], overwrite: bool = False
) -> None:
    """Several formats, or files of several recordings, need a folder ``out``.

    Raises:
        UserError: there is none, or what would be written to it is there already.
    """
    number = len(locations)
    if out is not None:
        names = list(short_ids(locations).values())
        files = TranscriptFiles(out, formats, names, folders=False)
        return refuse_earlier(files.targets(names), overwrite)
    if len(formats) > 1:
        raise UserError(f"--format {' '.join(formats)} needs --out, a folder for the files.")
    a_file_each = formats[0] in ONE_FILE_EACH and number > 1
    if a_file_each or formats[0] == "nbest":
        raise UserError(f"--format {formats[0]} of {number} recordings needs --out, a folder.")


def write_transcripts(
    transcripts: Iterable[Transcript],
    out: str | None,
    formats: Sequence[str],
    locations: Sequence[Location],
    strict: bool,
) -> int:
    """Print or write the transcripts of recordings; how many have a fault.

    Raises:
        UserError: with ``strict``, the first fault.
    """
    transcripts = _told(transcripts, strict)
    if out is None:
        return sum(_printed(each, formats[0], len(locations) > 1) for each in transcripts)
    names, faults = short_ids(locations), 0
    with (
        TranscriptFiles(out, formats, list(names.values()), folders=False) as files,
        Progress(len(locations), "transcribe") as bar,
    ):
        for transcript in transcripts:
            files.add(dataclasses.replace(transcript, utt_id=names[transcript.utt_id]))
            faults += bool(transcript.fault)
            bar.advance()
    return faults


def _told(transcripts: Iterable[Transcript], strict: bool) -> Iterator[Transcript]:
    """The transcripts; one without text is told of, or with ``strict`` the end; and one that was
    ended early."""
    early, done = {}, 0
    for transcript in transcripts:
        done += 1
        if transcript.fault and strict:
            raise UserError(transcript.fault)
        if transcript.fault:
            named = transcript.utt_id in transcript.fault
            fact = "" if named else f"{transcript.utt_id} has no text: "
            logging.warning("%s%s", fact, transcript.fault)
        log_ended_early([transcript])
        if transcript.ended_early:
            early[transcript.utt_id] = transcript.ended_early
        yield transcript
    if len(early) > 1:
        logging.warning(words_of_ended_early(early, done))


def _printed(transcript: Transcript, name: str, named: bool) -> bool:
    """Print a transcript; whether it has a fault."""
    if name == "text":
        text = transcript.text
        print(f"{transcript.utt_id}\t{text}" if named else text, flush=True)
    else:
        print(content_of(name, transcript), end="", flush=True)
    return bool(transcript.fault)
