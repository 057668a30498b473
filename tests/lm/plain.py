"""Modified Kneser-Ney and ARPA files again, in plain Python from their definitions."""

import gzip
import itertools
from collections import Counter, defaultdict

from asr_dro_plugin.lm.build import write_arpa
from asr_dro_plugin.lm.counts import encode
from asr_dro_plugin.lm.kneser_ney import FALLBACK, estimate


def read_arpa(path):
    """n-gram (tuple of words) -> (log10 probability, log10 back-off)."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        rows = [line.rstrip("\n").split("\t") for line in stream]
    rows = [row for row in rows if len(row) > 1]
    return {
        tuple(row[1].split(" ")): (float(row[0]), float(row[2]) if len(row) > 2 else 0.0)
        for row in rows
    }


def log_prob(arpa, order, context, word):
    """log10 p(word | context) as the ARPA format defines it."""
    context = tuple(context)[-(order - 1) :] if order > 1 else ()
    if (*context, word) in arpa:
        return arpa[(*context, word)][0]
    if not context:
        return arpa[("<unk>",)][0]
    return arpa.get(context, (0.0, 0.0))[1] + log_prob(arpa, order, context[1:], word)


def score(arpa, order, words):
    """log10 probability of a sentence with its end."""
    words = [word if (word,) in arpa else "<unk>" for word in words]
    sentence = ["<s>", *words, "</s>"]
    return sum(log_prob(arpa, order, sentence[:i], sentence[i]) for i in range(1, len(sentence)))


def model_of(sentences, order, folder, prune=(0,), unit="word"):
    """The built-in estimator's ARPA file of some sentences, read back."""
    text, arpa = folder / "text.txt", folder / "lm.arpa.gz"
    text.write_text("".join(line + "\n" for line in sentences), "utf-8", newline="\n")
    corpus = encode(text, unit)
    write_arpa(arpa, corpus, list(estimate(corpus, order, prune)))
    return read_arpa(arpa)


class PlainKneserNey:
    """p(word | context) by recursion over dictionaries (Chen and Goodman 1999, section 4.1.6)."""

    def __init__(self, sentences, order, prune=(0,)):
        padded = [("<s>", *line.split(), "</s>") for line in sentences]
        self.order = order
        self.prune = [*prune, *[prune[-1]] * order]
        self.words = {word for line in padded for word in line} - {"<s>"} | {"<unk>"}
        self.raw = {
            n: Counter(line[i : i + n] for line in padded for i in range(len(line) - n + 1))
            for n in range(1, order + 1)
        }
        self.adjusted = {n: self._adjusted(n) for n in self.raw}
        self.discounts = {n: self._discounts(n) for n in self.raw}
        self.following = {n: defaultdict(list) for n in self.raw}
        for n, counts in self.adjusted.items():
            for gram in counts:
                self.following[n][gram[:-1]].append(gram)

    def _adjusted(self, n):
        counts = Counter(self.raw[n])
        if n < self.order:
            before = Counter(gram[1:] for gram in self.raw[n + 1])
            counts = {
                gram: count if gram[0] == "<s>" else before[gram] for gram, count in counts.items()
            }
        return {gram: count for gram, count in counts.items() if gram != ("<s>",)}

    def _discounts(self, n):
        times = Counter(self.adjusted[n].values())
        if not (times[1] and times[2] and times[3]):
            return FALLBACK
        y = times[1] / (times[1] + 2 * times[2])
        found = tuple(k - (k + 1) * y * times[k + 1] / times[k] for k in (1, 2, 3))
        in_range = all(0 < value <= k for k, value in enumerate(found, 1))
        return found if in_range else FALLBACK

    def _taken(self, gram):
        """What a seen n-gram gives to those that were not seen: all if it is pruned."""
        n, count = len(gram), self.adjusted[len(gram)][gram]
        if n > 1 and self.raw[n][gram] <= self.prune[n - 1]:
            return count
        return self.discounts[n][min(count, 3) - 1]

    def prob(self, word, context):
        """p(word | context), the context a tuple of at most order - 1 words."""
        n = len(context) + 1
        seen = self.following[n].get(context, [])
        lower = self.prob(word, context[1:]) if context else 1 / len(self.words)
        if not seen:
            return lower
        total = sum(self.adjusted[n][gram] for gram in seen)
        gram = (*context, word)
        own = self.adjusted[n][gram] - self._taken(gram) if gram in self.adjusted[n] else 0
        return (own + sum(map(self._taken, seen)) * lower) / total

    def contexts(self):
        """Every context of words that the text has or could have, up to order - 1 words."""
        words = sorted(self.words - {"</s>"})
        for n in range(self.order):
            for context in itertools.product(words, repeat=n):
                yield context
                if n:
                    yield ("<s>", *context[1:])
