"""How well language models predict a text: perplexity and unknown words, per language.

    perplexity = 10 ** (-(sum of log10 probabilities) / number of predictions)

Predictions are the words (characters for unit char) and each sentence's end.  ``perplexity``
counts unknown words with the probability of ``<unk>``, ``perplexity_without_oov`` leaves them out
of the sum and of the number, as KenLM's ``query`` does.  Only models with the same words compare.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asr_dro_plugin.base.text_table import aligned
from asr_dro_plugin.errors import UserError
from asr_dro_plugin.lm.counts import symbols_of
from asr_dro_plugin.lm.files import JOINT, LmFiles, all_lms
from asr_dro_plugin.lm.programs import load_kenlm
from asr_dro_plugin.lm.text import Sentences

LANGUAGE = "language"  # the model of a sentence's own language
HEADER = ("lang", "model", "sents", "tokens", "OOV", "OOV %", "ppl", "ppl no OOV")
LEGEND = (
    "ppl: perplexity, ends of sentences included; no OOV: words the model does not know left out."
)
MAX_NAMED = 5


@dataclass
class Tally:
    """Sums over sentences; log probabilities are of base 10."""

    sentences: int = 0
    tokens: int = 0
    oov: int = 0
    log_prob: float = 0.0
    oov_log_prob: float = 0.0

    def add(self, scores: Sequence[tuple[float, int, bool]]) -> None:
        """Count one sentence: KenLM's ``full_scores``, the last of which is ``</s>``."""
        self.sentences += 1
        self.tokens += len(scores) - 1
        for log_prob, _length, is_unknown in scores:
            self.log_prob += log_prob
            if is_unknown:
                self.oov += 1
                self.oov_log_prob += log_prob

    def merge(self, other: "Tally") -> None:
        """Add the sums of another."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def figures(self) -> dict:
        """Everything as the JSON has it; None where nothing was predicted."""
        predicted = self.tokens + self.sentences
        return {
            "sentences": self.sentences,
            "tokens": self.tokens,
            "oov": self.oov,
            "oov_rate": self.oov / self.tokens if self.tokens else None,
            "log10_prob": self.log_prob,
            "log10_prob_without_oov": self.log_prob - self.oov_log_prob,
            "perplexity": _perplexity(self.log_prob, predicted),
            "perplexity_without_oov": _perplexity(
                self.log_prob - self.oov_log_prob, predicted - self.oov
            ),
        }


class SentenceScorer:
    """One model, loaded with KenLM's Python module; raises as ``load_kenlm``."""

    def __init__(self, lm: LmFiles) -> None:
        self.model = load_kenlm(lm.model)
        self.unit = lm.description.get("unit", "word")

    def scores(self, sentence: str) -> list[tuple[float, int, bool]]:
        """(log10 probability, length of the n-gram used, whether unknown) with the end's last."""
        return list(self.model.full_scores(" ".join(symbols_of(sentence, self.unit))))


def measure(lm_dir: str | os.PathLike, sentences: Sentences) -> dict:
    """Score a text with the joint model and with that of each sentence's language.

    Args:
        lm_dir: a folder of models; one model's folder or file is taken for the joint one.
        sentences: the text; where it has languages, there is a row for each.

    Returns:
        ``groups.<lang>.<joint|language>`` and ``total.<joint|language>``, each ``Tally.figures``;
        ``models.<name>`` what lm.json says; ``without_model`` languages that no model scored;
        ``left_out`` ids without language.

    Raises:
        UserError: no model, no text, or KenLM is not there.
    """
    models = all_lms(lm_dir)
    scorers: dict[str, SentenceScorer] = {}
    tallies: dict[str, dict[str, Tally]] = {}
    for lang, sentence in sentences:
        row = tallies.setdefault(lang, {})
        for kind, name in ((JOINT, JOINT), (LANGUAGE, lang)):
            if name in models:
                if name not in scorers:
                    scorers[name] = SentenceScorer(models[name])
                row.setdefault(kind, Tally()).add(scorers[name].scores(sentence))
    if not any(tallies.values()):
        raise UserError(_nothing_scored(lm_dir, sentences, tallies, models))
    return {
        "models": {name: _about(models[name]) for name in sorted(scorers)},
        "groups": {lang: _figures(row) for lang, row in sorted(tallies.items()) if lang and row},
        "total": _figures(_totals(tallies)),
        "without_model": sorted(lang for lang, row in tallies.items() if not row),
        "left_out": sentences.unknown,
    }


def text_norm_of(lm_dir: str | os.PathLike) -> str:
    """The normaliser that a folder's (or file's) training text went through, else ``none``.

    Raises:
        UserError: its models do not agree.
    """
    norms = {lm.description.get("text_norm", "none") for lm in all_lms(lm_dir).values()}
    if len(norms) > 1:
        raise UserError(
            f"The models of {lm_dir} had their text normalised by {' and by '.join(sorted(norms))}."
            " Say which to use: --text_norm NAME."
        )
    return norms.pop()


def _totals(tallies: Mapping[str, Mapping[str, Tally]]) -> dict[str, Tally]:
    totals: dict[str, Tally] = {}
    for row in tallies.values():
        for kind, tally in row.items():
            totals.setdefault(kind, Tally()).merge(tally)
    return totals


def _figures(row: Mapping[str, Tally]) -> dict:
    return {kind: tally.figures() for kind, tally in row.items()}


def _about(lm: LmFiles) -> dict:
    kept = ("order", "unit", "estimator", "text_norm")
    found = {key: lm.description[key] for key in kept if key in lm.description}
    return {"file": str(lm.model), **found}


def _perplexity(log_prob: float, predicted: int) -> float | None:
    return 10 ** (-log_prob / predicted) if predicted else None


def _nothing_scored(
    lm_dir: str | os.PathLike,
    sentences: Sentences,
    tallies: Mapping[str, Mapping],
    models: Mapping[str, LmFiles],
) -> str:
    where = " ".join(str(path) for path in sentences.paths)
    if not tallies and sentences.unknown:
        return f"{where}: none of its ids is in --groups (first: {sentences.unknown[0]})."
    if not tallies:
        return f"{where} holds no sentence ({sentences.num_empty} empty). Give some text."
    langs = " ".join(sorted(filter(None, tallies))) or "none (give --groups utt2lang)"
    return (
        f"{lm_dir} has models for {' '.join(sorted(models))}; the text's languages are {langs}. "
        "Build one for them, or one for all: asr-dro lm build --per joint"
    )


def perplexity_table(found: Mapping) -> str:
    """The result of ``measure``, for the terminal: a row a language and model, totals, remarks."""
    groups = sorted(found["groups"].items())
    rows = [row for lang, kinds in groups for row in _rows(lang, kinds, lang)]
    totals = _rows("total", found["total"], LANGUAGE)
    rules = (1, 1 + len(rows)) if rows else (1,)
    return "\n".join(
        [*aligned([HEADER, *rows, *totals], rules, num_left=2), "", LEGEND, *remarks(found)]
    )


def remarks(found: Mapping) -> list[str]:
    """What a reader must know besides: languages and ids that were not scored."""
    lines = []
    for key, meaning in (
        ("without_model", "languages without a model, not scored"),
        ("left_out", "utterances without a language, not scored"),
    ):
        if names := found[key]:
            more = " …" if len(names) > MAX_NAMED else ""
            lines.append(f"{len(names)} {meaning}: {' '.join(names[:MAX_NAMED])}{more}")
    return lines


def _rows(first: str, kinds: Mapping[str, Mapping], own: str) -> list[list[str]]:
    """One row a model; ``own`` names that of the language."""
    names = {JOINT: JOINT, LANGUAGE: own}
    return [_row(first, names[kind], kinds[kind]) for kind in names if kind in kinds]


def _row(first: str, model: str, figures: Mapping) -> list[str]:
    rate = figures["oov_rate"]
    return [
        first,
        model,
        *(str(figures[key]) for key in ("sentences", "tokens", "oov")),
        "-" if rate is None else f"{100 * rate:.1f}",
        *(_rounded(figures[key]) for key in ("perplexity", "perplexity_without_oov")),
    ]


def _rounded(perplexity: float | None) -> str:
    if perplexity is None:
        return "-"
    return f"{perplexity:.1f}" if perplexity < 1e6 else f"{perplexity:.2e}"
