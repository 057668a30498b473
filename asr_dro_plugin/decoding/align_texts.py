"""Given texts and the audio that says them: words with times, and how well each text fits."""

import argparse
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from asr_dro_plugin.audio.read_ahead import Location, SpeechItem, read_ahead
from asr_dro_plugin.audio.silence import has_sound
from asr_dro_plugin.base.files import atomic_write
from asr_dro_plugin.base.kaldi_io import write_table
from asr_dro_plugin.base.progress import Progress
from asr_dro_plugin.data.wav_scp import read_items
from asr_dro_plugin.decoding.build import refuse_without_ctc, tokens_of
from asr_dro_plugin.decoding.command_line import Model, model_of
from asr_dro_plugin.decoding.units import Aligned, TextAligner
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.text.normalizers import get_normalizer
from asr_dro_plugin.transcripts.files import ctm_lines
from asr_dro_plugin.transcripts.transcript import Hypothesis, Transcript, to_json

MAX_LISTED = 10
FILES = {"ctm": "ctm", "json": "align.jsonl"}


def model_for_texts(args: argparse.Namespace) -> tuple[Model, TextAligner]:
    """The model of a command line and what places texts in its output; nothing is loaded.

    Raises:
        UserError: as ``model_of``; no such normaliser, a model without CTC, bpe without its
            sentencepiece model.
    """
    normalize = get_normalizer(args.text_norm)
    model = model_of(args, tokenizer=True)
    config = model.experiment
    refuse_without_ctc(config, model.exp)
    texts = TextAligner(
        tokens_of(config), config.get("token_type", "char"), config.get("bpemodel"), normalize
    )
    if args.lang and texts.tags and f"[{args.lang}]" not in texts.tags:
        known = " ".join(sorted(texts.tags))
        print(f"WARNING: the model has no [{args.lang}], only {known}.", file=sys.stderr)
    return model, texts


def locations_of(data_dir: str) -> list[Location]:
    """Where the utterances' sound is, in the order of their ids.

    Raises:
        UserError: as ``read_items``, or a directory whose copies are at other speeds.
    """
    items = read_items(data_dir, allow_pipes=False, need_text=False)
    if changed := [item.utt_id for item in items if item.speed != 1]:
        raise UserError(
            f"{data_dir}/utt2speed changes the speed of {changed[0]}. Align the directory "
            "from which it was made."
        )
    return [Location(each.utt_id, each.path, each.start, each.end) for each in items]


def aligned(
    locations: Sequence[Location],
    texts: Mapping[str, str],
    align: Callable[[SpeechItem, str], Aligned],
    strict: bool,
) -> Iterator[Transcript]:
    """A transcript with words for each location; one that cannot be aligned has its fault.

    ``texts`` is utt_id -> text; ``align`` places a text in an utterance, or raises ``UserError``;
    with ``strict`` the first fault is the end.
    """
    for name, fault in _alone(locations, texts).items():
        if strict:
            raise UserError(f"{name}: {fault}")
        yield Transcript(name, (Hypothesis(texts.get(name, ""), 0.0),), fault=fault)
    both = [location for location in locations if location.utt_id in texts]
    with Progress(len(both), "align") as bar:
        notes: list[str] = []
        for [utterance] in read_ahead([location] for location in both):
            yield _one(utterance, texts[utterance.utt_id], align, strict, notes)
            bar.advance()
    list_some(notes)


def _one(
    utterance: SpeechItem, text: str, align: Callable, strict: bool, notes: list[str]
) -> Transcript:
    """The transcript; words that the model has no tokens for go to ``notes``."""
    best, fault = Hypothesis(text, 0.0), ""
    if not utterance.fault and not has_sound(utterance.samples):
        logging.warning("%s has no sound: the times of its text mean nothing.", utterance.utt_id)
    try:
        found = align(utterance, text)
        best = Hypothesis(text, found.score, None, None, found.words, found.chars)
        notes += notes_of_unknown(utterance.utt_id, found)
    except UserError as error:
        if strict:
            raise UserError(f"{utterance.utt_id}: {error}") from None
        fault = str(error)
    return Transcript(utterance.utt_id, (best,), duration=utterance.duration or None, fault=fault)


def notes_of_unknown(name: str, found: Aligned) -> list[str]:
    """A line for each word of a text that the model has no tokens for."""
    return [
        f"WARNING: {name}: '{word}' has {lacks}, for which the model has no token: it gets the "
        "time between its neighbours."
        for word, lacks in found.unknown.items()
    ]


def _alone(locations: Sequence[Location], texts: Mapping[str, str]) -> dict[str, str]:
    """utt_id -> fault, of what has a text without audio or audio without a text."""
    heard = {location.utt_id for location in locations}
    silent = {utt_id: "It has a text, but no audio." for utt_id in texts if utt_id not in heard}
    unknown = {u: "It has audio, but no text." for u in sorted(heard) if u not in texts}
    return silent | unknown


def targets(out: str, kind: str) -> list[Path]:
    """The files of ``write_aligned`` in a folder."""
    return [Path(out) / name for name in (FILES[kind], "scores", "left_out")]


def write_aligned(
    results: Iterator[Transcript], out: str | None, kind: str
) -> tuple[dict[str, float], int]:
    """Write each result of ``aligned`` as it comes, name some faults on stderr.

    A folder ``out`` gets tables of scores and faults too; without one, all goes to the terminal.
    ``kind`` is ctm or json.  Gives each score, and the number of faults.
    """
    scores: dict[str, float] = {}
    left_out: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(atomic_write(Path(out) / FILES[kind])) if out else sys.stdout
        for result in results:
            stream.write(ctm_lines(result) if kind == "ctm" else to_json(result) + "\n")
            if result.fault:
                left_out[result.utt_id] = result.fault
            else:
                scores[result.utt_id] = result.best.score
    if out:
        write_table(Path(out) / "scores", {u: f"{score:.4f}" for u, score in scores.items()})
        write_table(Path(out) / "left_out", left_out)
    list_some([f"{utt_id}: {fault}" for utt_id, fault in left_out.items()])
    return scores, len(left_out)


def list_low(scores: Mapping[str, float], limit: float) -> None:
    """Name the utterances whose text fits worst."""
    low = sorted((score, utt_id) for utt_id, score in scores.items() if score < limit)
    list_some([f"{utt_id} fits badly: score {score:.2f}" for score, utt_id in low])


def list_some(lines: Sequence[str]) -> None:
    """Print lines on stderr, and of many how many more there are."""
    more = [f"... and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    print(*lines[:MAX_LISTED], *more, sep="\n", end="\n" if lines else "", file=sys.stderr)
