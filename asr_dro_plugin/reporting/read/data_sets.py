"""The data that an experiment was trained and tested on: durations and lengths by language."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.scoring.set_inputs import read_durations
from asr_dro_plugin.text.normalizers import split_tag


@dataclass(frozen=True)
class DataSet:
    """One data directory.

    Attributes:
        name: of the folder.
        durations: seconds of each utterance; empty where the folder has none.
        langs: language of each utterance, in the same order; ``-`` where it is not known.
        lengths: characters of the transcripts as they are trained on, without their tags; empty
            where there is no text.
        speakers: of each utterance; empty where they are not known.
    """

    name: str
    durations: tuple[float, ...]
    langs: tuple[str, ...]
    lengths: tuple[int, ...]
    speakers: tuple[str, ...] = ()

    @property
    def hours(self) -> float:
        """Of all utterances."""
        return sum(self.durations) / 3600

    def hours_by_language(self) -> dict[str, float]:
        """Sorted by language; empty where durations are not known."""
        hours: dict[str, float] = {}
        for lang, seconds in zip(self.langs, self.durations, strict=False):
            hours[lang] = hours.get(lang, 0.0) + seconds / 3600
        return dict(sorted(hours.items()))


def recipe_of(exp: Path) -> Path:
    """The folder that paths in an experiment's files start from: the recipe's.

    An experiment lies in ``RECIPE/exp/NAME``; what is moved elsewhere is looked up from where the
    command was given.
    """
    above = Path(os.path.abspath(exp)).parents[1:2]
    return next((folder for folder in above if (folder / "dump").is_dir()), Path.cwd())


def training_folder(config: Mapping, recipe: Path) -> Path | None:
    """Data directory of the training set; None where the configuration names none that exists."""
    return _folder(config, "train", recipe)


def valid_folder(config: Mapping, recipe: Path) -> Path | None:
    """Data directory of the validation set; None where the configuration names none that exists."""
    return _folder(config, "valid", recipe)


def dump_folder(config: Mapping, recipe: Path) -> Path | None:
    """Where the training set lies, and so the other sets."""
    folders = [_folder(config, part, recipe) for part in ("train", "valid")]
    found = next((folder for folder in folders if folder), None)
    return found.parent if found else next(iter(sorted(recipe.glob("dump/raw"))), None)


def _folder(config: Mapping, part: str, recipe: Path) -> Path | None:
    for path, *_ in config.get(f"{part}_data_path_and_name_and_type") or ():
        folder = recipe / Path(path).parent
        if (folder / "wav.scp").exists():
            return folder
    return None


@cache
def read_set(folder: Path) -> DataSet:
    """Read a data directory; read once, for several experiments share it.

    Raises:
        UserError: damaged tables.
    """
    durations = read_durations(folder) or {}
    texts = table_of(folder / "text")
    langs = table_of(folder / "utt2lang")
    speakers = table_of(folder / "utt2spk")
    known = speakers and len(set(speakers.values())) < len(speakers)
    return DataSet(
        folder.name,
        tuple(durations.values()),
        tuple(langs.get(utt_id, "-") for utt_id in durations or texts),
        tuple(len(split_tag(text)[1]) for text in texts.values()),
        tuple(speakers.get(utt_id, "-") for utt_id in durations or texts) if known else (),
    )


def table_of(path: Path) -> dict[str, str]:
    """A table; empty where there is none."""
    return read_table(path) if path.exists() else {}
