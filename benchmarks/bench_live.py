"""What live transcription costs: CER against the same model on the whole recording, and delay.

    benchmarks/bench_live.py FOLDER DATA            an exported model; a dumped set (wav.scp, text)
    benchmarks/bench_live.py FOLDER DATA --left 0 2 5 --longest 10 20

Three ways of speaking: an utterance and a commit; a minute of utterances of one language with
pauses of ``PAUSE`` seconds; a minute without pauses, which must be cut amid speech.  Told are the
CER of the whole recording, of the live finals and of the words that were told before them (the
deltas), the difference of the finals with its paired 95 % interval over recordings, how long after
its end a word is told (median, 95th per cent), and the seconds of a processor a second of speech
takes.  An exact stack must show no difference at all where pauses or commits end items.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.files import read
from asr_dro_plugin.base.kaldi_io import read_table
from asr_dro_plugin.runtime import Recogniser
from asr_dro_plugin.runtime.live.session import Final, Interim, LiveSession, TurnEnds
from asr_dro_plugin.scoring.edit_distance import count_edits
from asr_dro_plugin.scoring.paired import differences
from asr_dro_plugin.text.normalizers import split_tag

PAUSE, MINUTE, PIECE = 1.0, 60.0, 0.1  # seconds
HISS = 1e-3  # level of a pause: no room is quite silent


@dataclass
class Recording:
    """Speech (N,) float32 of one language, and what is said."""

    lang: str
    samples: np.ndarray
    text: str


@dataclass
class Said:
    """What one way of transcribing made of a recording."""

    text: str
    told: str = ""
    delays: list[float] = field(default_factory=list)
    seconds: float = 0.0


def utterances(data: Path) -> list[Recording]:
    """Those of a data directory, in its order."""
    texts, made = read_table(data / "text"), []
    for name, location in read_table(data / "wav.scp").items():
        samples, _ = read(str(location))
        lang, text = split_tag(texts[name])
        made.append(Recording(lang or "", samples.astype(np.float32), text))
    return made


def minutes(speech: Sequence[Recording], pause: float) -> list[Recording]:
    """Utterances of one language one after another, as many as make a minute."""
    rng, made = np.random.default_rng(0), []
    hiss = HISS * rng.standard_normal(round(pause * SAMPLE_RATE)).astype(np.float32)
    for lang in dict.fromkeys(each.lang for each in speech):
        open_ones: list[Recording] = []
        own = [each for each in speech if each.lang == lang]
        for each in own:
            open_ones.append(each)
            if sum(len(o.samples) for o in open_ones) > MINUTE * SAMPLE_RATE or each is own[-1]:
                pieces = [part for o in open_ones for part in (o.samples, hiss)]
                made.append(Recording(lang, np.concatenate(pieces),
                                      " ".join(o.text for o in open_ones)))  # fmt: skip
                open_ones = []
    return made


def whole(recogniser: Recogniser, recording: Recording) -> Said:
    """As a file."""
    begin = time.process_time()
    text = recogniser.transcribe(recording.samples).text
    return Said(without_tags(text), seconds=time.process_time() - begin)


def without_tags(text: str) -> str:
    """Tags may stand anywhere in a long recording."""
    return " ".join(word for word in text.split() if not split_tag(word)[0])


def live(recogniser: Recogniser, recording: Recording, turns: TurnEnds, left: float) -> Said:
    """As it is said, in pieces of 100 ms."""
    session, said, told = LiveSession.of(recogniser, turns=turns, left=left), [], []
    delays: list[float] = []
    begin = time.process_time()
    for event in events_of(session, recording.samples):
        if isinstance(event, Final):
            said.append(event.text)
        elif isinstance(event, Interim):
            told += [word.text for word in event.words]
            delays += [session.heard - word.end for word in event.words]
    seconds = time.process_time() - begin
    return Said(" ".join(filter(None, said)), " ".join(told), delays, seconds)


def events_of(session: LiveSession, samples: np.ndarray) -> Iterator:
    """All events of a recording, with a commit at its end."""
    data = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2").tobytes()
    size = round(PIECE * SAMPLE_RATE) * 2
    for start in range(0, len(data), size):
        yield from session.feed(data[start : start + size])
    yield from session.commit()


def errors(texts: Sequence[str], speech: Sequence[Recording]) -> np.ndarray:
    """Character errors of each, single spaces included."""
    return np.array([count_edits(each.text, text).errors
                     for each, text in zip(speech, texts, strict=True)])  # fmt: skip


def row(name: str, files: Sequence[Said], lives: Sequence[Said], speech: list[Recording]) -> str:
    """A line of the table."""
    refs = np.array([len(each.text) for each in speech])
    of_file, of_live, of_told = (
        errors([getattr(said, what) for said in group], speech)
        for group, what in ((files, "text"), (lives, "text"), (lives, "told"))
    )
    units = [str(number) for number in range(len(speech))]
    found = differences((of_file, of_live), refs, ["all"] * len(speech), units).micro
    low, high = (100 * (float("nan") if x is None else x) for x in (found.low, found.high))
    delays = sorted(delay for said in lives for delay in said.delays) or [0.0]
    total = sum(len(each.samples) for each in speech) / SAMPLE_RATE
    rates = [100 * each.sum() / refs.sum() for each in (of_file, of_live, of_told)]
    same = sum(a.text == b.text for a, b in zip(files, lives, strict=True))
    return (f"| {name} | {rates[0]:.1f} | {rates[1]:.1f} | {100 * found.difference:+.2f} "
            f"[{low:+.2f}, {high:+.2f}] | {same} of {len(speech)} | {rates[2]:.1f} "
            f"| {median(delays):.1f} / {delays[int(0.95 * (len(delays) - 1))]:.1f} "
            f"| {sum(s.seconds for s in lives) / total:.3f} |")  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="an exported model")
    parser.add_argument("data", type=Path, help="a dumped set: wav.scp, text")
    parser.add_argument("--left", type=float, nargs="+", default=[2.0])
    parser.add_argument("--longest", type=float, nargs="+", default=[20.0])
    parser.add_argument("--only", default="", help="ways of speaking that have this in their name")
    parser.add_argument("--silence", type=float, default=0.7)
    args = parser.parse_args(argv)
    recogniser, speech = Recogniser(args.folder), utterances(args.data)
    session = LiveSession.of(recogniser)
    print(f"{args.folder}: {'exact' if session.is_exact else 'windows'}, waits for "
          f"{session.latency:.2f} s behind a frame")  # fmt: skip
    print("| spoken | file | live | difference | same text | deltas | delay (s) | processor |")
    print("|---|---|---|---|---|---|---|---|")
    for name, spoken in (("utterances", speech), ("minutes, pauses", minutes(speech, PAUSE)),
                         ("minutes, no pauses", minutes(speech, 0.0))):  # fmt: skip
        if args.only not in name:
            continue
        files = [whole(recogniser, each) for each in spoken]
        for longest in args.longest:
            for left in args.left if not session.is_exact else [0.0]:
                turns = TurnEnds(None if name == "utterances" else args.silence, longest=longest)
                lives = [live(recogniser, each, turns, left) for each in spoken]
                label = f"{name} (longest {longest:g}, left {left:g})"
                print(row(label, files, lives, spoken), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
