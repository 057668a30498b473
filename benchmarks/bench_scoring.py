"""Scoring 100,000 utterances against jiwer and kaldialign, and the bootstrap over 143 languages.

    make bench            (python benchmarks/bench_scoring.py 20000: fewer utterances)

No speed is demanded beside jiwer's ``process_characters`` and ``process_words`` on the same pairs:
the ratio is printed, and jiwer's totals of each kind of error and kaldialign's totals of errors
must be ours.  The pairs are sentences of six languages in which letters were replaced, deleted and
inserted, some of them not at all, as recognisers err.

Of ours: the counts alone, which is what jiwer does; the whole ``score()``: ids, tags, normalising,
groups, utterance means, of these texts and of raw ones with tag, capital and full stop; and the
command ``asr-dro score`` with reading, intervals, confusions, table and JSON.

Ratios are of processor seconds: wall seconds, printed beside, depend on what else the machine does.
"""

import contextlib
import io
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import jiwer
import kaldialign
import numpy as np

from asr_dro_plugin.base.kaldi_io import write_table
from asr_dro_plugin.bin.score import main as score_command
from asr_dro_plugin.scoring import score
from asr_dro_plugin.scoring.bootstrap import SAMPLES, resampled_groups
from asr_dro_plugin.scoring.edit_distance import count_pairs
from asr_dro_plugin.scoring.swaps import paired_groups
from asr_dro_plugin.text.normalizers import lower_no_punct

NUM, NUM_GROUPS, RUNS = 100_000, 143, 3
RATES = (0.02, 0.1, 0.3)  # of changed characters
UNCHANGED = 0.2  # share of utterances without an error
BOOTSTRAP_SECONDS, BOOTSTRAP_MIB = 3.0, 200.0
WORDS = {
    "eng": "the a of to in was his that with for from morning river people nothing because old "
    "children walked slowly through every small village until someone told them about rain",
    "deu": "der die und nicht ein von haben wurde über straße morgen früh kinder liefen langsam "
    "durch jedes kleine dorf bis ihnen jemand etwas erzählte möglichkeiten geschichte",
    "fra": "le la les des une dans pour avec était rivière personne matin enfants marchaient "
    "lentement à travers chaque petit village jusqu'à quelqu'un leur parlât l'histoire",
    "rus": "и в не на что он как это река утром дети медленно шли через каждую маленькую деревню "
    "пока кто-то рассказал им историю возможности потому старый человек",
    "hin": "और के में एक है नहीं नदी सुबह बच्चे धीरे चलते हुए हर छोटे गाँव से जब तक किसी ने उन्हें "
    "कहानी सुनाई पुराना आदमी क्योंकि बारिश",
    "tur": "ve bir bu için çok değil nehir sabah çocuklar yavaşça her küçük köyden geçerek biri "
    "onlara hikâyeyi anlatana kadar yürüdüler çünkü yaşlı adam yağmur",
}


def sentences(rng: random.Random, num: int) -> list[str]:
    """Texts of 3 to 20 words of one language each; short words are the frequent ones."""
    made = []
    tables = [(words.split(), [1 / (1 + len(word)) for word in words.split()])
              for words in WORDS.values()]  # fmt: skip
    for _ in range(num):
        words, weights = rng.choice(tables)
        made.append(" ".join(rng.choices(words, weights, k=rng.randint(3, 20))))
    return made


def misheard(rng: random.Random, text: str, rate: float) -> str:
    """The text with a share of its characters replaced (half of it), deleted or inserted."""
    if rng.random() < UNCHANGED:
        return text
    chars = []
    for char in text:
        kind = rng.random() / rate
        if kind < 0.5:
            chars.append(rng.choice(text))
        elif kind < 0.75:
            continue
        else:
            chars.append(char + rng.choice(text) if kind < 1 else char)
    return " ".join("".join(chars).split())


def as_written(text: str) -> str:
    """The text with tag, capital (but ß has none) and full stop."""
    capital = text.capitalize()
    return f"[eng] {capital if lower_no_punct(capital) == text else text}."


def timed(task: Callable, runs: int = RUNS) -> tuple[float, float, object]:
    """Median seconds of the processor and of the clock, and the result."""
    seconds = []
    for _ in range(runs):
        begin = time.process_time(), time.perf_counter()
        result = task()
        seconds.append((time.process_time() - begin[0], time.perf_counter() - begin[1]))
    used, wall = map(statistics.median, zip(*seconds, strict=True))
    return used, wall, result


def kinds(output: object) -> tuple[int, int, int, int]:
    """Substitutions, deletions, insertions and reference length of jiwer's result."""
    kept = output.hits + output.substitutions + output.deletions
    return output.substitutions, output.deletions, output.insertions, kept


def compare(num: int, rate: float) -> None:
    """One line of seconds and ratios for each way; totals must be equal."""
    rng = random.Random(0)
    refs = [lower_no_punct(text) for text in sentences(rng, num)]
    hyps = [lower_no_punct(misheard(rng, ref, rate)) for ref in refs]
    words = [text.split() for text in refs], [text.split() for text in hyps]
    used, wall, theirs = timed(
        lambda: tuple(kinds(f(refs, hyps)) for f in (jiwer.process_characters, jiwer.process_words))
    )
    counted = timed(lambda: (count_pairs(refs, hyps), count_pairs(*words)))
    utt_ids = [f"utt{number:07d}" for number in range(num)]
    groups = {utt_id: f"l{number % NUM_GROUPS:03d}" for number, utt_id in enumerate(utt_ids)}
    plain = [dict(zip(utt_ids, texts, strict=True)) for texts in (refs, hyps)]
    raw = [{utt_id: as_written(text) for utt_id, text in side.items()} for side in plain]
    whole = timed(lambda: score(*plain, groups))
    of_raw = timed(lambda: score(*raw, groups))
    command = timed(lambda: run_command(*plain, groups))
    totals = [counts.total() for counts in counted[2]]
    for total, expected in zip(totals, theirs, strict=True):
        found = (total.substitutions, total.deletions, total.insertions, total.ref)
        assert found == expected, (found, expected)
    for scored in (whole[2], of_raw[2]):
        assert [scored.total.cer, scored.total.wer] == totals
    kaldi = [
        sum(kaldialign.edit_distance(ref, hyp)["total"] for ref, hyp in zip(*texts, strict=True))
        for texts in ((refs, hyps), words)
    ]
    assert kaldi == [total.errors for total in totals], kaldi
    print(
        f"{num:,} utterances, CER {100 * totals[0].rate:.1f} %, WER {100 * totals[1].rate:.1f} %: "
        f"jiwer {used:.2f} s (wall {wall:.2f} s)"
    )
    ways = {"counts": counted, "score()": whole, "score() of raw text": of_raw,
            "asr-dro score": command}  # fmt: skip
    for name, (mine, my_wall, _) in ways.items():
        print(
            f"  {name:20s} {mine:6.2f} s (wall {my_wall:.2f} s): {used / mine:.1f} times as fast "
            f"(wall {wall / my_wall:.1f})"
        )


def run_command(refs: Mapping[str, str], hyps: Mapping[str, str], groups: Mapping) -> None:
    """Write the files, which takes a tenth of the time, and score them as a user does."""
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        for file, table in (("text", refs), ("hyp", hyps), ("utt2lang", groups)):
            write_table(folder / file, table)
        json = folder / "score.json"
        words = [str(folder / "text"), str(folder / "hyp"), f"--json={json}", "--overwrite=true"]
        assert score_command(words) == 0


def bootstrap(num: int) -> None:
    """Seconds and memory of all intervals and of a paired test."""
    rng = np.random.default_rng(0)
    groups = rng.integers(0, NUM_GROUPS, num)
    refs = rng.integers(5, 120, num)
    errors = rng.binomial(refs, 0.2), rng.binomial(refs, 0.19)
    table = np.stack([errors[0], refs, errors[1], refs, np.ones(num)], axis=1).astype(float)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, intervals, _ = timed(lambda: resampled_groups(table, groups))
    _, paired, found = timed(lambda: paired_groups(*errors, refs, groups))
    mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert found.micro.low < found.micro.difference < found.micro.high
    print(
        f"Bootstrap of {num:,} utterances in {NUM_GROUPS} groups, {SAMPLES} samples: "
        f"{intervals:.2f} s ({intervals / BOOTSTRAP_SECONDS:.2f} of the limit), paired test "
        f"{paired:.2f} s, +{mib:.0f} MiB ({mib / BOOTSTRAP_MIB:.2f} of the limit)"
    )


def main() -> None:
    """Print a line an error rate, and one for the bootstrap."""
    num = int(sys.argv[1]) if len(sys.argv) > 1 else NUM
    bootstrap(num)
    for rate in RATES:
        compare(num, rate)


if __name__ == "__main__":
    main()
