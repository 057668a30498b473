"""The worst utterances: what was said, what was recognised, how it sounds and looks."""

import io
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from asr_dro_plugin.audio import SAMPLE_RATE
from asr_dro_plugin.audio.files import read, resample
from asr_dro_plugin.audio.sources import ARK_POINTER
from asr_dro_plugin.data.wav_scp import Item, read_items
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.reporting.page.markup import Markup, data_url, el
from asr_dro_plugin.reporting.page.parts import Material, missing, section
from asr_dro_plugin.reporting.read.data_sets import recipe_of
from asr_dro_plugin.reporting.read.experiment import Decoding
from asr_dro_plugin.reporting.read.utterances import (
    AlignedPiece,
    ScoredUtterance,
    aligned_pieces,
    worst_utterances,
)
from asr_dro_plugin.reporting.words import plural
from asr_dro_plugin.scoring.table import percent

SHOWN_ALONE, SHOWN_OF_EACH = 30, 10  # utterances of one system, of each of several
RIGHT_TO_LEFT = ("R", "AL")
AFTER_SPACE = re.compile(r"(?<= )(?=.)", re.DOTALL)
# Sound is MP3, which every browser plays, its picture a small PNG; both are made without a random
# number, so the same sound gives the same bytes.
LONGEST = 20.0  # seconds embedded of one utterance
COMPRESSION = 0.85  # libsndfile's scale 0..1; about 24 kbit/s at 16 kHz
WINDOW, HOP = 400, 160  # samples: 25 ms, 10 ms
BANDS = 64  # rows of the picture, 0 to 8 kHz
MOST_COLUMNS = 600
RANGE = 60.0  # dB below the loudest that are told apart
SHADES = 16  # 4 bits a pixel
# Ends and middle of the picture's colours, dark to bright (red, green, blue).
PALETTE = ((13, 8, 60), (150, 40, 110), (250, 150, 50), (250, 250, 190))
ABSENT, SPACE = "\u2205", "\u2423"


@dataclass
class SoundBudget:
    """What may still be embedded: a number of utterances for each system, and bytes for all."""

    each: int
    left: int

    def take(self, content: Markup) -> bool:
        """Whether ``content`` still fits; then it is counted."""
        fits = len(content) <= self.left
        self.left -= len(content) if fits else 0
        return fits


def utterances_part(material: Material, room: int) -> Markup:
    """A list for each system; sound and pictures may take ``room`` bytes."""
    count = len(material.systems)
    most = SHOWN_ALONE if count == 1 else SHOWN_OF_EACH
    each = most if material.num_audio is None else -(-material.num_audio // count)
    budget = SoundBudget(min(each, most), room)
    lead = (
        "Listen to what went wrong. Upper line: what was said; lower line: what was recognised, in "
        "the colours of the bars above. "
        f"Highest error first, no language more often than its share; sound up to {LONGEST:g} s."
    )
    blocks = material.each_system(
        "utterances", lambda system: _block(material, system, most, budget)
    )
    return section("utterances", "The worst utterances", lead, blocks)


def _block(material: Material, system: Decoding, most: int, budget: SoundBudget) -> Markup:
    if system.utterances is None:
        how = "Score the set again (stage 13): it writes utts.tsv beside score.json."
        return missing("the errors of each utterance", how)
    worst = worst_utterances(system.utterances, most)
    if not worst:
        return el("p", "No utterance has an error.")
    sounds = _sounds(system, worst[: budget.each])
    items = [_utterance(material, each, sounds, budget) for each in worst]
    silent = sum(each.utt_id not in sounds for each in worst[: budget.each])
    note = None
    if silent:
        how = "Name the folder of the data sets: --dump dump/raw (its audio files must be there)."
        note = missing(f"the sound of {plural(silent, 'utterance')}", how)
    return el("div", note, el("ol", items, class_="utterances"))


def _sounds(system: Decoding, chosen: Sequence[ScoredUtterance]) -> dict[str, Markup | None]:
    """Utterance -> player and picture, of those whose file is here.

    A damaged one is noted among the experiment's faults, and its player is None.
    """
    experiment, folder = system.experiment, system.experiment.set_folder(system.set_name)
    items = experiment.attempt(lambda: _items(folder), {}) if folder and chosen else {}
    recipe = recipe_of(experiment.path)
    return {
        each.utt_id: experiment.attempt(lambda item=items[each.utt_id]: _player(item, recipe))
        for each in chosen
        if each.utt_id in items and is_here(items[each.utt_id], recipe)
    }


@cache
def _items(folder: Path) -> dict[str, Item]:
    if not (folder / "wav.scp").exists():
        return {}
    return {item.utt_id: item for item in read_items(folder, allow_pipes=False)}


def _player(item: Item, recipe: Path) -> Markup:
    samples = read_sound(item, recipe)
    if not len(samples):
        raise UserError(f"{item.path} has no sound for '{item.utt_id}'. Copy it again.")
    sound, picture = data_url("audio/mpeg", mp3(samples)), spectrogram(samples)
    height, width = picture.shape
    return el(
        "div",
        el("audio", controls=True, preload="metadata", src=sound),
        el("img", src=data_url("image/png", png(picture)), width=width, height=height,
           alt="Spectrogram: time to the right, 0 to 8 kHz upwards, bright is loud"),
        class_="sound",
    )  # fmt: skip


def _utterance(
    material: Material, utterance: ScoredUtterance, sounds: dict, budget: SoundBudget
) -> Markup:
    sound = sounds.get(utterance.utt_id)
    if sound is not None and not budget.take(sound):
        sound = None
    named = utterance.lid not in ("-", "", utterance.group)
    facts = [
        el("strong", f"{percent(utterance.rate, 0)} %"),
        f" {material.language(utterance.group)}, ", el("code", utterance.utt_id),
        f", taken for {material.language(utterance.lid)}" if named else None,
    ]  # fmt: skip
    spoken = el(
        "p", "Said: ", utterance.ref, ". Recognised: ", utterance.hyp or "nothing", ".",
        class_="aloud",
    )  # fmt: skip
    pieces = aligned_pieces(utterance.ref, utterance.hyp)
    return el("li", el("p", facts), sound, spoken, aligned(pieces, utterance.ref or utterance.hyp))


def aligned(pieces: Sequence[AlignedPiece], text: str) -> Markup:
    """Reference over hypothesis, piece by piece; lines break between words.

    ``text`` says in which direction it is written.
    """
    words: list[list[Markup]] = [[]]
    for whole in pieces:
        for kind, ref, hyp in _parted(*whole):
            words[-1].append(_column(kind, ref, hyp))
            if kind == "equal" and ref.endswith(" "):
                words.append([])
    shown = [el("span", columns, class_="word") for columns in words if columns]
    return el("p", shown, class_="aligned", dir=direction(text), aria_hidden="true")


def _parted(kind: str, ref: str, hyp: str) -> Iterator[AlignedPiece]:
    """Equal pieces behind each space, for lines break there; others whole."""
    if kind != "equal":
        yield kind, ref, hyp
        return
    for part in AFTER_SPACE.split(ref):
        yield kind, part, part


def _column(kind: str, ref: str, hyp: str) -> Markup:
    if kind == "equal":
        return el("span", el("b", ref), el("b", hyp), class_="eq")
    return el("span", el("b", _seen(ref)), el("b", _seen(hyp)), class_=kind)


def _seen(piece: str) -> str:
    """A piece with its spaces to be seen; the empty set where there is none."""
    return piece.replace(" ", SPACE) or ABSENT


def direction(text: str) -> str:
    """``rtl`` where the first letter is of a script written from right to left."""
    strong = (unicodedata.bidirectional(char) for char in text)
    first = next((kind for kind in strong if kind in ("L", *RIGHT_TO_LEFT)), "L")
    return "rtl" if first in RIGHT_TO_LEFT else "ltr"


def is_here(item: Item, recipe: Path) -> bool:
    """Whether the file exists, be it a Kaldi archive."""
    pointer = ARK_POINTER.fullmatch(item.path)
    return (recipe / (pointer["ark"] if pointer else item.path)).exists()


def read_sound(item: Item, recipe: Path) -> np.ndarray:
    """At most 20 s of an utterance: (N,) float32 at 16 kHz.

    Raises:
        AudioError: missing or damaged.
    """
    start = item.start or 0.0
    end = start + LONGEST if item.end is None else min(item.end, start + LONGEST)
    samples, rate = read(recipe / item.path, item.start, end)  # an absolute path stays as it is
    return resample(samples, rate * item.speed, SAMPLE_RATE)


def mp3(samples: np.ndarray) -> bytes:
    """An MP3 file of (N,) float32 at 16 kHz."""
    import soundfile

    stream = io.BytesIO()
    soundfile.write(
        stream, np.clip(samples, -1, 1), SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III",
        compression_level=COMPRESSION, bitrate_mode="CONSTANT",
    )  # fmt: skip
    return stream.getvalue()


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """(64, columns) of 0..15: the loudness of bands from 0 (last row) to 8 kHz, 60 dB in all.

    Of (N,) samples at 16 kHz; what is shorter than a window is padded.
    """
    padded = np.pad(samples, (0, max(0, WINDOW - len(samples)))).astype(np.float32)
    hop = max(HOP, -(-(len(padded) - WINDOW) // MOST_COLUMNS))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    edges = np.linspace(1, power.shape[1], BANDS + 1).astype(int)
    bands = np.add.reduceat(power, edges[:-1], axis=1) / np.diff(edges)
    decibels = 10 * np.log10(np.maximum(bands, 1e-10))
    level = np.clip((decibels - decibels.max()) / RANGE + 1, 0, 1)
    return np.round(level * (SHADES - 1)).astype(np.uint8).T[::-1]


def png(picture: np.ndarray) -> bytes:
    """A PNG of (height, width) shades 0..15, four bits a pixel.

    Source: the PNG specification, https://www.w3.org/TR/png-3/ (colour type 3, bit depth 4).
    """
    height, width = picture.shape
    even = np.pad(picture, ((0, 0), (0, width % 2)))
    rows = (even[:, ::2] << 4) | even[:, 1::2]
    raw = np.pad(rows, ((0, 0), (1, 0))).astype(np.uint8).tobytes()  # a filter byte (0) a row
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)),
        (b"PLTE", _palette()),
        (b"IDAT", zlib.compress(raw, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _palette() -> bytes:
    places = np.linspace(0, len(PALETTE) - 1, SHADES)
    columns = [np.interp(places, range(len(PALETTE)), [c[i] for c in PALETTE]) for i in range(3)]
    return np.round(np.array(columns).T).astype(np.uint8).tobytes()


def _chunk(name: bytes, body: bytes) -> bytes:
    check = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)
