"""Beam search with a word 3-gram and a lexicon, against flashlight-text called by utterance.

    make bench            (python benchmarks/bench_beam.py 50: fewer utterances)

Both sides decode the same frames with the same n-gram, lexicon, alpha and beta: made-up sentences
of a Markov chain over 5,000 words, spelled in frames of which most are blank and some are wrong, so
that without a language model two words in five are.  The demand: not slower at the same WER.
flashlight gets a lexicon whose words end in a space, a last frame that may be a space for its last
word, and both values of log_add (torchaudio's is off).  Ours is flashlight too, with the frames
that are certainly blank left out and half as many tokens tried; our own search stands beside it,
and alone where flashlight has none.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr_dro_plugin.decoding import build
from asr_dro_plugin.decoding.greedy import tokens_to_text
from asr_dro_plugin.decoding.lm_scorers import LN10
from asr_dro_plugin.decoding.options import read_decode_config
from asr_dro_plugin.emissions import Emission
from asr_dro_plugin.lm.build import LmSettings, build_lm
from asr_dro_plugin.lm.files import find_lm
from asr_dro_plugin.lm.programs import silent_stderr

NUM, NUM_TEXT, NUM_WORDS, BATCH, RUNS = 200, 20_000, 5_000, 16, 3
ALPHA, BETA = 0.6, 0.5
SAME = 0.003  # WERs as near as that are the same: five words of 1,500
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
TOKENS = ["<blank>", "<unk>", "<space>", *LETTERS, "<sos/eos>"]
IDS = {token: index for index, token in enumerate(TOKENS)}


def build_decoder(config, *rest, **more):
    """As ``build.build_decoder``, of a configuration that names few keys."""
    return build.build_decoder(read_decode_config(config), *rest, **more)


def sentences(num: int, rng: np.random.Generator) -> list[str]:
    """Sentences of 4 to 11 words, in which each word has 20 likely successors."""
    letters = np.array(list(LETTERS))
    shares = 1 / np.arange(1, len(letters) + 1) ** 0.7
    sizes = rng.integers(2, 10, NUM_WORDS)
    draw = lambda size: "".join(rng.choice(letters, size, p=shares / shares.sum()))  # noqa: E731
    words = [draw(size) for size in sizes]
    ranks = 1 / np.arange(1, NUM_WORDS + 1)
    after = rng.choice(NUM_WORDS, (NUM_WORDS, 20), p=ranks / ranks.sum())
    found = []
    for _ in range(num):
        word, sentence = int(rng.integers(50)), []
        for _ in range(int(rng.integers(4, 12))):
            sentence.append(words[word])
            word = int(rng.choice(after[word]))
        found.append(" ".join(sentence))
    return found


def spoken(text: str, rng: np.random.Generator) -> np.ndarray:
    """Frames (T, V) of a text: spikes of one or two frames, blanks between, one in seven wrong."""
    rows = []
    for symbol in text.replace(" ", "_"):
        token = IDS["<space>" if symbol == "_" else symbol]
        row = rng.normal(0, 1.0, len(TOKENS))
        row[token] += rng.normal(6.0, 1.5)
        if rng.random() < 0.14:
            row[rng.integers(3, len(TOKENS) - 1)] += rng.normal(6.0, 1.5)
        blank = rng.normal(0, 1, (int(rng.integers(1, 5)), len(TOKENS)))
        blank[:, 0] += rng.normal(11.0, 2.0, len(blank))
        rows += [row] * int(rng.integers(1, 3)) + list(blank)
    logits = np.array(rows)
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    return logits.astype(np.float32)


class Flashlight:
    """flashlight-text's LexiconDecoder, one utterance at a time."""

    def __init__(self, lm_dir: str, beam_size: int, beam_size_token: int, log_add: bool) -> None:
        from flashlight.lib.text import decoder as fl
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary

        files = find_lm(lm_dir)
        self.words = [*files.words(), "<unk>"]
        with silent_stderr():
            self.lm = KenLM(str(files.model), Dictionary(self.words))
        self.trie = fl.Trie(len(TOKENS), IDS["<space>"])
        start = self.lm.start(False)
        for number, word in enumerate(self.words[:-1]):
            spelling = [*(IDS[letter] for letter in word), IDS["<space>"]]
            self.trie.insert(spelling, number, self.lm.score(start, number)[1])
        self.trie.smear(fl.SmearingMode.MAX)
        options = fl.LexiconDecoderOptions(
            beam_size=beam_size, beam_size_token=beam_size_token, beam_threshold=25.0,
            lm_weight=ALPHA * LN10, word_score=BETA, unk_score=-np.inf, sil_score=0.0,
            log_add=log_add, criterion_type=fl.CriterionType.CTC,
        )  # fmt: skip
        unk, blank = len(self.words) - 1, IDS["<blank>"]
        self.decoder = fl.LexiconDecoder(
            options, self.trie, self.lm, IDS["<space>"], blank, unk, [], False
        )

    def __call__(self, frames: list[np.ndarray]) -> list[str]:
        texts = []
        for one in frames:
            last = np.full((1, len(TOKENS)), -100.0, np.float32)
            last[0, [IDS["<blank>"], IDS["<space>"]]] = 0.0
            whole = np.ascontiguousarray(np.concatenate([one, last]))
            best = self.decoder.decode(whole.ctypes.data, *whole.shape)[0]
            texts.append(" ".join(self.words[index] for index in best.words if index >= 0))
        return texts


def ours(lm_dir: str, **settings) -> Callable[[list[np.ndarray]], list[str]]:
    """Our decoder with an n-gram."""
    config = {"mode": "lm", "lm_weight": ALPHA, "word_score": BETA, **settings}
    return batched(build_decoder(config, TOKENS, "char", 0, lm_dir=lm_dir))


def batched(decoder) -> Callable[[list[np.ndarray]], list[str]]:
    """A decoder over batches of like lengths, as stage 12 makes them."""

    def decode(frames: list[np.ndarray]) -> list[str]:
        order = sorted(range(len(frames)), key=lambda index: -len(frames[index]))
        texts = [""] * len(frames)
        for begin in range(0, len(order), BATCH):
            rows = order[begin : begin + BATCH]
            lengths = np.array([len(frames[row]) for row in rows])
            padded = np.zeros((len(rows), lengths.max(), len(TOKENS)), np.float32)
            for place, row in enumerate(rows):
                padded[place, : len(frames[row])] = frames[row]
            for row, paths in zip(rows, decoder(Emission(padded, lengths, 0.02, 0, TOKENS))):
                texts[row] = tokens_to_text(paths[0].ids, TOKENS, "char")
        return texts

    return decode


def wer(refs: list[str], hyps: list[str]) -> float:
    pairs = [(ref.split(), hyp.split()) for ref, hyp in zip(refs, hyps, strict=True)]
    return sum(Levenshtein.distance(*p) for p in pairs) / sum(len(ref) for ref, _ in pairs)


class FlashlightFree:
    """flashlight-text's LexiconFreeDecoder, one utterance at a time, with or without an n-gram."""

    def __init__(self, lm_dir: str | None, beam_size: int, beam_size_token: int) -> None:
        from flashlight.lib.text import decoder as fl
        from flashlight.lib.text.decoder.kenlm import KenLM
        from flashlight.lib.text.dictionary import Dictionary

        with silent_stderr():
            tokens = Dictionary(TOKENS)
            lm = KenLM(str(find_lm(lm_dir).model), tokens) if lm_dir else fl.ZeroLM()
        options = fl.LexiconFreeDecoderOptions(
            beam_size=beam_size, beam_size_token=beam_size_token, beam_threshold=25.0,
            lm_weight=ALPHA * LN10 if lm_dir else 0.0, sil_score=0.0, log_add=True,
            criterion_type=fl.CriterionType.CTC,
        )  # fmt: skip
        blank = IDS["<blank>"]
        self.decoder = fl.LexiconFreeDecoder(options, lm, IDS["<space>"], blank, [])

    def __call__(self, frames: list[np.ndarray]) -> list[str]:
        texts = []
        for one in frames:
            whole = np.ascontiguousarray(one)
            path = self.decoder.decode(whole.ctypes.data, *whole.shape)[0].tokens
            changed = [b for a, b in zip([0, *path], path) if a != b and b > 0]
            texts.append(tokens_to_text(changed, TOKENS, "char"))
        return texts


def timed(sides: dict[str, Callable], frames: list, refs: list[str]) -> dict[str, tuple]:
    """(median seconds of this process, WER, texts) of each side; the sides take turns."""
    texts = {name: side(frames) for name, side in sides.items()}  # also warms their caches
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(RUNS):
        for name, side in sides.items():
            begin = time.process_time()
            side(frames)
            seconds[name].append(time.process_time() - begin)
    return {
        name: (statistics.median(seconds[name]), wer(refs, texts[name]), texts[name])
        for name in sides
    }


def show(found: dict[str, tuple], frames: list) -> None:
    """A line a side."""
    duration = sum(len(one) for one in frames) * 0.02
    for name, (seconds, rate, _) in found.items():
        print(f"  {name:<52} {seconds:6.2f} s  {duration / seconds:5.0f} times real time  "
              f"WER {100 * rate:5.2f} %")  # fmt: skip


def with_lexicon(lm_dir: str, frames: list, refs: list[str]) -> None:
    """The demand: for each beam of flashlight's, the fastest of ours with the same WER."""
    theirs = {
        f"flashlight, beam_size {size}, log_add {'on' if add else 'off'}":
            Flashlight(lm_dir, size, 20, add)
        for size in (20, 50, 100, 200) for add in (False, True)
    }  # fmt: skip
    ours_too = {
        f"ours, beam_size {size}, beam_size_token {tokens}, blank_threshold {threshold}":
            ours(lm_dir, beam_size=size, beam_size_token=tokens, blank_threshold=threshold)
        for size, tokens, threshold in CURVE
    }  # fmt: skip
    own = {f"our own search, beam_size {s}": own_search(lm_dir, s) for s in (10, 20, 50)}
    found = timed({**theirs, **ours_too, **own}, frames, refs)
    print("Word 3-gram with lexicon, speed against WER:")
    show(found, frames)
    for name in theirs:
        seconds, rate, texts = found[name]
        equal = [each for each in ours_too if found[each][1] <= rate + SAME]
        if equal:
            best = min(equal, key=lambda each: found[each][0])
            same = sum(a == b for a, b in zip(texts, found[best][2])) / len(texts)
            print(f"{name}: {best} is {seconds / found[best][0]:.1f} times as fast at "
                  f"{100 * (found[best][1] - rate):+.2f} points of WER, "
                  f"{100 * same:.0f} % of texts equal")  # fmt: skip


CURVE = [  # beam_size, beam_size_token, blank_threshold
    (5, 10, 0.999), (10, 10, 0.999), (20, 10, 0.999), (50, 10, 0.999), (100, 10, 0.999),
    (200, 10, 0.999), (50, 5, 0.999), (50, 20, 0.999), (50, None, 0.999), (50, 10, 0.9),
    (50, 10, 0.99), (50, 10, 1.0), (50, 20, 1.0), (100, 20, 0.999), (200, 20, 0.999),
]  # fmt: skip


def own_search(lm_dir: str, beam_size: int) -> Callable[[list[np.ndarray]], list[str]]:
    """Our own search with the same lexicon, which serves pieces and words as tokens."""
    config = {"beam_size": beam_size, "beam_size_token": 10}
    return batched(own_decoder(lm_dir, config))


def own_decoder(lm_dir: str, config: dict):
    """``build_decoder``'s with the token type of pieces: the same tree, not in flashlight."""
    settings = {"mode": "lm", "lm_weight": ALPHA, "word_score": BETA, **config}
    return build_decoder(settings, TOKENS, "bpe", 0, lm_dir=lm_dir)


def without_lexicon(lm_dir: str, char_dir: str, frames: list, refs: list[str]) -> None:
    """Where our own search stands in for flashlight's."""
    print("No language model:")
    beams = {f"flashlight, beam_size {s}": FlashlightFree(None, s, 20) for s in (5, 20)}
    for size, threshold in ((5, 0.999), (20, 0.999), (20, 1.0)):
        settings = {"mode": "beam", "beam_size": size, "blank_threshold": threshold}
        name = f"ours, beam_size {size}, blank_threshold {threshold}"
        beams[name] = batched(build_decoder(settings, TOKENS, "char", 0))
    show(timed(beams, frames, refs), frames)
    print("Character 6-gram:")
    found = {f"flashlight, beam_size {s}": FlashlightFree(char_dir, s, 10) for s in (20,)}
    for size, threshold in ((20, 0.999), (50, 0.999), (50, 1.0)):
        settings = {
            "mode": "lm", "lm_unit": "char", "lm_weight": ALPHA, "beam_size": size,
            "beam_size_token": 10, "blank_threshold": threshold,
        }  # fmt: skip
        name = f"ours, beam_size {size}, blank_threshold {threshold}"
        found[name] = batched(build_decoder(settings, TOKENS, "char", 0, lm_dir=char_dir))
    show(timed(found, frames, refs), frames)
    print("Word 3-gram without lexicon (flashlight has none):")
    opened = {}
    for size in (20, 50, 100):
        settings = {"beam_size": size, "lexicon": False, "unk_score": -10.0}
        opened[f"ours, beam_size {size}"] = ours(lm_dir, **settings)
    show(timed(opened, frames, refs), frames)


def threads(lm_dir: str, frames: list) -> None:
    """Whether another thread runs while flashlight decodes."""
    import threading

    side, pauses, running = Flashlight(lm_dir, 200, 20, False), [], True

    def watch() -> None:
        last = time.perf_counter()
        while running:
            time.sleep(0.001)
            now = time.perf_counter()
            pauses.append(now - last)
            last = now

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    side([np.concatenate(frames[:20])])
    taken = time.perf_counter() - begin
    running = False
    watcher.join()
    print(f"flashlight decodes for {taken:.2f} s; another thread stood still for up to "
          f"{max(pauses):.2f} s of it: threads bring nothing")  # fmt: skip


def main() -> None:
    """Make the data, print the comparison, the curve and what threads bring."""
    num, rng = int(sys.argv[1]) if len(sys.argv) > 1 else NUM, np.random.default_rng(0)
    texts = sentences(NUM_TEXT + num, rng)
    refs = texts[NUM_TEXT:]
    frames = [spoken(text, rng) for text in refs]
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text"
        text.write_text("".join(line + "\n" for line in texts[:NUM_TEXT]), "utf-8")
        word, char = f"{folder}/word", f"{folder}/char"
        build_lm(text, word, "joint", LmSettings(estimator="builtin"))
        build_lm(text, char, "joint", LmSettings(6, "char", estimator="builtin"))
        greedy = wer(refs, batched(build_decoder({}, TOKENS, "char", 0))(frames))
        print(f"{num} utterances, {sum(map(len, frames))} frames; greedy WER {100 * greedy:.1f} %; "
              "seconds of the processor, one thread")  # fmt: skip
        with_lexicon(word, frames, refs)
        without_lexicon(word, char, frames[: num // 2], refs[: num // 2])
        threads(word, frames)


if __name__ == "__main__":
    main()
