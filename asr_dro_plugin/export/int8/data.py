"""Speech for measuring: utterances with references, and training audio for calibration."""

import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.read_ahead import Location, in_groups, load, read_ahead
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.data.wav_scp import Item, read_items
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.read.data_sets import recipe_of, training_folder, valid_folder
from asr_dro_plugin.scoring.confidence import Units
from asr_dro_plugin.scoring.set_inputs import check_units, read_set_tables

MOST_SECONDS = 3600.0  # of speech that is measured
CALIBRATION_UTTERANCES, CALIBRATION_SECONDS = 96, 240.0
FEWEST = 20  # utterances of a language; fewer hardly show a difference
SEED = 0
REMEDY = "Give --int8_data FOLDER with wav.scp, text and utt2lang, for instance dump/raw/dev_NAME."
ARK_OFFSET = re.compile(r":\d+$")


@dataclass(frozen=True)
class References:
    """Utterances with what is said in them.

    Attributes:
        where: their folder.
        speech: utterance id -> (N,) float32 at ``SAMPLE_RATE``.
        texts: utterance id -> reference.
        languages: utterance id -> language.
        units: speakers, for the paired test.
        no_space: languages written without spaces.
        left_out: utterances that could not be read, or were beyond ``MOST_SECONDS``.
    """

    where: Path
    speech: Mapping[str, np.ndarray]
    texts: Mapping[str, str]
    languages: Mapping[str, str]
    units: Units = field(default_factory=Units)
    no_space: frozenset[str] = frozenset()
    left_out: int = 0

    @property
    def seconds(self) -> float:
        """Of all speech."""
        return sum(map(len, self.speech.values())) / SAMPLE_RATE

    def few(self) -> dict[str, int]:
        """Languages of fewer than ``FEWEST`` utterances, and how many these are."""
        langs = list(self.languages.values())
        counts = {lang: langs.count(lang) for lang in sorted(set(langs))}
        return {lang: count for lang, count in counts.items() if count < FEWEST}


def measuring_folder(given: Path | None, exp: Path, config: Mapping) -> Path:
    """The folder that was given, else the validation set of the experiment's training.

    Raises:
        UserError: there is none, or it lacks a table.
    """
    folder = given or valid_folder(config, recipe_of(exp))
    if folder is None:
        raise UserError(
            f"--int8 measures candidates on speech with references, and the validation set of "
            f"{exp} is not here. {REMEDY}"
        )
    for name in ("wav.scp", "text", "utt2lang"):
        if not (folder / name).is_file():
            raise UserError(
                f"--int8 needs speech with references: {folder} has no {name}. {REMEDY}"
            )
    return folder


def read_references(folder: Path, min_samples: int = 1, longest: float | None = None) -> References:
    """Read a data directory, evenly over languages where it is longer than ``MOST_SECONDS``.

    Args:
        folder: as ``measuring_folder`` gives it.
        min_samples: utterances with fewer are left out, for the model makes no frame of them;
        longest: seconds that the model takes at once, if it has a limit; others are left out.

    Raises:
        UserError: damaged tables, or not one utterance that can be read.
    """
    items = read_items(folder, allow_pipes=False)
    tables = read_set_tables(str(folder))
    languages, texts = tables.languages or {}, read_table(folder / "text")
    lacking = [item.utt_id for item in items if item.utt_id not in languages]
    if lacking:
        raise UserError(f"{folder}/utt2lang lacks {lacking[0]}. {REMEDY}")
    check_units(tables.units, texts)
    speech, seconds = {}, 0.0
    for utt_id, samples in _read(_mixed(items, languages), folder):
        if min_samples <= len(samples) <= (longest or math.inf) * SAMPLE_RATE:
            speech[utt_id] = samples
            seconds += len(samples) / SAMPLE_RATE
        if seconds > MOST_SECONDS:
            break
    if not speech:
        raise UserError(f"Not one utterance of {folder} can be read. {REMEDY}")
    return References(
        folder, speech, {utt: texts[utt] for utt in speech},
        {utt: languages[utt] for utt in speech}, tables.units, tables.no_space,
        len(items) - len(speech),
    )  # fmt: skip


def calibration_speech(exp: Path, config: Mapping) -> list[np.ndarray]:
    """Some utterances of the training set, evenly over languages; none where it is not here."""
    folder = training_folder(config, recipe_of(exp))
    if folder is None or not (folder / "utt2lang").is_file():
        return []
    items = read_items(folder, allow_pipes=False, need_text=False)
    mixed = _mixed(items, read_table(folder / "utt2lang"))[:CALIBRATION_UTTERANCES]
    found, seconds = [], 0.0
    for _, samples in _read(mixed, folder):
        found.append(samples)
        seconds += len(samples) / SAMPLE_RATE
        if seconds > CALIBRATION_SECONDS:
            break
    return found


def _mixed(items: Sequence[Item], languages: Mapping[str, str]) -> list[Item]:
    """In an order of which each beginning has about as many utterances of each language."""
    by_language: dict[str, list[Item]] = {}
    for item in items:
        by_language.setdefault(languages.get(item.utt_id, "-"), []).append(item)
    ranked = []
    for lang, group in sorted(by_language.items()):
        random.Random(SEED).shuffle(group)
        ranked += [(rank, lang, item) for rank, item in enumerate(group)]
    return [item for _, _, item in sorted(ranked, key=lambda each: each[:2])]


def _read(items: Sequence[Item], folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Samples of those that can be read."""
    places = [Location(i.utt_id, _found(i.path, folder), i.start, i.end) for i in items]
    for batch in read_ahead(in_groups(places), load):
        for item in batch:
            if not item.fault:
                yield item.utt_id, item.samples


def _found(path: str, folder: Path) -> str:
    """A path of ``wav.scp``; one that starts at the recipe's folder is found from elsewhere too."""
    file = Path(ARK_OFFSET.sub("", path))
    if file.is_absolute() or file.exists():
        return path
    starts = (above for above in folder.absolute().parents if (above / file).exists())
    return str(next(starts, Path()) / path)
