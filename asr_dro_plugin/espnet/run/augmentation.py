"""What augmentation does to a few utterances, to be looked at and listened to.

``augmentation/epoch0001/UTT.png`` shows the features before and after: waveform augmentation
(ESPnet's preprocessor: room responses, noise, volume) and SpecAug.  ``UTT.before.wav`` is the sound
as it lies on the disk, ``UTT.after.wav`` that of training where it is another.  Masks that a
pretrained encoder draws inside itself are not shown.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from torch.utils.data import DataLoader, Dataset

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.errors import in_one_line
from asr_dro_plugin.espnet.batches.loaders import as_is, drawn_from
from asr_dro_plugin.espnet.model.lengths import NUM_SAMPLES
from asr_dro_plugin.espnet.process.randomness import RandomState
from asr_dro_plugin.espnet.process.signals import leave_signals_to_parent, start_workers
from asr_dro_plugin.espnet.run.run_base import RunBase
from asr_dro_plugin.espnet.run.trackers import Trackers
from asr_dro_plugin.espnet.run.validation import unchanged_buffers
from asr_dro_plugin.transcripts.file_names import escape_id

FOLDER = "augmentation"


@dataclass(frozen=True)
class Example:
    """An utterance before and after.

    Attributes:
        samples: (N,) in -1..1, before and after; nothing where training reads extracted features.
        features: (T, D), before and after.
        seconds: of speech, before and after.
        kind: what the features are, for the picture.
    """

    utt_id: str
    samples: tuple[np.ndarray, ...]
    features: tuple[np.ndarray, np.ndarray]
    seconds: tuple[float, float]
    kind: str

    @property
    def has_other_sound(self) -> bool:
        """Whether the waveform was augmented."""
        return bool(self.samples) and not np.array_equal(*self.samples)


class AugmentationLog:
    """Writes examples at the start of a training and every ``augmentation_interval`` epochs.

    Whatever goes wrong is one warning, and there are no more examples.  Nothing of it touches the
    training: generators, buffers and the loaders' open files stay as they are.
    """

    def __init__(self, run: RunBase) -> None:
        self.run = run
        self.count = run.options.augmentation_examples if run.ranks.is_first else 0

    def before_epoch(self, epoch: int, trackers: Trackers) -> None:
        """Write what is due, and give it to the trackers."""
        interval = self.run.options.augmentation_interval
        is_due = epoch == 1 or (interval > 0 and (epoch - 1) % interval == 0)
        if not self.count or not is_due or self.run.options.no_forward_run:
            return
        state = RandomState.now()
        try:
            with unchanged_buffers(self.run.model):
                self._write(epoch, trackers)
        except Exception as error:
            self.count = 0
            words = in_one_line(error)
            logging.warning("No more augmentation examples (%s: %s).", type(error).__name__, words)
        finally:
            state.restore()

    def _write(self, epoch: int, trackers: Trackers) -> None:
        run = self.run
        folder = run.output_dir / FOLDER / f"epoch{epoch:04d}"
        names = example_ids(run.train_iter_factory, self.count)
        for example in examples(run.model, run.train_iter_factory, names, run.options.seed, epoch):
            paths = write_example(example, folder)
            for path in paths:
                trackers.media(f"{FOLDER}/{path.stem}", path, run.position.steps)
        logging.info("Augmentation of %d utterances is shown in %s", len(names), folder)


def example_ids(factory: AbsIterFactory, count: int) -> list[str]:
    """Names of utterances of as many groups as there are, the first of each."""
    groups = getattr(factory, "group_ids", None)
    if groups is None:
        return [name for name, _ in zip(iter(factory.dataset), range(count), strict=False)]
    _, first = np.unique(groups, return_index=True)
    chosen = [*first.tolist(), *(n for n in range(len(groups)) if n not in set(first.tolist()))]
    return [factory.utt_ids[index] for index in chosen[:count]]


class _Pairs(Dataset):
    """The speech of an utterance as it is and as training gets it, and its seconds in both."""

    def __init__(self, dataset: Any, seeds: tuple[int, int]) -> None:
        self.dataset, self.seeds = dataset, seeds

    def __getitem__(
        self, item: tuple[int, str]
    ) -> tuple[tuple[np.ndarray, np.ndarray], tuple[float, float]]:
        number, utt_id = item
        loaders = self.dataset.loader_dict
        before = np.asarray(loaders["speech"][utt_id], dtype=np.float32)
        cache = getattr(self.dataset, "cache", None)
        self.dataset.cache = None  # training shall fill it itself
        try:
            with drawn_from(*self.seeds, number):
                _, arrays = self.dataset[utt_id]
        finally:
            self.dataset.cache = cache
        pair = before, np.asarray(arrays["speech"], dtype=np.float32)
        if NUM_SAMPLES in loaders:  # beside features
            return pair, (float(loaders[NUM_SAMPLES][utt_id][0]) / SAMPLE_RATE,) * 2
        return pair, tuple(len(samples) / SAMPLE_RATE for samples in pair)


def examples(
    model: torch.nn.Module, factory: AbsIterFactory, names: Sequence[str], seed: int, epoch: int
) -> Iterator[Example]:
    """Load and compute; in a loader's process of their own where training has such."""
    options = getattr(factory, "loader_options", None) or {"num_workers": factory.num_workers}
    loader = DataLoader(
        _Pairs(factory.dataset, (seed, epoch)),
        batch_size=None,
        sampler=list(enumerate(names)),
        collate_fn=as_is,
        num_workers=min(1, options["num_workers"]),
        worker_init_fn=leave_signals_to_parent,
        generator=torch.Generator(),
    )
    for name, (pair, seconds) in zip(names, start_workers(loader), strict=True):
        before, kind = features_of(model, pair[0], augmented=False)
        after, _ = features_of(model, pair[1], augmented=True)
        samples = tuple(pair) if pair[0].ndim == 1 else ()
        yield Example(name, samples, (before, after), tuple(seconds), kind)


@torch.no_grad()
def features_of(
    model: torch.nn.Module, samples: np.ndarray, augmented: bool
) -> tuple[np.ndarray, str]:
    """(T, D) features that the model makes of a waveform (N,), or of extracted ones, and what they
    are."""
    param = next(model.parameters())
    speech = torch.as_tensor(samples, dtype=param.dtype, device=param.device)[None]
    lengths = torch.tensor([speech.shape[1]], device=param.device)
    was_training = model.training
    model.eval()
    try:
        if model.frontend is None:
            return _log_spectrum(speech[0]), "log spectrum, before the encoder"
        features, lengths = model._extract_feats(speech, lengths)
        if augmented and model.specaug is not None:
            model.specaug.train()
            features, _ = model.specaug(features, lengths)
    finally:
        model.train(was_training)
    return features[0].float().cpu().numpy(), type(model.frontend).__name__


def _log_spectrum(speech_N: torch.Tensor) -> np.ndarray:
    """(T, 257) log power of windows of 512 samples, one each 10 ms."""
    window = torch.hann_window(512, device=speech_N.device)
    spectrum = torch.stft(
        speech_N.float(), 512, hop_length=SAMPLE_RATE // 100, window=window, return_complex=True
    )
    return (spectrum.abs() ** 2 + 1e-10).log().T.cpu().numpy()


def write_example(example: Example, folder: Path) -> list[Path]:
    """Picture and sounds in ``folder``; their paths, the picture first."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    name = escape_id(example.utt_id)
    picture = folder / f"{name}.png"
    draw(example, picture)
    paths = [picture]
    for when, samples in zip(("before", "after"), example.samples, strict=False):
        if when == "after" and not example.has_other_sound:
            continue
        paths.append(folder / f"{name}.{when}.wav")
        soundfile.write(paths[-1], samples, SAMPLE_RATE, subtype="PCM_16")
    return paths


def draw(example: Example, path: Path) -> None:
    """Features before and after, one above the other, on one scale of colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    low, high = np.percentile(example.features[0], (1, 99))
    sound = "waveform augmented too" if example.has_other_sound else "waveform as it was"
    titles, both = ("before", f"after ({sound})"), figure.subplots(2, 1, sharex=True)
    rows = zip(both, titles, example.features, example.seconds, strict=True)
    for axes, title, features, seconds in rows:
        axes.imshow(
            features.T, origin="lower", aspect="auto", vmin=low, vmax=high, cmap="magma",
            extent=(0, seconds, 0, features.shape[1]), interpolation="nearest",
        )  # fmt: skip
        axes.set_title(title, fontsize=10)
        axes.set_ylabel(f"{example.kind}, dimension", fontsize=8)
    axes.set_xlabel("seconds")
    title = f"{example.utt_id}: augmentation of training"
    figure.suptitle(title, fontsize=11, parse_math=False)  # an id may hold dollar signs
    canvas.print_png(str(path))
