"""How fast a text is normalised, and how fast its characters are counted; one core.

    make bench            (python benchmarks/bench_text.py 5000: fewer lines)

The demand: 50,000 lines in 5 s.  Beside the rules stand a chain of regular expressions as it is
written by hand (one ``re.sub`` for each step), jiwer's transforms, and the normaliser of Hugging
Face's Whisper, each doing the nearest thing it can; the chain's output is compared with ours.
"""

import logging
import random
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from asr_dro_plugin.text.characters import Characters, judge
from asr_dro_plugin.text.normalizers import get_normalizer

CONF = Path(__file__).resolve().parents[1] / "conf"
NUM, LIMIT, RUNS = 50_000, 5.0, 3
TEXTS = {
    "rus": "Ёлка стои́т, «по-русски» — да! привет как дела? 12 сентября ещё объём Москва",
    "eng": "The U.S. don’t stop well-known; (so) it's 10:30 café “quoted” Hello, world… and",
}


def lines_of(lang: str, num: int) -> list[str]:
    """Sentences of 4 to 24 words, raw."""
    rng, words = random.Random(0), TEXTS[lang].split()
    return [" ".join(rng.choices(words, k=rng.randint(4, 24))) for _ in range(num)]


def chain_rus(text: str) -> str:
    """What conf/text_norm_rus.yaml says, step by step."""
    text = unicodedata.normalize("NFC", text).lower()
    text = re.sub("ё", "е", text)
    text = re.sub(r"[’‘＇]", "'", text)
    text = re.sub(r"[-–—_/\\|,;!?…]", " ", text)
    text = re.sub("[^а-я ]", "", text)
    return re.sub(" +", " ", text).strip()


def chain_eng(text: str) -> str:
    """DeepSpeech2's rule."""
    return re.sub(r"\s+", " ", re.sub("[^a-z ]", "", text.lower())).strip()


def jiwers() -> Callable[[str], str]:
    """Lower case, no punctuation, single spaces."""
    import jiwer

    return jiwer.Compose([
        jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
    ])  # fmt: skip


def whispers() -> Callable[[str], str]:
    """``BasicTextNormalizer``: NFKC, lower case, marks and symbols to spaces."""
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer

    return BasicTextNormalizer()


def seconds(normalize: Callable[[str], str], lines: Sequence[str]) -> float:
    """The best of some runs."""
    taken = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        for line in lines:
            normalize(line)
        taken.append(time.perf_counter() - begin)
    return min(taken)


def main() -> None:
    """A line for each normaliser."""
    logging.disable(logging.WARNING)
    num = int(sys.argv[1]) if len(sys.argv) > 1 else NUM
    others = {"jiwer's transforms": jiwers(), "Whisper's basic normaliser": whispers()}
    for lang, chain, name in (("rus", chain_rus, "rus"), ("eng", chain_eng, "eng_letters")):
        lines = lines_of(lang, num)
        size = sum(map(len, lines))
        print(f"{num:,} lines of {lang}, {size / 1e6:.1f} million characters")
        ours = get_normalizer(str(CONF / f"text_norm_{name}.yaml"))
        differ = sum(ours(line, lang) != chain(line) for line in lines)
        candidates = {
            f"conf/text_norm_{name}.yaml": lambda line, rule=ours, lang=lang: rule(line, lang),
            "lower_no_punct": lambda line, lang=lang: get_normalizer("lower_no_punct")(line, lang),
            "chain of regular expressions": chain,
            **others,
        }
        figures = {title: seconds(rule, lines) for title, rule in candidates.items()}
        first = next(iter(figures.values()))
        for title, taken in figures.items():
            print(
                f"  {title:<32} {taken:5.2f} s ({taken / LIMIT:.2f} of the limit), "
                f"{taken / first:5.2f} of ours"
            )
        print(f"  lines that differ from the chain's: {differ}")
        begin = time.perf_counter()
        characters = Characters()
        for number, line in enumerate(lines):
            characters.add(line, lang, f"{lang}_{number:06d}")
        found = judge(characters)
        print(
            f"  {len(found)} characters counted and judged in {time.perf_counter() - begin:.2f} s"
        )


if __name__ == "__main__":
    main()
