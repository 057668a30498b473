"""Stage 12's bookkeeping: which part decodes what, what a part is made from, how parts are joined.

Nothing here needs a model, nor more than a second.
"""

import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from asr_dro_plugin import __version__
from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.read_ahead import Location
from asr_dro_plugin.base.files import atomic_write, sha256_of
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.errors import SomeLeftOut, UserError
from asr_dro_plugin.experiment import CONFIG, ENDED_EARLY
from asr_dro_plugin.experiment.model_files import find_model_file, read_experiment_config
from asr_dro_plugin.text.normalizers import split_tag
from asr_dro_plugin.transcripts.files import NEED_TIMES, TranscriptFiles
from asr_dro_plugin.transcripts.partial import JoinedParts, remove_parts, source_at
from asr_dro_plugin.transcripts.transcript import Transcript

LEFT_OUT = "left_out.tsv"
TOLD = "forced_too"  # folder of what is decoded again with its language given
CONFIGURATION = "decoding configuration"  # its key in what parts are made from
SHOWN = 5  # utterances left out or ended early that a message names


def part_file(out_dir: str | os.PathLike, part: int, num_parts: int) -> Path:
    """Transcripts of one part."""
    return Path(out_dir) / "parts" / f"hyp.{part}of{num_parts}.jsonl"


def part_of(durations: Mapping[str, float], part: int, num_parts: int) -> list[str]:
    """Ids of a part, longest first; every part gets a like share of the long ones."""
    by_length = sorted(durations, key=lambda utt_id: (-durations[utt_id], utt_id))
    return by_length[part - 1 :: num_parts]


def read_durations(data_dir: Path) -> dict[str, float]:
    """Seconds of each utterance, from ``utt2num_samples`` of the dump."""
    path = data_dir / "utt2num_samples"
    durations = {}
    for utt_id, samples in read_table(path).items():
        if not samples.isdecimal():
            raise UserError(f"{path} gives '{utt_id}' {samples or 'no'} samples. Dump it again.")
        durations[utt_id] = int(samples) / SAMPLE_RATE
    return durations


class Locations:
    """``wav.scp`` of a directory, with languages by utterance id.

    An utterance that the table lacks has a place where nothing is.
    """

    def __init__(self, data_dir: Path, langs: Mapping[str, str]) -> None:
        self.path, self.langs = data_dir / "wav.scp", langs
        self.scp = read_table(self.path)

    def __getitem__(self, utt_id: str) -> Location:
        missing = f"{self.path} (no line for {utt_id})"
        return Location(utt_id, self.scp.get(utt_id, missing), lang=self.langs.get(utt_id))


def language_table(data_dir: Path) -> Path | None:
    """The file that says each utterance's language, if there is one."""
    paths = [data_dir / name for name in ("utt2lang", "utt2category")]
    return next((path for path in paths if path.exists()), None)


def read_langs(data_dir: Path, forced: bool) -> dict[str, str]:
    """Each utterance's language; where it is to be forced, a file must say it.

    Raises:
        UserError: ``lang: forced`` and neither ``utt2lang`` nor ``utt2category``.
    """
    path = language_table(data_dir)
    if forced and path is None:
        raise UserError(
            f"lang is forced, but {data_dir} has neither utt2lang nor utt2category. "
            "Add one, or decode with --lang free."
        )
    return read_table(path) if forced else {}


def warn_of_unknown_groups(data_dir: Path, experiment: Mapping) -> None:
    """Say which groups of the data the model was never trained on."""
    groups, category = (experiment.get("model_conf") or {}).get("groups"), data_dir / "utt2category"
    if groups and category.exists():
        unknown = sorted(set(read_table(category).values()) - set(groups))
        if unknown:
            logging.warning("%s has groups the model never saw: %s", data_dir, " ".join(unknown))


def source_of(
    exp: Path, model_file: str, config: Mapping, data_dir: Path, lm_dir: str | None
) -> dict[str, str]:
    """What decides the transcripts, by content; a directory that was moved stays the same.

    ``config`` is the decoding configuration with what the command line changes.
    """
    read_experiment_config(exp)
    files = {
        "model": find_model_file(exp, model_file),
        "training configuration": exp / CONFIG,
        "wav.scp": data_dir / "wav.scp",
        "utt2num_samples": data_dir / "utt2num_samples",
        **dict(_lm_files(lm_dir)),
        **dict(_named_files(config)),
    }
    if config.get("lang") == "forced":
        files["languages"] = language_table(data_dir)
    return {
        "version of asr-dro": __version__,
        CONFIGURATION: json.dumps(config, sort_keys=True),
        **{name: sha256_of(path) for name, path in files.items()},
    }


def _lm_files(lm_dir: str | None) -> Iterator[tuple[str, Path]]:
    """Files of the language models, by their names below ``lm_dir``, which may be one file."""
    if lm_dir is None:
        return
    folder = Path(lm_dir)
    for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
        if path.is_file():
            yield f"language model {path.relative_to(folder)}", path


def _named_files(config: Mapping) -> Iterator[tuple[str, Path]]:
    """Files that a configuration of ESPnet's decoding names."""
    for key, value in config.items():
        if key.endswith(("_file", "_config", "bpemodel")) and isinstance(value, str):
            if not Path(value).is_file():
                raise UserError(f"{key} of the decoding configuration, {value}, does not exist.")
            yield key, Path(value)


def written_files(data_dir: Path, out_dir: Path, formats: Sequence[str]) -> list[Path]:
    """What ``merge`` will write."""
    utt_ids = list(read_table(data_dir / "utt2num_samples"))
    return TranscriptFiles(out_dir, formats, utt_ids).targets(utt_ids)


def merge(
    data_dir: Path, out_dir: Path, num_parts: int, formats: Sequence[str], strict: bool = False
) -> None:
    """Join the parts into files of ``formats``, in Kaldi's order, every utterance exactly once.

    The order is that of the ids' bytes, and one transcript is in memory at a time.

    Raises:
        SomeLeftOut: utterances that have no text for a fault of their audio (``left_out.tsv``);
            everything is written.
        UserError: a part or an utterance is missing, parts are of different sources, or a format
            needs times and the parts hold none; with ``strict`` also an utterance left out.
    """
    paths = [part_file(out_dir, part, num_parts) for part in range(1, num_parts + 1)]
    parts = JoinedParts(paths)
    _check_times(paths[0], formats)
    wanted = sorted(read_table(data_dir / "utt2num_samples"), key=str.encode)
    missing = [utt_id for utt_id in wanted if utt_id not in parts]
    if missing:
        raise UserError(
            f"{out_dir} lacks {len(missing)} of {len(wanted)} hypotheses (first: "
            f"{missing[0]}). Run stage 12 again."
        )
    left_out, early = {}, {}
    with TranscriptFiles(out_dir, formats, wanted) as files:
        for transcript in parts.read(wanted):
            files.add(transcript)
            if transcript.fault:
                left_out[transcript.utt_id] = transcript.fault
            if transcript.ended_early:
                early[transcript.utt_id] = transcript.ended_early
    _write_reasons(out_dir / LEFT_OUT, "fault", left_out)
    _write_reasons(out_dir / ENDED_EARLY, "reason", early)
    _merge_told(data_dir, out_dir, num_parts, parts, wanted)
    remove_parts(paths[0].parent)
    if early:
        words = words_of_ended_early(early, len(wanted))
        logging.warning("%s All are in %s.", words, out_dir / ENDED_EARLY)
    if left_out:
        raise (UserError if strict else SomeLeftOut)(_words(left_out, len(wanted), out_dir))


def taken_for_others(path: Path, langs: Mapping[str, str], known: Collection[str]) -> list[str]:
    """Utterances of a whole part that were taken for another language than theirs, or for none.

    Args:
        langs: the language of each utterance.
        known: languages that the model can be told.
    """
    part = JoinedParts([path])
    return [
        transcript.utt_id
        for transcript in part.read(part)
        if not transcript.fault
        and langs.get(transcript.utt_id) in known
        and split_tag(transcript.text)[0] != langs[transcript.utt_id]
    ]


def _merge_told(
    data_dir: Path, out_dir: Path, num_parts: int, free: JoinedParts, wanted: Sequence[str]
) -> None:
    """``forced_too/text``: texts with the language given; those that were named rightly stay.

    An utterance of a language that the model cannot be told has none; without parts, no file.
    """
    folder = out_dir / TOLD
    paths = [part_file(folder, part, num_parts) for part in range(1, num_parts + 1)]
    if not paths[0].exists():
        (folder / "text").unlink(missing_ok=True)
        return
    again, langs = JoinedParts(paths), read_langs(data_dir, True)
    found = again.read(utt_id for utt_id in wanted if utt_id in again)
    with TranscriptFiles(folder, ["text"], wanted) as files:
        for transcript in free.read(wanted):
            utt_id = transcript.utt_id
            if utt_id in again:
                files.add(next(found))
            elif transcript.fault or split_tag(transcript.text)[0] == langs.get(utt_id):
                files.add(transcript)
    remove_parts(paths[0].parent)


def _check_times(path: Path, formats: Sequence[str]) -> None:
    """Refuse formats whose files would be empty: parts know their times only if asked for them."""
    needed = [name for name in formats if name in NEED_TIMES]
    config = json.loads(source_at(path).get(CONFIGURATION, "{}"))
    if needed and not config.get("times"):
        raise UserError(
            f"--formats {' '.join(needed)} needs times, and {path} holds none. Decode with the "
            "same --formats as here, or with times: true in the configuration, then merge."
        )


def _write_reasons(path: Path, column: str, reasons: Mapping[str, str]) -> None:
    """``utt_id reason`` of each, or no file."""
    if not reasons:
        path.unlink(missing_ok=True)
        return
    with atomic_write(path) as stream:
        stream.write(f"utt_id\t{column}\n")
        for utt_id, reason in reasons.items():
            stream.write(f"{utt_id}\t{reason}\n")


def _shown(reasons: Mapping[str, str]) -> str:
    """The first of them, and how many more there are."""
    shown = [f"{name}: {reason.rstrip('.')}" for name, reason in list(reasons.items())[:SHOWN]]
    more = len(reasons) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _words(left_out: Mapping[str, str], total: int, out_dir: Path) -> str:
    """One line: how many, the first of them, where all are listed."""
    return (
        f"{len(left_out)} of {total} utterances have no text ({_shown(left_out)}). All are in "
        f"{out_dir / LEFT_OUT}; the others are decoded. Mend or remove them."
    )


def words_of_ended_early(early: Mapping[str, str], total: int) -> str:
    """One line: how many texts were ended early, and the first of them."""
    return f"{len(early)} of {total} texts were ended early ({_shown(early)})."


def log_ended_early(transcripts: Sequence[Transcript]) -> None:
    """Warn of texts that were ended before the model ended them (``runaway``)."""
    for transcript in transcripts:
        if transcript.ended_early:
            logging.warning("%s was ended early: %s.", transcript.utt_id, transcript.ended_early)


def log_faults(transcripts: Sequence[Transcript], strict: bool) -> None:
    """Warn of utterances that have no text; with ``strict``, end with the first."""
    for transcript in transcripts:
        if transcript.fault and strict:
            raise UserError(f"{transcript.utt_id}: {transcript.fault.rstrip('.')} (--strict true).")
        if transcript.fault:
            logging.warning("%s has no text: %s", transcript.utt_id, transcript.fault)
