"""A toy corpus whose letters are tones: audio files made by the test, learnable in seconds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
LETTERS = "abcd "
WORDS = {"eng": ("abba", "cab", "dad", "baba"), "deu": ("daca", "ab", "cdc", "bad")}
UNITS = ["<blank>", "<unk>", "d", "c", "b", "a", "<sos/eos>"]  # auxiliary: letters in other places


@dataclass(frozen=True)
class ToyUtterance:
    """One utterance of the toy corpus."""

    utt_id: str
    lang: str
    split: str
    text: str
    samples: np.ndarray


def tone(letter: str, lang: str, seconds: float = 0.12) -> np.ndarray:
    """A letter as a tone of its own pitch (the language shifts it); the space is silence."""
    t = np.arange(int(seconds * RATE)) / RATE
    if letter == " ":
        return np.zeros_like(t)
    pitch = 300 * 1.5 ** LETTERS.index(letter) * (1.2 if lang == "deu" else 1.0)
    return 0.3 * np.sin(2 * np.pi * pitch * t) * np.hanning(len(t))


def utterances(num: int = 8, langs=("eng", "deu"), seed: int = 0) -> list[ToyUtterance]:
    """``num`` utterances of each language in each of train, dev and test."""
    rng = np.random.default_rng(seed)
    made = []
    for lang in langs:
        words = WORDS.get(lang, WORDS["eng"])
        for split in ("train", "dev", "test"):
            for number in range(num):
                text = " ".join(rng.choice(words, size=rng.integers(2, 4)))
                samples = np.concatenate([tone(letter, lang) for letter in text])
                samples = samples + 0.001 * rng.standard_normal(len(samples))
                utt_id = f"{lang}spk{split}-{number:03d}"
                made.append(ToyUtterance(utt_id, lang, split, text, samples.astype(np.float32)))
    return made


def write_table(root: Path, **kwargs) -> Path:
    """The corpus as audio files and ``utts.tsv``, for ``--corpus tsv``; returns the table."""
    lines = ["utt_id\tlang\tsplit\tpath\tduration\tspeaker\ttranscript"]
    for utt in utterances(**kwargs):
        path = root / "audio" / f"{utt.utt_id}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, utt.samples, RATE)
        lines.append(
            f"{utt.utt_id}\t{utt.lang}\t{utt.split}\taudio/{path.name}\t"
            f"{len(utt.samples) / RATE:.3f}\t{utt.utt_id.split('-')[0]}\t{utt.text}"
        )
    table = root / "utts.tsv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def write_dump(root: Path, split: str, lid: bool = True, **kwargs) -> Path:
    """One split as stage 4 and stage 10 leave it (plain audio files); returns its directory."""
    chosen = [utt for utt in utterances(**kwargs) if utt.split == split]
    directory = root / split
    directory.mkdir(parents=True, exist_ok=True)
    langs = sorted({utt.lang for utt in chosen})
    columns = {name: {} for name in ("wav.scp", "text", "text_aux", "utt2group", "utt2category",
                                     "utt2num_samples", "speech_shape")}  # fmt: skip
    for utt in chosen:
        path = directory / "audio" / f"{utt.utt_id}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, utt.samples, RATE)
        columns["wav.scp"][utt.utt_id] = str(path)
        columns["text"][utt.utt_id] = f"[{utt.lang}] {utt.text}" if lid else utt.text
        units = [str(UNITS.index(letter)) for letter in utt.text if letter != " "]
        columns["text_aux"][utt.utt_id] = " ".join(units)
        columns["utt2group"][utt.utt_id] = str(langs.index(utt.lang))
        columns["utt2category"][utt.utt_id] = utt.lang
        for name in ("utt2num_samples", "speech_shape"):
            columns[name][utt.utt_id] = str(len(utt.samples))
    for name, table in columns.items():
        lines = (f"{key} {value}\n" for key, value in sorted(table.items()))
        (directory / name).write_text("".join(lines), encoding="utf-8")
    return directory


def tokens(langs=("deu", "eng")) -> list[str]:
    """The token list of the toy corpus."""
    tags = [f"[{lang}]" for lang in sorted(langs)]
    return ["<blank>", "<unk>", *tags, "<space>", "a", "b", "c", "d", "<sos/eos>"]
