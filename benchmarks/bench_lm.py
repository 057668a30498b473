"""The built-in n-gram estimator: seconds, memory and perplexity, against nltk's and lmplz.

    make bench            (python benchmarks/bench_lm.py 200000: fewer words)

The text is English without a download: docstrings of the Python packages that are installed,
normalised; every tenth file is held out.  The demand: a million words, order 3, in some tens of
seconds on one core.  nltk's ``KneserNeyInterpolated`` (pip install nltk) has one discount for all
counts and scores in time that grows with the text, so that both get a small part; perplexity is
per word and sentence's end with one shared list of known words.  Where KenLM's lmplz is on PATH,
its model must be ours to 2e-6 in log10.
"""

import ast
import importlib.util
import math
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

from asr_dro_plugin.lm.build import LmSettings, build_lm, write_arpa
from asr_dro_plugin.lm.counts import encode
from asr_dro_plugin.lm.files import LmFiles, find_lm
from asr_dro_plugin.lm.kneser_ney import estimate
from asr_dro_plugin.lm.perplexity import SentenceScorer, Tally
from asr_dro_plugin.lm.programs import is_installed, run_lmplz
from asr_dro_plugin.text.normalizers import lower_no_punct

NUM_WORDS, ORDER = 1_000_000, 3
NLTK_WORDS, NLTK_HELD_OUT = 10_000, 40  # words to learn, sentences to score
LIMIT_SECONDS = 60.0
MIN_WORDS = 4  # in a sentence; shorter lines are mostly names


def docstrings(num_words: int) -> tuple[list[str], list[str]]:
    """Sentences to learn (about ``num_words``) and held out, from installed Python files."""
    learn, held_out, words = [], [], 0
    roots = [Path(ast.__file__).parent, *sorted(map(Path, {p for p in sys.path if "site-p" in p}))]
    files = (path for root in roots for path in sorted(root.rglob("*.py")))
    for number, path in enumerate(files):
        found = sentences_of(path)
        (held_out if number % 10 == 9 else learn).extend(found)
        words += sum(len(line.split()) for line in found) if number % 10 != 9 else 0
        if words >= num_words:
            break
    return learn, held_out


def sentences_of(path: Path) -> list[str]:
    """Sentences of a file's docstrings, normalised; none of a file that is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_text("utf-8"))
    except (SyntaxError, ValueError, OSError):
        return []
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]
    lines = [
        lower_no_punct(sentence)
        for text in texts
        for part in text.split("\n\n")
        for sentence in part.replace(". ", ".\n")
        .replace(".\n", "\0")
        .replace("\n", " ")
        .split("\0")
    ]
    return [line for line in lines if len(line.split()) >= MIN_WORDS]


def written(lines: list[str], path: Path) -> Path:
    path.write_text("".join(line + "\n" for line in lines), "utf-8", newline="\n")
    return path


def perplexity(lm: LmFiles, lines: list[str]) -> dict:
    """Figures of held-out sentences."""
    scorer, tally = SentenceScorer(lm), Tally()
    for line in lines:
        tally.add(scorer.scores(line))
    return tally.figures()


def timed_steps(text: Path, out: Path) -> None:
    """Seconds of reading, estimating and writing, and GiB at the peak."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    corpus = encode(text, "word")
    read = time.perf_counter()
    model = list(estimate(corpus, ORDER))
    estimated = time.perf_counter()
    write_arpa(out, corpus, model)
    written_at = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sizes = " + ".join(f"{len(grams.log_probs):,}" for grams in model)
    print(
        f"  built-in, order {ORDER}, n-grams {sizes}: read {read - begin:.1f} s, estimate "
        f"{estimated - read:.1f} s, write {written_at - estimated:.1f} s, in all "
        f"{written_at - begin:.1f} s; peak memory {peak / 2**20:.2f} GiB "
        f"({(peak - before) / 2**20:.2f} more than before)"
    )
    assert written_at - begin < LIMIT_SECONDS, "slower than demanded"


def against_lmplz(text: Path, folder: Path) -> None:
    """Seconds of lmplz, and whether both models are the same."""
    if not is_installed("lmplz"):
        print("  lmplz is not on PATH: not compared (tests/lm compares with the definition)")
        return
    begin = time.perf_counter()
    run_lmplz(text, folder / "theirs.arpa", ORDER, (0,))
    print(f"  lmplz: {time.perf_counter() - begin:.1f} s (plain ARPA, sorting memory 1 GiB)")
    scorers = [
        SentenceScorer(LmFiles(folder, path, None, {}))
        for path in (folder / "ours.arpa.gz", folder / "theirs.arpa")
    ]
    lines = text.read_text("utf-8").splitlines()[:2000]
    pairs = [zip(*(scorer.scores(line) for scorer in scorers)) for line in lines]
    worst = max(abs(ours[0] - theirs[0]) for pair in pairs for ours, theirs in pair)
    print(f"  largest difference of log10 p over 2,000 sentences: {worst:.1e}")
    assert worst < 2e-5, "another model than lmplz's"


def against_nltk(learn: list[str], held_out: list[str], folder: Path) -> None:
    """Both estimators on a small part of the text."""
    if importlib.util.find_spec("nltk") is None:
        print("  nltk is not installed: not compared (pip install nltk in a copy of the venv)")
        return
    from nltk.lm import KneserNeyInterpolated
    from nltk.lm.preprocessing import padded_everygram_pipeline

    small = [line for line, _ in zip(learn, range(NLTK_WORDS // 10))]
    text = written(small, folder / "small.txt")
    begin = time.perf_counter()
    build_lm(text, folder / "small", "joint", LmSettings(ORDER, estimator="builtin"))
    ours_s = time.perf_counter() - begin
    begin = time.perf_counter()
    model = KneserNeyInterpolated(ORDER)
    model.fit(*padded_everygram_pipeline(ORDER, [line.split() for line in small]))
    theirs_s = time.perf_counter() - begin
    known = set(find_lm(folder / "small").words())
    lines = [line for line in held_out if set(line.split()) <= known][:NLTK_HELD_OUT]
    begin = time.perf_counter()
    ours = perplexity(find_lm(folder / "small"), lines)["perplexity"]
    ours_scoring = time.perf_counter() - begin
    begin = time.perf_counter()
    theirs = nltk_perplexity(model, lines)
    theirs_scoring = time.perf_counter() - begin
    words = sum(len(line.split()) for line in small)
    print(
        f"  {words:,} words, {len(lines)} held-out sentences of known words:\n"
        f"    built-in  make {ours_s:.2f} s, score {ours_scoring:.3f} s, perplexity {ours:.1f}\n"
        f"    nltk      make {theirs_s:.2f} s, score {theirs_scoring:.3f} s, "
        f"perplexity {theirs:.1f}\n"
        f"    make and score {(theirs_s + theirs_scoring) / (ours_s + ours_scoring):.0f} times "
        "faster than nltk"
    )
    assert ours <= theirs, "predicts worse than nltk"


def nltk_perplexity(model, lines: list[str]) -> float:
    """Per word and sentence's end, from nltk's log2 scores."""
    total = number = 0
    for line in lines:
        words = ["<s>"] * (ORDER - 1) + line.split() + ["</s>"]
        for place in range(ORDER - 1, len(words)):
            total += model.logscore(words[place], tuple(words[place - ORDER + 1 : place]))
            number += 1
    return math.pow(2, -total / number)


def main() -> None:
    """Print the figures; an assertion fails where a demand is missed."""
    num_words = int(sys.argv[1]) if len(sys.argv) > 1 else NUM_WORDS
    learn, held_out = docstrings(num_words)
    words = sum(len(line.split()) for line in learn)
    print(f"{words:,} words in {len(learn):,} sentences; {len(held_out):,} sentences held out")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        text = written(learn, folder / "text.txt")
        timed_steps(text, folder / "ours.arpa.gz")
        for order in (1, 2, ORDER):
            build_lm(text, folder / f"lm{order}", "joint", LmSettings(order, estimator="builtin"))
            found = perplexity(find_lm(folder / f"lm{order}"), held_out)
            print(
                f"  held out, order {order}: perplexity {found['perplexity']:.1f}, without unknown "
                f"words {found['perplexity_without_oov']:.1f}; OOV {100 * found['oov_rate']:.1f} %"
            )
        against_lmplz(text, folder)
        against_nltk(learn, held_out, folder)


if __name__ == "__main__":
    main()
