"""Tables of language models for the terminal."""

from collections.abc import Mapping

from asr_dro_plugin.base.text_table import aligned
from asr_dro_plugin.lm.files import JOINT
from asr_dro_plugin.lm.perplexity import LANGUAGE

HEADER = ("lang", "model", "sents", "tokens", "OOV", "OOV %", "ppl", "ppl no OOV")
LEGEND = (
    "ppl: perplexity, ends of sentences included; no OOV: words the model does not know left out."
)
MAX_NAMED = 5


def perplexity_table(found: Mapping) -> str:
    """The result of ``perplexity.measure``: a row a language and model, totals, remarks."""
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
