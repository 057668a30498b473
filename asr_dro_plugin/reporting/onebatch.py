"""What a one batch test found: lines for a reader, JSON for scripts, a picture of its curves."""

import dataclasses
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from asr_dro_plugin.base.files import atomic_write

JSON_NAME, PICTURE_NAME = "onebatchtest.json", "onebatchtest.png"
# Why a test ends, in words.
ENDS = {
    "reached": "WER 0",
    "max_updates": "the last update allowed",
    "max_seconds": "the time was up",
    "interrupted": "interrupted",
    "no_rate": "the learning rate is 0",
}


@dataclass
class OneBatchRun:
    """A test from its beginning; what is not known yet is empty.

    Attributes:
        config: the YAML.
        utt_ids, references, hypotheses: of the batch; hypotheses as last decoded.
        planned, number: utterances of the planned batch they were taken from, and its number.
        speech_seconds, num_labels: of the batch.
        too_short: utterance -> (frames, frames needed), left out.
        off: what of the YAML was turned off.
        learning, parameters: parameters that learn, and all.
        rate_from: where the first learning rate comes from.
        rates: (update, rate, why) of each learning rate.
        losses: of each update; wers: (update, WER) of each decoding.
        seconds: since the first update.
        ended: a key of ``ENDS``; empty while it runs.
    """

    config: str
    utt_ids: list[str]
    references: list[str]
    planned: int
    number: int
    speech_seconds: float
    num_labels: int
    too_short: dict[str, tuple[int, int]]
    off: list[str]
    learning: int
    parameters: int
    rate_from: str = ""
    hypotheses: list[str] = field(default_factory=list)
    rates: list[tuple[int, float, str]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    wers: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    ended: str = ""

    @property
    def reached(self) -> bool:
        """Whether the batch is decoded without an error."""
        return self.ended == "reached"

    @property
    def updates(self) -> int:
        """Updates of the optimizer, those of abandoned beginnings included."""
        return len(self.losses)

    @property
    def wer(self) -> float | None:
        """Of the last decoding; None before the first."""
        return self.wers[-1][1] if self.wers else None


def beginning(run: OneBatchRun) -> Iterator[str]:
    """What is about to be learned, and with what."""
    yield (
        f"One batch test of {run.config}: {len(run.utt_ids)} of the {run.planned} utterances of "
        f"planned batch {run.number}, the shortest ({' '.join(run.utt_ids)}); "
        f"{run.speech_seconds:.1f} s of speech, {run.num_labels} tokens."
    )
    for utt_id, (frames, needed) in run.too_short.items():
        yield f"  left out: {utt_id}, whose {frames} frames are fewer than the {needed} CTC needs"
    yield f"  turned off: {', '.join(run.off) or 'nothing, there was nothing to turn off'}"
    yield f"  learning rate {run.rates[0][1]:g} ({run.rate_from}), the same all along"
    yield f"  {run.learning:,} of {run.parameters:,} parameters learn"


def ending(run: OneBatchRun) -> Iterator[str]:
    """Whether the batch was learned, and if not what is wrong and what usually is."""
    if run.reached:
        yield (
            f"WER 0 reached after {run.updates} updates in {run.seconds:.1f} s, loss "
            f"{run.losses[0]:.2f} -> {run.losses[-1]:.2f}."
        )
        return
    wer = "nothing decoded yet" if run.wer is None else f"WER is {100 * run.wer:.1f} %"
    yield (
        f"WER 0 not reached: {wer} after {run.updates} updates in {run.seconds:.1f} s "
        f"({ENDS[run.ended]})."
    )
    for utt_id, ref, hyp in zip(run.utt_ids, run.references, run.hypotheses):
        if ref != hyp:
            yield f"  {utt_id}"
            yield f"    reference   {ref}"
            yield f"    hypothesis  {hyp or '(nothing)'}"
    yield "What to look at:"
    yield from (f"  - {line}" for line in advice(run))


def advice(run: OneBatchRun) -> Iterator[str]:
    """What may keep this run from learning its batch, the likeliest first."""
    if run.ended == "no_rate":
        yield "the learning rate is 0: set optim_conf.lr, or give --learning_rate"
        return
    if len(run.rates) > 1:
        rate = run.rates[-1][1]
        yield f"the learning rate had to be lowered, to {rate:.2g} at last: begin with less"
    elif _fell(run):
        yield "the loss was still falling: more --max_updates and --max_seconds, or a higher rate"
    else:
        yield "the loss did not fall: a higher --learning_rate (or a lower one, if it jumps)"
    if run.learning < run.parameters:
        share = 100 * run.learning / run.parameters
        yield f"only {share:.2g} % of the parameters learn (freeze_param, freeze_cnn, an adapter)"
    if run.too_short:
        yield "frames are too few for some texts: an encoder with shorter frames"
    if any("<unk>" in reference for reference in run.references):
        yield "the references hold <unk>: the token list does not fit the texts"


def _fell(run: OneBatchRun) -> bool:
    """Whether the last tenth of the updates has a lower loss than the tenth before."""
    tenth = max(1, run.updates // 10)
    if run.updates < 2 * tenth:
        return True
    last, before = run.losses[-tenth:], run.losses[-2 * tenth : -tenth]
    return sum(last) < 0.99 * sum(before)


def write_files(run: OneBatchRun, directory: str | os.PathLike) -> None:
    """``onebatchtest.json`` and ``onebatchtest.png``."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    found = {**dataclasses.asdict(run), "reached": run.reached, "updates": run.updates}
    found["losses"] = [loss if math.isfinite(loss) else None for loss in run.losses]
    with atomic_write(directory / JSON_NAME) as stream:
        json.dump(found, stream, ensure_ascii=False, indent=1, allow_nan=False)
    draw(run, directory / PICTURE_NAME)


def draw(run: OneBatchRun, path: str | os.PathLike) -> None:
    """Loss (left, logarithmic) and WER (right) over the updates, and where the rate was lowered."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(range(1, run.updates + 1), run.losses, color="C0")
    axes.set(xlabel="updates", title=Path(run.config).name)
    axes.set_ylabel("loss of an utterance (nats)", color="C0")
    if any(loss > 0 for loss in run.losses):
        axes.set_yscale("log")
    right = axes.twinx()
    if run.wers:
        right.plot(*zip(*((x, 100 * y) for x, y in run.wers)), color="C1", marker=".", markersize=3)
    right.set_ylabel("WER (%)", color="C1")
    right.set_ylim(bottom=0)
    for update, rate, _ in run.rates[1:]:
        axes.axvline(update, color="grey", linestyle=":")
        axes.annotate(f"{rate:.2g}", (update, 1), xycoords=("data", "axes fraction"), va="top")
    with atomic_write(path, "wb") as stream:
        FigureCanvasAgg(figure).print_png(stream)
