"""Alpha and beta of a language model on a dev set whose emissions are computed once."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import yaml

from asr_dro_plugin.base.files import atomic_write, sha256_of
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.base.yaml_files import load_config
from asr_dro_plugin.decoding import parts
from asr_dro_plugin.decoding.abs_decoder import to_numpy
from asr_dro_plugin.decoding.command_line import Request
from asr_dro_plugin.decoding.greedy import speller
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm import grid
from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.scoring.set_inputs import read_set_tables
from asr_dro_plugin.text.normalizers import recorded

FILE = "log_probs.float16"
TUNED = ("lm_weight", "word_score")


class EmissionStore:
    """Log probabilities of a whole set in one file, to be decoded many times.

    In half precision (three digits; 2 bytes a frame and symbol).  Memory stays flat: a batch is in
    it at a time.

    Args:
        folder: where the file is written; it is the caller's to remove.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.path = Path(folder) / FILE
        self.path.touch()
        self._places: list[tuple[str, int, int]] = []  # utterance, first frame, frames
        self._like: Emission | None = None

    def __len__(self) -> int:
        return len(self._places)

    @property
    def num_frames(self) -> int:
        """Frames of all utterances."""
        return sum(length for _, _, length in self._places)

    def add(self, utt_ids: Sequence[str], emission: Emission) -> None:
        """Append a batch."""
        log_probs, lengths = to_numpy(emission.log_probs), to_numpy(emission.lengths)
        begin = self.num_frames
        with self.path.open("ab") as stream:
            for utt_id, frames, length in zip(utt_ids, log_probs, lengths.tolist(), strict=True):
                stream.write(frames[:length].astype(np.float16).tobytes())
                self._places.append((utt_id, begin, length))
                begin += length
        empty = np.zeros((0, 0, log_probs.shape[2]), np.float32)
        self._like = replace(emission, log_probs=empty, lengths=np.zeros(0, int))

    def batches(self, seconds: float) -> Iterator[tuple[list[str], Emission]]:
        """Utterances, longest first, in batches of at most so many padded seconds."""
        if self._like is None:
            return
        most = seconds / self._like.frame_shift
        batch: list[tuple[str, int, int]] = []
        for place in sorted(self._places, key=lambda place: (-place[2], place[0])):
            if batch and batch[0][2] * (len(batch) + 1) > most:
                yield self._read(batch)
                batch = []
            batch.append(place)
        yield self._read(batch)

    def _read(self, batch: list[tuple[str, int, int]]) -> tuple[list[str], Emission]:
        vocab = self._like.log_probs.shape[2]
        lengths = np.array([length for _, _, length in batch])
        log_probs = np.zeros((len(batch), int(lengths.max()), vocab), np.float32)
        for row, (_, begin, length) in enumerate(batch):
            values = np.fromfile(self.path, np.float16, length * vocab, offset=2 * begin * vocab)
            log_probs[row, :length] = values.reshape(length, vocab)
        found = replace(self._like, log_probs=log_probs, lengths=lengths)
        return [utt_id for utt_id, _, _ in batch], found


def refuse_untunable(config: Mapping, where: str) -> None:
    """Only a configuration of mode lm has what is tuned here."""
    if config["mode"] != "lm":
        raise UserError(
            f"{where} is of mode {config['mode']}, which has no alpha and beta. "
            "Give one of mode lm (conf/decode_asr_lm_word.yaml)."
        )


def open_trials(
    request: Request, data_dir: Path, out: Path, text_norm: str, criterion: str
) -> grid.Trials:
    """Trials so far, if they are of the same model, data and settings."""
    rest = {key: value for key, value in request.config.items() if key not in TUNED}
    model = request.model
    source = parts.source_of(Path(model.exp), model.file, rest, data_dir, request.lm_dir)
    source |= {"text": sha256_of(data_dir / "text"), "text_norm": recorded(text_norm)}
    return grid.Trials(out.with_suffix(".json"), source, criterion)


def tune(
    request: Request,
    trials: grid.Trials,
    data_dir: Path,
    text_norm: str,
    store: EmissionStore,
    fill: Callable[[EmissionStore], dict[str, str]],
    alphas: grid.Point,
    betas: grid.Point,
    num: int | None,
) -> dict[str, str]:
    """Try what is not tried yet; returns utterances without emission and why.

    Args:
        request: the model and a decoder of mode lm.
        trials: those so far, which grow.
        text_norm: what both texts go through before they are scored.
        fill: computes the emissions of an empty store once something is to be tried; the faults.
        alphas, betas: the values of the grid, or the ranges.
        num: so many points spread over the ranges; None for the grid.
    """
    faults: dict[str, str] = {}

    def evaluate(point: grid.Point) -> grid.Trial:
        if not len(store):  # everything may be tried already
            faults.update(fill(store))
        request.decoder.models.reweigh(*point)
        return measure(request, store, data_dir, text_norm, point)

    total = num or len(set(alphas)) * len(set(betas)) + 8
    with Progress(total, f"tune-lm {data_dir.name}") as bar:
        shown = lambda trial: bar.advance(1, f"best {100 * trials.figure(trials.best):.2f} %")  # noqa: E731
        run = partial(grid.run_points, num=num) if num else grid.run_grid
        run(trials, evaluate, alphas=alphas, betas=betas, on_trial=shown)
    return faults


def measure(
    request: Request, store: EmissionStore, data_dir: Path, text_norm: str, point: grid.Point
) -> grid.Trial:
    """Decode the set and score it."""
    begin, hypotheses = time.monotonic(), {}
    config, decoder = request.config, request.decoder
    spell = speller(decoder.models.tokens, decoder.models.token_type)
    langs = parts.read_langs(data_dir, config["lang"] == "forced")
    for utt_ids, emission in store.batches(config["batch_duration"]):
        given = [langs.get(utt_id) for utt_id in utt_ids]
        for utt_id, paths in zip(utt_ids, decoder(emission, given), strict=True):
            hypotheses[utt_id] = spell(paths[0].ids)
    groups = parts.language_table(data_dir)
    tables = read_set_tables(str(data_dir / "text"), str(groups) if groups else None)
    found = score(
        read_table(data_dir / "text"), hypotheses, tables.languages, text_norm,
        no_space=tables.no_space,
    )  # fmt: skip
    rates = found.macro("cer"), found.macro("wer"), found.rate(found.worst("cer"), "cer")
    return grid.Trial(*point, *rates, round(time.monotonic() - begin, 3))


def write_tuned(
    request: Request, trials: grid.Trials, config: str, data_dir: Path, out: Path
) -> None:
    """The configuration with the best weights; its first lines say where they come from."""
    given, best = load_config(config), trials.best
    tuned = {**given, "lm_weight": best.lm_weight, "word_score": best.word_score}
    names = [key for key in TUNED if tuned[key] != given.get(key)]
    differs = f"differs from {Path(config).name} in {', '.join(names)}" if names else (
        f"the same as {Path(config).name}")  # fmt: skip
    head = (
        f"# Tuned on {data_dir.name} with {Path(request.model.exp).name} and "
        f"{Path(request.lm_dir).name}; {differs}.\n"
        f"# {trials.title} {100 * trials.figure(best):.2f} %, the best of "
        f"{len(trials.done)} trials ({trials.path.name}).\n"
    )
    with atomic_write(out) as stream:
        stream.write(head + yaml.safe_dump(tuned, sort_keys=False, allow_unicode=True))
