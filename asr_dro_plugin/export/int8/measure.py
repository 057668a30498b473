"""``asr-dro export --to onnx --int8``: every candidate made and measured, the best one kept."""

import logging
import math
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.errors import in_one_line
from asr_dro_plugin.export.int8.candidates import CANDIDATES, Candidate, NotPossible, size_of
from asr_dro_plugin.export.int8.choice import Measured, as_data, chosen
from asr_dro_plugin.export.int8.data import References, calibration_speech, read_references
from asr_dro_plugin.export.int8.errors import LossGate, Reader, compared, scored, texts_of
from asr_dro_plugin.export.int8.speed import ROUNDS, THREADS, processor, sample_of, speeds
from asr_dro_plugin.runtime.manifest import FP32, INT8, MODEL
from asr_dro_plugin.scoring import Score

FILE, BASE = MODEL[INT8], FP32


@dataclass(frozen=True)
class Setting:
    """What candidates are measured with.

    Attributes:
        references: speech and texts.
        calibration: training audio, (N,) float32 each; empty where there is none.
        read: log probabilities (T, V) -> text.
        gate: what a candidate must not cost.
        languages: those of the model.
        text_norm: what both texts go through before they are compared.
        rounds: of the measurement of speed.
    """

    references: References
    calibration: Sequence[np.ndarray]
    read: Callable[[np.ndarray], str]
    gate: LossGate = LossGate()
    languages: Sequence[str] = ()
    text_norm: str = "lower_no_punct"
    rounds: int = ROUNDS


def setting_of(
    exp: Path, config: Mapping, facts: Mapping, data_dir: Path, gate: LossGate
) -> Setting:
    """What an experiment's graph is measured with.

    Args:
        exp, config: the experiment.
        facts: its manifest, so far.
        data_dir: as ``data.measuring_folder`` gives it.
    """
    read = Reader(
        facts["tokens"], facts["token_type"], facts["blank_id"], facts["frame_shift"],
        facts["decode"],
    )  # fmt: skip
    longest = facts["longest"]
    references = read_references(data_dir, facts["min_samples"], longest)
    calibration = [
        samples
        for samples in calibration_speech(exp, config)
        if facts["min_samples"] <= len(samples) <= (longest or math.inf) * SAMPLE_RATE
    ]
    return Setting(references, calibration, read, gate, facts["languages"], rounds=ROUNDS)


def add_int8(model: Path, setting: Setting) -> dict:
    """Measure all candidates of a model; the one that is chosen becomes ``FILE`` beside it.

    Args:
        model: the fp32 file, complete.
        setting: what it is measured with.

    Returns:
        What ``choice.as_data`` gives; ``chosen`` is ``fp32`` where no candidate was kept.
    """
    with tempfile.TemporaryDirectory(dir=model.parent, prefix=".int8.") as folder:
        rows = [Measured(None, model, size=size_of(model))]
        for candidate in CANDIDATES:
            rows.append(made(candidate, model, Path(folder), setting.calibration))
        rows = _with_errors(rows, setting)
        rows = _with_speed(rows, setting)
        best = chosen(rows, setting.gate)
        if best.candidate:
            _keep(best.file, model.with_name(FILE))
    return as_data(rows, setting.gate, _facts(rows, setting))


def made(candidate: Candidate, model: Path, folder: Path, calibration) -> Measured:
    """Write a candidate; one that onnxruntime cannot make or load is told, and left out."""
    out = folder / candidate.name / FILE
    out.parent.mkdir()
    try:
        candidate.write(model, out, calibration)
        from asr_dro_plugin.export.int8.sessions import opened

        opened(out, 1)
    except NotPossible as reason:
        return Measured(candidate, reason=str(reason))
    except Exception as error:  # of onnx, onnxruntime, protobuf: there is no common class
        logging.debug("%s", candidate.name, exc_info=True)
        words = in_one_line(error, 120) or type(error).__name__
        return Measured(candidate, reason=f"onnxruntime cannot make it ({words})")
    return Measured(candidate, out, size=size_of(out))


def _with_errors(rows: list[Measured], setting: Setting) -> list[Measured]:
    """The rows, candidates compared with the first one."""
    references, there = setting.references, [row for row in rows if row.file]
    with Progress(len(there) * len(references.speech), "measure errors") as bar:
        scores = {
            row.name: scored(texts_of(row.file, references, setting.read, bar), references,
                             setting.text_norm)
            for row in there
        }  # fmt: skip
    first, *others = rows
    return [
        replace(first, cer=scores[BASE].total.cer.rate),
        *(_compared(row, scores[BASE], scores[row.name], references) if row.file else row
          for row in others),
    ]  # fmt: skip


def _compared(row: Measured, base: Score, other: Score, references: References) -> Measured:
    return replace(row, cer=other.total.cer.rate, comparison=compared(base, other, references))


def _with_speed(rows: list[Measured], setting: Setting) -> list[Measured]:
    """The rows, with their speed at each number of threads."""
    models = {row.name: row.file for row in rows if row.file}
    sample = sample_of(list(setting.references.speech.values()))
    with Progress(len(models) * len(THREADS) * setting.rounds, "measure speed") as bar:
        found = {
            threads: speeds(models, BASE, sample, threads, bar, setting.rounds)
            for threads in THREADS
        }
    return [
        replace(row, speed={n: each[row.name] for n, each in found.items()}) if row.file else row
        for row in rows
    ]


def _keep(file: Path, place: Path) -> None:
    """Move a model and the file of its weights, if it has one, whose name it knows."""
    for part in file.parent.glob(f"{file.name}*"):
        shutil.move(part, place.with_name(part.name))


def _facts(rows: Sequence[Measured], setting: Setting) -> Mapping:
    references = setting.references
    return {
        "set": references.where.name, "utterances": len(references.speech),
        "seconds": round(references.seconds, 1), "left_out": references.left_out,
        "calibration_utterances": len(setting.calibration), "processor": processor(),
        "few": references.few(),
        "not_measured": sorted(set(setting.languages) - set(references.languages.values())),
    }  # fmt: skip
