"""Make a damaged data directory valid by leaving utterances out, never by inventing anything."""

import os
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import spk2utt, table_lines
from asr_dro_plugin.data import validate
from asr_dro_plugin.data.scan import Table, has_control, is_legal_id, scan
from asr_dro_plugin.data.validate import RULE, Checks
from asr_dro_plugin.errors import UserError

BACKUP = ".backup"


def fix(directory: str | os.PathLike, checks: Checks = RULE) -> list[str]:
    """Keep the utterances that every table gives whole; sort; make ``spk2utt`` again.

    The tables as they were are kept in ``.backup``.  A valid directory is not touched.

    Returns:
        What was done, one line each.

    Raises:
        UserError: a table is missing, or no utterance would be left; nothing was written.
    """
    folder = Path(directory)
    tables = read_tables(folder)
    text = tables["text"]
    text.rows = {utt_id: without_control(value) for utt_id, value in text.rows.items()}
    segmented = "segments" in tables
    levels = {name: t for name, t in tables.items() if validate.utterance_level(name, segmented)}
    utt_ids = sorted({utt_id for table in levels.values() for utt_id in table.rows})
    removed = {u: why for u in utt_ids if (why := next(faults(u, levels, tables, checks), ""))}
    if len(removed) == len(utt_ids):
        first = f" (first: {utt_ids[0]}: {removed[utt_ids[0]]})" if utt_ids else ""
        raise UserError(f"Fixing {folder} would leave no utterance{first}. Make it again.")
    contents = render(tables, [u for u in utt_ids if u not in removed], segmented)
    if all((folder / name).is_file() and (folder / name).read_bytes() == content
           for name, content in contents.items()):  # fmt: skip
        return [f"{folder}: nothing to fix, {len(utt_ids)} utterances."]
    back_up(folder, list(contents))
    for name, content in contents.items():
        with atomic_write(folder / name, "wb") as stream:
            stream.write(content)
    kept = len(utt_ids) - len(removed)
    words = f"{folder}: kept {kept} of {len(utt_ids)} utterances, files as they were in {BACKUP}/."
    reasons: dict[str, list[str]] = {}
    for utt_id, why in removed.items():
        reasons.setdefault(why, []).append(utt_id)
    cases = [f"  removed {len(u)}: {why} (first: {u[0]})" for why, u in sorted(reasons.items())]
    return [words, *cases]


def read_tables(folder: Path) -> dict[str, Table]:
    """Name -> table; spk2utt is not read, it follows from utt2spk."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a directory. Run the stage that makes it.")
    names = [name for name in validate.table_names(folder) if name != "spk2utt"]
    for name in names:
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing and cannot be guessed. Make it first.")
    return {name: scan(folder / name) for name in names}


def faults(
    utt_id: str, levels: dict[str, Table], tables: dict[str, Table], checks: Checks
) -> Iterator[str]:
    """Why an utterance cannot be kept, in words without the id."""
    if not is_legal_id(utt_id):
        yield "id with a space or control character"
    for name, table in levels.items():
        if utt_id not in table.rows:
            yield f"not in {name}"
        elif utt_id in table.conflicts:
            yield f"two different lines in {name}"
        elif why := value_fault(name, table.rows[utt_id], checks):
            yield f"{name}: {why}"
    if "segments" in levels:
        yield from recording_faults(levels["segments"].rows[utt_id], tables["wav.scp"], checks)


def recording_faults(segment: str, recordings: Table, checks: Checks) -> Iterator[str]:
    """Why the recording of a segment cannot be used."""
    recording = segment.split(" ")[0]
    if recording not in recordings.rows:
        yield "recording not in wav.scp"
    elif recording in recordings.conflicts:
        yield "two different lines in wav.scp"
    elif why := value_fault("wav.scp", recordings.rows[recording], checks):
        yield f"wav.scp: {why}"


def value_fault(name: str, value: str, checks: Checks) -> str:
    """What is wrong with one value of a table, without the value itself; empty when nothing is."""
    if has_control(value):
        return "control character"
    if name == "text":
        return "" if value or checks.allow_empty_text else "empty"
    if name == "wav.scp":
        absent = checks.check_audio and validate.missing_audio_fault(value)
        return "no such file" if absent else "" if value else "empty"
    if name == "segments" and validate.segment_fault(value):
        return "start and end do not make sense"
    if name in validate.ONE_WORD and validate.one_word_fault(value):
        return "not one word"
    return (
        "not a positive number"
        if name in validate.POSITIVE and validate.positive_fault(value)
        else ""
    )


def without_control(value: str) -> str:
    """A transcript with tabs, control characters and line separators turned into spaces."""
    if not has_control(value):
        return value
    spaced = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in value)
    return " ".join(word for word in "".join(spaced).split(" ") if word)


def render(tables: dict[str, Table], utt_ids: list[str], segmented: bool) -> dict[str, bytes]:
    """Content of every file for the utterances that stay."""
    names = [name for name in tables if validate.utterance_level(name, segmented)]
    kept = {name: {utt_id: tables[name].rows[utt_id] for utt_id in utt_ids} for name in names}
    if segmented:
        used = {value.split(" ")[0] for value in kept["segments"].values()}
        kept["wav.scp"] = {r: tables["wav.scp"].rows[r] for r in used}
    kept["spk2utt"] = spk2utt(kept["utt2spk"])
    return {name: "".join(table_lines(rows)).encode() for name, rows in kept.items()}


def back_up(folder: Path, names: list[str]) -> None:
    """Copy the tables to .backup, which is whole or as it was."""
    fresh = folder / f"{BACKUP}.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for name in names:
        if (folder / name).is_file():
            shutil.copy2(folder / name, fresh / name)
    shutil.rmtree(folder / BACKUP, ignore_errors=True)
    os.replace(fresh, folder / BACKUP)
