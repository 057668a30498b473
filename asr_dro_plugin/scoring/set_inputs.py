"""The tables that a scoring takes besides the transcripts, named or found beside the reference."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.base.recipe_files import recipe_file
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.scoring.confidence import Units
from asr_dro_plugin.text.languages import TABLE, read_languages

NONE = "none"


@dataclass(frozen=True)
class SetTables:
    """What is known of a set's utterances.

    Args:
        languages: utterance id -> group, None: one group.
        durations: utterance id -> seconds, None where unknown.
        units: speakers or recordings for the intervals.
        no_space: languages written without spaces.
        scripts: language -> ISO 15924 code of what it is written in.
    """

    languages: Mapping[str, str] | None
    durations: Mapping[str, float] | None
    units: Units
    no_space: frozenset[str]
    scripts: Mapping[str, str]


def read_set_tables(
    reference: str,
    groups: str | None = None,
    utt2dur: str | None = None,
    units: str | None = None,
    languages: str | None = None,
) -> SetTables:
    """Read the tables named, and of the others those beside the reference that are there.

    Args:
        reference: file or folder of the references.
        groups: ``utt2lang`` or any table id -> group; ``none``: one group.
        utt2dur: seconds; else ``utt2dur`` or ``utt2num_samples``.
        units: ``utt2spk``, or a table of recordings (``segments``, ``utt2reco``); ``none``.
        languages: ``local/languages.tsv``; ``none``: every language has spaces.
    """
    folder = folder_of(reference)
    groups_path = _named_or_beside(groups, folder / "utt2lang")
    units_path = _named_or_beside(units, folder / "utt2spk")
    languages_path = _named_or_beside(languages, recipe_file(TABLE))
    known = read_languages(languages_path) if languages_path else {}
    return SetTables(
        languages=read_table(groups_path, allow_empty_value=False) if groups_path else None,
        durations=read_durations(folder, utt2dur),
        units=_units(units_path) if units_path else Units(),
        no_space=frozenset(iso for iso, lang in known.items() if lang.no_space),
        scripts={iso: lang.script for iso, lang in known.items()},
    )


def folder_of(reference: str) -> Path:
    """Where tables lie beside a reference: in it if it is a folder."""
    path = Path(reference).absolute()
    return path if path.is_dir() else path.parent


def check_units(units: Units, utt_ids: Mapping[str, str]) -> None:
    """Refuse a table of speakers or recordings that lacks utterances."""
    lacking = [] if units.of_utt is None else sorted(set(utt_ids) - set(units.of_utt))
    if lacking:
        raise UserError(
            f"The table of {units.kind}s lacks {len(lacking)} of {len(utt_ids)} reference "
            f"utterances (first: {lacking[0]}). Mend it, or give --units none."
        )


def _named_or_beside(named: str | None, *beside: Path | None) -> Path | None:
    if named:
        return None if named == NONE else Path(named)
    return next((path for path in beside if path and path.is_file()), None)


def _units(path: Path) -> Units:
    """First word of each value, so that ``segments`` gives the recording; alone, an utterance."""
    of_utt = {
        utt_id: value.split()[0]
        for utt_id, value in read_table(path, allow_empty_value=False).items()
    }
    if len(set(of_utt.values())) == len(of_utt):
        return Units()
    return Units("speaker" if "spk" in path.name else "recording", of_utt)


def read_durations(folder: Path, utt2dur: str | None = None) -> dict[str, float] | None:
    """Seconds by utterance, from the file named or the one in the folder, if any."""
    path = Path(utt2dur or folder / "utt2dur")
    scale = 1.0
    if not utt2dur and not path.exists():
        path, scale = folder / "utt2num_samples", 1.0 / SAMPLE_RATE
        if not path.exists():
            return None
    try:
        return {utt_id: float(value) * scale for utt_id, value in read_table(path).items()}
    except ValueError as error:
        raise UserError(f"{path} holds something other than a number ({error}).") from None
