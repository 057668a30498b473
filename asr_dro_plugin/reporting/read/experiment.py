"""All that a report needs of an experiment, read once; what is missing stays empty.

What is there but damaged is noted in ``faults`` and left out.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from asr_dro_plugin.base.kaldi_io import read_lines
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.experiment import CONFIG
from asr_dro_plugin.reporting.read.data_sets import (
    DataSet,
    dump_folder,
    read_set,
    recipe_of,
    training_folder,
)
from asr_dro_plugin.reporting.read.facts import read_config, read_seen
from asr_dro_plugin.reporting.read.history import History, read_history
from asr_dro_plugin.reporting.read.score_files import read_score, score_paths
from asr_dro_plugin.reporting.read.utterances import ScoredUtterance, read_utterances


@dataclass(eq=False)
class Decoding:
    """One set, decoded in one way by one model: what the rows of a comparison are.

    ``tag`` is the decoding's folder (ESPnet's inference tag), ``report`` its ``score.json``.
    """

    experiment: "Experiment"
    tag: str
    set_name: str
    report: Mapping

    @property
    def folder(self) -> Path:
        """Where the hypotheses lie."""
        return self.experiment.path / self.tag / self.set_name

    @cached_property
    def utterances(self) -> list[ScoredUtterance] | None:
        """Rows of ``utts.tsv``; None where there is none that can be read."""
        return self.experiment.attempt(lambda: read_utterances(self.folder / "utts.tsv"))


@dataclass(eq=False)
class Experiment:
    """One experiment's folder.

    Attributes:
        name: unique among the experiments of a report.
        dump: where the data sets lie; None to look where the training's configuration says.
        faults: what was there and could not be read, a line each.
    """

    path: Path
    name: str
    dump: Path | None = None
    faults: list[str] = field(default_factory=list)

    def attempt(self, read: Callable, otherwise: object = None):
        """What ``read()`` gives; ``otherwise`` where that fails on the user's data, noted."""
        try:
            return read()
        except UserError as error:
            if str(error) not in self.faults:
                self.faults.append(str(error))
            return otherwise

    @cached_property
    def config(self) -> dict:
        """``config.yaml``, or empty."""
        return self.attempt(lambda: read_config(self.path), {})

    @cached_property
    def groups(self) -> list[str]:
        """Names of the training's groups, usually languages."""
        if self.config.get("groups"):
            return [str(group) for group in self.config["groups"]]
        path = self.path / "groups.txt"
        return self.attempt(lambda: read_lines(path), []) if path.exists() else []

    @cached_property
    def decodings(self) -> list[Decoding]:
        """All that were scored, test sets first."""
        found = [(path, self.attempt(lambda p=path: read_score(p)))
                 for path in score_paths(self.path)]  # fmt: skip
        return [
            Decoding(self, path.parent.parent.name, path.parent.name, report)
            for path, report in found
            if report is not None
        ]

    @cached_property
    def history(self) -> History | None:
        """Figures along the training; None where it left none."""
        return self.attempt(lambda: read_history(self.path))

    @cached_property
    def seen(self) -> list[dict]:
        """Rows of ``seen.json``: what training passed over, repeats included; or empty."""
        return self.attempt(lambda: read_seen(self.path), [])

    @cached_property
    def training_set(self) -> DataSet | None:
        """What the model was trained on, where its data directory is here."""
        folder = training_folder(self.config, recipe_of(self.path))
        return self.attempt(lambda: read_set(folder)) if folder else None

    def set_folder(self, set_name: str) -> Path | None:
        """Data directory of a set; None where it is not here."""
        dump = self.dump or dump_folder(self.config, recipe_of(self.path))
        return dump / set_name if dump and (dump / set_name).is_dir() else None

    def data_set(self, set_name: str) -> DataSet | None:
        """Durations and lengths of a set; None where its data directory is not here."""
        folder = self.set_folder(set_name)
        return self.attempt(lambda: read_set(folder)) if folder else None


def faults_of(experiments: Iterable[Experiment]) -> list[str]:
    """What could not be read, each once."""
    return list(dict.fromkeys(fault for each in experiments for fault in each.faults))


def open_experiments(paths: list[str | os.PathLike], dump: str | None) -> list[Experiment]:
    """Experiments by their folders, each with a name of its own.

    Raises:
        UserError: a folder that does not exist or is no experiment, or one given twice.
    """
    folders = [Path(os.path.abspath(path)) for path in paths]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder. Give an experiment, for example exp/asr_mini.")
        if not ((folder / CONFIG).exists() or score_paths(folder)):
            raise UserError(
                f"{folder} is no experiment: it has neither config.yaml nor a score. "
                "Give a folder below exp/ that stage 11 made."
            )
    if len(set(folders)) < len(folders):
        raise UserError("An experiment is given twice. Name each one once.")
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = [f"{folder.parent.name}/{folder.name}" for folder in folders]
    return [
        Experiment(folder, name, Path(dump) if dump else None)
        for folder, name in zip(folders, names)
    ]
