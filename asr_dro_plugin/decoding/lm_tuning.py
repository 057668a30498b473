"""Weights of a language model on a dev set whose emissions are computed once."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
from asr_dro_plugin.decoding.options import WEIGHTS
from asr_dro_plugin.decoding.weights import LanguageWeights, Weights
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm import grid
from asr_dro_plugin.lm.by_language import MIN_CHARS, MIN_UTTS, FoldCounts, Point, choose
from asr_dro_plugin.scoring.error_rates import score
from asr_dro_plugin.scoring.scores import Score
from asr_dro_plugin.scoring.set_inputs import read_set_tables
from asr_dro_plugin.text.normalizers import recorded

FILE = "log_probs.float16"
TUNED = (*WEIGHTS, "by_language")


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


@dataclass(frozen=True)
class Plan:
    """What is tuned, and how far.

    Args:
        data_dir: the dev set.
        text_norm: what both texts go through before they are scored.
        search: where to look.
        by_language: whether languages may get weights of their own.
        min_chars, min_utts: from how much text on, as ``lm.by_language`` has it.
    """

    data_dir: Path
    text_norm: str
    search: grid.Search
    by_language: bool = True
    min_chars: int = MIN_CHARS
    min_utts: int = MIN_UTTS


def open_trials(request: Request, plan: Plan, out: Path, criterion: str) -> grid.Trials:
    """Trials so far, if they are of the same model, data and settings."""
    rest = {key: value for key, value in request.config.items() if key not in TUNED}
    model, data_dir = request.model, plan.data_dir
    source = parts.source_of(Path(model.exp), model.file, rest, data_dir, request.lm_dir)
    source |= {"text": sha256_of(data_dir / "text"), "text_norm": recorded(plan.text_norm)}
    return grid.Trials(out.with_suffix(".json"), source, criterion, data_dir.name)


def tune(
    request: Request,
    trials: grid.Trials,
    plan: Plan,
    store: EmissionStore,
    fill: Callable[[EmissionStore], dict[str, str]],
) -> dict[str, str]:
    """Try what is not tried yet; returns utterances without emission and why.

    Args:
        request: the model and a decoder of mode lm.
        trials: those so far, which grow.
        store: gets the emissions once something is to be tried.
        fill: computes them; the faults.
    """
    faults: dict[str, str] = {}

    def evaluate(joint: Point, own: Mapping[str, Point]) -> tuple[grid.Trial, dict]:
        if not len(store):  # everything may be tried already
            faults.update(fill(store))
        weights = {lang: _weights(request.config, point) for lang, point in own.items()}
        joint_weights = _weights(request.config, joint)
        request.decoder.models.weights = LanguageWeights(joint_weights, weights)
        return measure(request, store, plan, joint)

    with Progress(plan.search.num_trials, f"tune-lm {plan.data_dir.name}") as bar:
        shown = lambda: bar.advance(1, f"best {100 * trials.figure(trials.best):.2f} %")  # noqa: E731
        grid.run_joint(trials, evaluate, plan.search, shown)
    if plan.by_language:
        _tune_languages(trials, plan, evaluate)
    else:
        trials.choices, trials.together = {}, None
    return faults


def _weights(config: Mapping, point: Point) -> Weights:
    return LanguageWeights.of({**config, **dict(zip(WEIGHTS, point)), "by_language": None}).joint


def _tune_languages(trials: grid.Trials, plan: Plan, evaluate: grid.Evaluate) -> None:
    """Weights by language, and what they come to together."""
    joint, floor = trials.best.point, (trials.metric, plan.min_chars, plan.min_utts)
    choice = lambda lang: choose(lang, trials.counts[lang], joint, *floor)  # noqa: E731
    enough = [lang for lang in trials.counts if choice(lang).has_evidence]
    if enough:
        with Progress(plan.search.num_trials, f"tune-lm {len(enough)} languages") as bar:
            grid.run_by_language(trials, evaluate, plan.search, enough, bar.advance)
    choices = {lang: choice(lang) for lang in trials.counts}
    chosen, before = (
        {lang: c.point for lang, c in each.items()} for each in (choices, trials.choices)
    )
    if trials.together is None or chosen != before:
        own = {lang: each.point for lang, each in choices.items() if not each.reason}
        trials.together = evaluate(joint, own)[0] if own else trials.done[joint]
    trials.choices = choices


def measure(
    request: Request, store: EmissionStore, plan: Plan, joint: Point
) -> tuple[grid.Trial, dict[str, FoldCounts]]:
    """Decode the set with the decoder's weights and score it; also by decided language."""
    begin, hypotheses, decided = time.monotonic(), {}, {}
    config, decoder, data_dir = request.config, request.decoder, plan.data_dir
    spell = speller(decoder.models.tokens, decoder.models.token_type)
    langs = parts.read_langs(data_dir, config["lang"] == "forced")
    codes = {column: lang for lang, column in decoder.language.tags.items()}
    for utt_ids, emission in store.batches(config["batch_duration"]):
        given = [langs.get(utt_id) for utt_id in utt_ids]
        for utt_id, paths in zip(utt_ids, decoder(emission, given), strict=True):
            ids = paths[0].ids
            hypotheses[utt_id] = spell(ids)
            decided[utt_id] = codes.get(ids[0]) if ids and codes else langs.get(utt_id)
    groups = parts.language_table(data_dir)
    tables = read_set_tables(str(data_dir / "text"), str(groups) if groups else None)
    found = score(
        read_table(data_dir / "text"), hypotheses, tables.languages, plan.text_norm,
        no_space=tables.no_space,
    )  # fmt: skip
    rates = found.macro("cer"), found.macro("wer"), found.rate(found.worst("cer"), "cer")
    cer = {lang: found.rate(lang, "cer") for lang in found.groups}
    trial = grid.Trial(*joint, *rates, cer, round(time.monotonic() - begin, 3))
    return trial, _by_decided(found, decided)


def _by_decided(found: Score, decided: Mapping[str, str | None]) -> dict[str, FoldCounts]:
    """What was counted of the utterances of each language that was decided on."""
    counts = found.utterances.counts
    columns = [(each.errors, each.ref) for each in (counts["cer"], counts["wer"])]
    rows = np.stack([column for pair in columns for column in pair], axis=1)
    places: dict[str, list[int]] = {}
    for place, utt_id in sorted(enumerate(found.utterances.utt_ids), key=lambda each: each[1]):
        if lang := decided.get(utt_id):
            places.setdefault(lang, []).append(place)
    return {lang: FoldCounts.of(rows[each]) for lang, each in sorted(places.items())}


def joint_path(out: Path) -> Path:
    """Where the joint weights alone are written, for a comparison."""
    return out.with_stem(f"{out.stem}_joint")


def write_tuned(
    request: Request, trials: grid.Trials, config: str, data_dir: Path, out: Path
) -> None:
    """The configuration with the best weights; its first lines say where they come from.

    Where languages have their own, the joint weights alone are in ``joint_path(out)``.
    """
    given = load_config(config)
    joint = {**given, **dict(zip(WEIGHTS, trials.best.point))}
    if not trials.best.blank_penalty and "blank_penalty" not in given:
        del joint["blank_penalty"]
    joint.pop("by_language", None)
    own = {lang: choice.point for lang, choice in trials.choices.items() if not choice.reason}
    weights = {lang: dict(zip(WEIGHTS, own[lang])) for lang in sorted(own)}
    where = (
        f"# Tuned on {data_dir.name} with {Path(request.model.exp).name} and "
        f"{Path(request.lm_dir).name}; "
    )
    best = f"# {trials.title} {100 * trials.figure(trials.best):.2f} %"
    last = f", the best of {len(trials.done)} trials ({trials.path.name}).\n"
    joint_path(out).unlink(missing_ok=True)
    if not own:
        _write_config(out, joint, where + _differs(joint, given, config) + best + last)
        return
    tuned = {**joint, "by_language": weights}
    by_language = f", {100 * trials.figure(trials.together):.2f} % with weights by language"
    _write_config(out, tuned, where + _differs(tuned, given, config) + best + by_language + last)
    _write_config(joint_path(out), joint, where + _differs(joint, tuned, out.name) + best + last)


def _differs(ours: Mapping, theirs: Mapping, name: str) -> str:
    keys = [key for key in TUNED if ours.get(key) != theirs.get(key)]
    if not keys:
        return f"the same as {Path(name).name}.\n"
    return f"differs from {Path(name).name} in {', '.join(keys)}.\n"


def _write_config(path: Path, config: Mapping, head: str) -> None:
    with atomic_write(path) as stream:
        stream.write(head + yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
